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
from state.store.policy import NoPolicy, PolicyStore
from state.store.policy_history import By

KEYS = Keys("t")
PLAIN = Policy()
WITH_SHOP = Policy(channels=(Channel("shop"),))
CLUSTER = pytest.param("cluster_client", marks=pytest.mark.cluster, id="cluster")


@pytest.fixture(params=[pytest.param("redis_client", id="redis"), CLUSTER])
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def policies(client: Client) -> PolicyStore:
    return PolicyStore(client, KEYS)


def test_the_same_policy_keeps_its_revision_and_another_gets_a_higher_one(
    policies: PolicyStore,
) -> None:
    first = policies.activate(PLAIN, 1_000)
    again = policies.activate(PLAIN, 2_000)
    other = policies.activate(WITH_SHOP, 500)
    assert first.revision == again.revision < other.revision
    assert policies.active() == other


def test_sums_belong_to_the_revision_at_which_classes_or_floors_last_changed(
    policies: PolicyStore,
) -> None:
    def bring(policy: Policy, *, anew: bool = False) -> tuple[int, int]:
        found = policies.activate(policy, 1_000, new_revision=anew)
        assert policies.active() == found
        return found.revision, found.sums_revision

    floors = Policy(floors=Floors(store=1), locations=(Location("s1", "store"),))
    assert bring(PLAIN) == (1_000, 1_000)
    assert bring(WITH_SHOP) == (1_001, 1_000)
    assert bring(WITH_SHOP, anew=True) == (1_002, 1_000)
    assert bring(floors) == (1_003, 1_003)
    # Sums of the same layout from before the last are of another revision: they may have been spoilt since.
    assert bring(PLAIN) == (1_004, 1_004)


def test_in_a_store_of_an_older_version_all_sums_are_of_the_last_revision(
    client: Client, policies: PolicyStore
) -> None:
    policies.activate(PLAIN, 1_000)
    client.hdel(KEYS.policy(), "sums_revision")
    found = policies.activate(WITH_SHOP, 1_000)
    assert (found.revision, found.sums_revision) == (1_001, 1_000)


def test_a_store_without_a_policy_says_so(policies: PolicyStore) -> None:
    assert policies.active() is None


def test_a_revision_is_not_given_out_again_after_the_store_went_back(
    client: Client,
    policies: PolicyStore,
) -> None:
    policies.activate(PLAIN, 1_000)
    lost = policies.activate(WITH_SHOP, 2_000)
    client.flushall()
    made = policies.activate(PLAIN, 3_000)
    assert made.revision > lost.revision


def test_a_code_remapped_holds_from_its_moment_on_and_the_old_row_before(
    policies: PolicyStore,
) -> None:
    rows = (Mapping("pos", "X", "A", 1),)
    _, grown = policies.add_codes(rows, lambda: 1_000)
    assert grown
    _, grown = policies.add_codes(rows, lambda: 2_000)
    assert not grown
    table, grown = policies.add_codes((Mapping("pos", "X", "B", 6),), lambda: 3_000)
    assert grown
    # An event read again after a crash is mapped as it was the first time, by its log timestamp.
    assert table.look_up("pos", "X", 2_999) == ("A", 1)
    assert table.look_up("pos", "X", 3_000) == ("B", 6)
    reread = policies.codes()
    assert reread.look_up("pos", "X", 2_999) == ("A", 1)


def test_a_code_added_while_another_process_adds_holds_no_earlier_than_its_row(
    client: Client, policies: PolicyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, others = iter((1_000, 5_000, 6_000)), [(Mapping("pos", "Y", "B", 1),)]
    policies.add_codes((Mapping("pos", "W", "A", 1),), lambda: 0)

    def lrange(pipeline: Any, *place: Any) -> Any:
        found = read(pipeline, *place)
        if others:
            policies.add_codes(others.pop(), lambda: next(clock))
        return found

    read = redis.client.Pipeline.lrange
    monkeypatch.setattr(redis.client.Pipeline, "lrange", lrange)
    _, rows = policies.add_codes((Mapping("pos", "X", "A", 1),), lambda: next(clock))
    assert [row.valid_from_ms for row in rows] == [6_000]


def test_a_policy_brought_in_anew_gets_another_revision(policies: PolicyStore) -> None:
    first = policies.activate(PLAIN, 1_000)
    anew = policies.activate(PLAIN, 1_000, new_revision=True)
    assert anew.revision > first.revision


def test_a_policy_that_another_process_brings_in_meanwhile_is_not_overwritten_unseen(
    client: Client, policies: PolicyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile = [WITH_SHOP]

    def hmget(pipeline: Any, *names: Any) -> Any:
        found = read(pipeline, *names)
        if meanwhile:
            policies.activate(meanwhile.pop(), 5_000)
        return found

    read = redis.client.Pipeline.hmget
    monkeypatch.setattr(redis.client.Pipeline, "hmget", hmget)
    brought = policies.activate(PLAIN, 1_000)
    assert brought.revision == 5_001
    assert policies.active() == brought


def test_the_history_says_who_brought_which_policy_and_keeps_the_newest_whole(
    client: Client,
    policies: PolicyStore,
) -> None:
    shops = [Policy(channels=(Channel("shop", cap=n),)) for n in range(130)]
    for n, policy in enumerate(shops):
        said = By(f"by {n}", "x" * 1_000)
        policies.activate(policy, 1_000 + n, by=said)
    entries = policies.history()
    assert [entry.by for entry in entries] == [f"by {n}" for n in range(30, 130)]
    assert {len(entry.why) for entry in entries} == {500}
    assert (entries[-1].revision, entries[-1].at_ms) == (1_129, 1_129)
    kept = [policies.document(entry) for entry in entries]
    assert kept[-20:] == shops[-20:]
    assert set(kept[:-20]) == {None}
    assert len(client.hkeys(KEYS.policy())) == 4 + 20


def test_the_document_of_a_policy_that_comes_back_is_kept(policies: PolicyStore) -> None:
    for n in range(50):
        policies.activate((PLAIN, WITH_SHOP)[n % 2], 1_000)
    entries = policies.history()
    assert len(entries) == 50
    assert policies.document(entries[0]) == PLAIN


def test_what_lies_over_the_policy_gets_a_revision_and_outlives_another_policy(
    policies: PolicyStore,
) -> None:
    first = policies.activate(WITH_SHOP, 1_000)
    freeze = partial(overlay.hold, channel="shop", held="frozen", now_ms=5, by="ana", why="")
    assert policies.change_overlay(500, freeze)
    held = policies.active()
    assert held is not None
    assert held.revision > first.revision
    assert (held.sums_revision, held.policy) == (first.sums_revision, WITH_SHOP)
    assert held.overlay.steered("shop").held == "frozen"
    assert not policies.change_overlay(600, freeze)
    assert policies.active() == held
    other = policies.activate(PLAIN, 2_000)
    assert other.overlay == held.overlay


def test_nothing_is_laid_over_no_policy(policies: PolicyStore) -> None:
    with pytest.raises(NoPolicy, match="penstock init"):
        policies.change_overlay(1_000, lambda known: known)
