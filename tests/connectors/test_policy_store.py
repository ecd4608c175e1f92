"""The policy and the code tables as the processes of one store share them."""

import redis

from connectors import policy_store
from connectors.codes import Mapping
from state.keys import Keys
from state.policy import Channel, Policy

KEYS = Keys("t")
PLAIN = Policy()
WITH_SHOP = Policy(channels=(Channel("shop"),))


def test_the_same_policy_keeps_its_revision_and_another_gets_a_higher_one(
    redis_client: redis.Redis,
) -> None:
    first = policy_store.bring_in_force(redis_client, KEYS, PLAIN, 1_000)
    again = policy_store.bring_in_force(redis_client, KEYS, PLAIN, 2_000)
    other = policy_store.bring_in_force(redis_client, KEYS, WITH_SHOP, 500)
    assert first.revision == again.revision < other.revision
    assert policy_store.in_force(redis_client, KEYS) == other


def test_a_store_without_a_policy_says_so(redis_client: redis.Redis) -> None:
    assert policy_store.in_force(redis_client, KEYS) is None


def test_a_revision_is_not_given_out_again_after_the_store_went_back(
    redis_client: redis.Redis,
) -> None:
    policy_store.bring_in_force(redis_client, KEYS, PLAIN, 1_000)
    lost = policy_store.bring_in_force(redis_client, KEYS, WITH_SHOP, 2_000)
    redis_client.flushall()
    made = policy_store.bring_in_force(redis_client, KEYS, PLAIN, 3_000)
    assert made.revision > lost.revision


def test_a_code_remapped_holds_from_its_moment_on_and_the_old_row_before(
    redis_client: redis.Redis,
) -> None:
    rows = (Mapping("pos", "X", "A", 1),)
    _, grown = policy_store.add_codes(redis_client, KEYS, rows, 1_000)
    assert grown
    _, grown = policy_store.add_codes(redis_client, KEYS, rows, 2_000)
    assert not grown
    table, grown = policy_store.add_codes(redis_client, KEYS, (Mapping("pos", "X", "B", 6),), 3_000)
    assert grown
    # An event read again after a crash is mapped as it was the first time, by its log timestamp.
    assert table.look_up("pos", "X", 2_999) == ("A", 1)
    assert table.look_up("pos", "X", 3_000) == ("B", 6)
    reread = policy_store.read_codes(redis_client, KEYS)
    assert reread.look_up("pos", "X", 2_999) == ("A", 1)


def test_a_policy_brought_in_anew_gets_another_revision(redis_client: redis.Redis) -> None:
    first = policy_store.bring_in_force(redis_client, KEYS, PLAIN, 1_000)
    anew = policy_store.bring_in_force(redis_client, KEYS, PLAIN, 1_000, anew=True)
    assert anew.revision > first.revision
