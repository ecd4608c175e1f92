"""The policy and the code tables as the processes of one store share them."""

from functools import partial
from typing import Any

import pytest
import redis

from connectors.redis.cluster import Client
from state.events.codes import Mapping
from state.policy import overlay
from state.policy.document import Channel, Floors, Location, Policy
from state.protocol.keys import Keys
from state.store import policy as policy_store
from state.store import policy_history
from state.store.policy_history import By

KEYS = Keys("t")
PLAIN = Policy()
WITH_SHOP = Policy(channels=(Channel("shop"),))
CLUSTER = pytest.param("cluster_client", marks=pytest.mark.cluster, id="cluster")


@pytest.fixture(params=[pytest.param("redis_client", id="redis"), CLUSTER])
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.getfixturevalue(request.param)
    return found


def test_the_same_policy_keeps_its_revision_and_another_gets_a_higher_one(
    client: Client,
) -> None:
    first = policy_store.bring_in_force(client, KEYS, PLAIN, 1_000)
    again = policy_store.bring_in_force(client, KEYS, PLAIN, 2_000)
    other = policy_store.bring_in_force(client, KEYS, WITH_SHOP, 500)
    assert first.revision == again.revision < other.revision
    assert policy_store.in_force(client, KEYS) == other


def test_sums_belong_to_the_revision_at_which_classes_or_floors_last_changed(
    client: Client,
) -> None:
    def bring(policy: Policy, *, anew: bool = False) -> tuple[int, int]:
        found = policy_store.bring_in_force(client, KEYS, policy, 1_000, anew=anew)
        assert policy_store.in_force(client, KEYS) == found
        return found.revision, found.sums_revision

    floors = Policy(floors=Floors(store=1), locations=(Location("s1", "store"),))
    assert bring(PLAIN) == (1_000, 1_000)
    assert bring(WITH_SHOP) == (1_001, 1_000)
    assert bring(WITH_SHOP, anew=True) == (1_002, 1_000)
    assert bring(floors) == (1_003, 1_003)
    # Sums of the same layout from before the last are of another revision: they may have been spoilt since.
    assert bring(PLAIN) == (1_004, 1_004)


def test_in_a_store_of_an_older_version_all_sums_are_of_the_last_revision(client: Client) -> None:
    policy_store.bring_in_force(client, KEYS, PLAIN, 1_000)
    client.hdel(KEYS.policy(), "sums_revision")
    found = policy_store.bring_in_force(client, KEYS, WITH_SHOP, 1_000)
    assert (found.revision, found.sums_revision) == (1_001, 1_000)


def test_a_store_without_a_policy_says_so(client: Client) -> None:
    assert policy_store.in_force(client, KEYS) is None


def test_a_revision_is_not_given_out_again_after_the_store_went_back(
    client: Client,
) -> None:
    policy_store.bring_in_force(client, KEYS, PLAIN, 1_000)
    lost = policy_store.bring_in_force(client, KEYS, WITH_SHOP, 2_000)
    client.flushall()
    made = policy_store.bring_in_force(client, KEYS, PLAIN, 3_000)
    assert made.revision > lost.revision


def test_a_code_remapped_holds_from_its_moment_on_and_the_old_row_before(
    client: Client,
) -> None:
    rows = (Mapping("pos", "X", "A", 1),)
    _, grown = policy_store.add_codes(client, KEYS, rows, lambda: 1_000)
    assert grown
    _, grown = policy_store.add_codes(client, KEYS, rows, lambda: 2_000)
    assert not grown
    table, grown = policy_store.add_codes(
        client, KEYS, (Mapping("pos", "X", "B", 6),), lambda: 3_000
    )
    assert grown
    # An event read again after a crash is mapped as it was the first time, by its log timestamp.
    assert table.look_up("pos", "X", 2_999) == ("A", 1)
    assert table.look_up("pos", "X", 3_000) == ("B", 6)
    reread = policy_store.read_codes(client, KEYS)
    assert reread.look_up("pos", "X", 2_999) == ("A", 1)


def test_a_code_added_while_another_process_adds_holds_no_earlier_than_its_row(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, others = iter((1_000, 5_000, 6_000)), [(Mapping("pos", "Y", "B", 1),)]
    policy_store.add_codes(client, KEYS, (Mapping("pos", "W", "A", 1),), lambda: 0)

    def lrange(pipeline: Any, *place: Any) -> Any:
        found = read(pipeline, *place)
        if others:
            policy_store.add_codes(client, KEYS, others.pop(), lambda: next(clock))
        return found

    read = redis.client.Pipeline.lrange
    monkeypatch.setattr(redis.client.Pipeline, "lrange", lrange)
    _, rows = policy_store.add_codes(
        client, KEYS, (Mapping("pos", "X", "A", 1),), lambda: next(clock)
    )
    assert [row.valid_from_ms for row in rows] == [6_000]


def test_a_policy_brought_in_anew_gets_another_revision(client: Client) -> None:
    first = policy_store.bring_in_force(client, KEYS, PLAIN, 1_000)
    anew = policy_store.bring_in_force(client, KEYS, PLAIN, 1_000, anew=True)
    assert anew.revision > first.revision


def test_a_policy_that_another_process_brings_in_meanwhile_is_not_overwritten_unseen(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile = [WITH_SHOP]

    def hmget(pipeline: Any, *names: Any) -> Any:
        found = read(pipeline, *names)
        if meanwhile:
            policy_store.bring_in_force(client, KEYS, meanwhile.pop(), 5_000)
        return found

    read = redis.client.Pipeline.hmget
    monkeypatch.setattr(redis.client.Pipeline, "hmget", hmget)
    brought = policy_store.bring_in_force(client, KEYS, PLAIN, 1_000)
    assert brought.revision == 5_001
    assert policy_store.in_force(client, KEYS) == brought


def test_the_history_says_who_brought_which_policy_and_keeps_the_newest_whole(
    client: Client,
) -> None:
    shops = [Policy(channels=(Channel("shop", cap=n),)) for n in range(130)]
    for n, policy in enumerate(shops):
        said = By(f"by {n}", "x" * 1_000)
        policy_store.bring_in_force(client, KEYS, policy, 1_000 + n, said=said)
    entries = policy_history.read(client, KEYS)
    assert [entry.by for entry in entries] == [f"by {n}" for n in range(30, 130)]
    assert {len(entry.why) for entry in entries} == {500}
    assert (entries[-1].revision, entries[-1].at_ms) == (1_129, 1_129)
    kept = [policy_history.document(client, KEYS, entry) for entry in entries]
    assert kept[-20:] == shops[-20:]
    assert set(kept[:-20]) == {None}
    assert len(client.hkeys(KEYS.policy())) == 4 + 20


def test_the_document_of_a_policy_that_comes_back_is_kept(client: Client) -> None:
    for n in range(50):
        policy_store.bring_in_force(client, KEYS, (PLAIN, WITH_SHOP)[n % 2], 1_000)
    entries = policy_history.read(client, KEYS)
    assert len(entries) == 50
    assert policy_history.document(client, KEYS, entries[0]) == PLAIN


def test_what_lies_over_the_policy_gets_a_revision_and_outlives_another_policy(
    client: Client,
) -> None:
    first = policy_store.bring_in_force(client, KEYS, WITH_SHOP, 1_000)
    freeze = partial(overlay.hold, channel="shop", held="frozen", now_ms=5, by="ana", why="")
    assert policy_store.change_overlay(client, KEYS, 500, freeze)
    held = policy_store.in_force(client, KEYS)
    assert held is not None
    assert held.revision > first.revision
    assert (held.sums_revision, held.policy) == (first.sums_revision, WITH_SHOP)
    assert held.overlay.steered("shop").held == "frozen"
    assert not policy_store.change_overlay(client, KEYS, 600, freeze)
    assert policy_store.in_force(client, KEYS) == held
    other = policy_store.bring_in_force(client, KEYS, PLAIN, 2_000)
    assert other.overlay == held.overlay


def test_nothing_is_laid_over_no_policy(client: Client) -> None:
    with pytest.raises(policy_store.NoPolicy, match="penstock init"):
        policy_store.change_overlay(client, KEYS, 1_000, lambda known: known)
