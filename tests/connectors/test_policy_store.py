"""The policy and the code tables as the processes of one store share them."""

from typing import Any

import pytest
import redis

from connectors import policy_store
from connectors.codes import Mapping
from connectors.redis_cluster import Client
from state.keys import Keys
from state.policy import Channel, Policy

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
    _, grown = policy_store.add_codes(client, KEYS, rows, 1_000)
    assert grown
    _, grown = policy_store.add_codes(client, KEYS, rows, 2_000)
    assert not grown
    table, grown = policy_store.add_codes(client, KEYS, (Mapping("pos", "X", "B", 6),), 3_000)
    assert grown
    # An event read again after a crash is mapped as it was the first time, by its log timestamp.
    assert table.look_up("pos", "X", 2_999) == ("A", 1)
    assert table.look_up("pos", "X", 3_000) == ("B", 6)
    reread = policy_store.read_codes(client, KEYS)
    assert reread.look_up("pos", "X", 2_999) == ("A", 1)


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
