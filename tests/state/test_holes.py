"""The holes of the protocol, each as its trace, over both back ends.

A trace is a function that ends well on a shard that keeps the rule. Those that `test_holes_reopen.py`
drives over a shard without the rule are written as a function apart.
"""

import itertools

import pytest
import redis

from connectors.redis.cluster import Client
from state.protocol.apply import Apply, Part, ShardEvent
from state.protocol.claim import Claim, Claimed
from state.protocol.common import Behind, StalePolicy
from state.protocol.control import Tick
from state.protocol.keys import Keys
from tests.state import traces
from tests.state.pools import (
    GUARD_MS,
    HOUR_MS,
    NOW_MS,
    PLACES,
    SHOP,
    WAREHOUSE,
    Bench,
    MemoryPool,
    RedisPool,
    cancel,
    count,
    incoming,
    move,
    place_order,
    ship,
)


@pytest.mark.parametrize("trace", traces.ALL, ids=lambda trace: str(trace.__name__))
def test_the_trace_ends_well(bench: Bench, trace: traces.Trace) -> None:
    trace(bench)


def test_i3_a_call_whose_predecessor_never_arrived_is_refused(bench: Bench) -> None:
    bench.call(bench.event(move("A", SHOP, 1)))
    second = bench.call(bench.event(move("A", SHOP, 1)))
    assert bench.shard.apply(second) == Behind((("log/0", -1),))
    assert bench.shard.read("A") is None


def test_i4_a_shard_that_is_ahead_after_a_restart_takes_the_call_and_skips_what_it_has(
    bench: Bench,
) -> None:
    events = [bench.event(move("A", SHOP, 1)) for _ in range(3)]
    bench.send(events[0])
    bench.after.clear()
    assert bench.send(*events).replayed == 1
    assert bench.on_hand(location="shop") == 3


def test_i10_a_value_of_another_type_under_a_key_stops_the_call_before_any_write(
    client: Client,
) -> None:
    pool = RedisPool(client)
    bench = Bench(pool)
    bench.do(place_order("A", "o1", 5))
    bench.do(incoming("A", SHOP, "r1", 5))
    bench.do(move("A", SHOP, 1))
    event = bench.event(
        place_order("A", "o1", 5), incoming("A", SHOP, "r1", 5), count("A", SHOP, NOW_MS - 1, 5)
    )
    call = bench.call(bench.event(move("B", SHOP, 1)), event)
    for name in ("mark", "meta", "due", "pos:A", "order:o1", "ref:r1", "seen:100"):
        before = pool.save()
        key = pool.keys.shard(0, name)
        client.delete(key)
        client.xadd(key, {"another": "type"})
        spoiled = pool.save()
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            pool.apply(call)
        assert pool.save() == spoiled, name
        pool.roll_back(before)
    assert not isinstance(pool.apply(call), Behind)


def test_d1_every_line_of_an_event_counts_not_only_the_first(bench: Bench) -> None:
    bench.do(move("A", SHOP, 2), move("A", SHOP, 3), move("A", WAREHOUSE, 1), move("B", SHOP, 7))
    assert (bench.on_hand("A", "shop"), bench.on_hand("A"), bench.on_hand("B", "shop")) == (5, 1, 7)


def test_d4_each_entry_renews_the_life_of_its_slice_of_the_guard(
    client: Client,
) -> None:
    bench = Bench(RedisPool(client))
    key = Keys("t").shard(0, "seen:100")
    bench.do(move("A", SHOP, 1))
    client.pexpire(key, HOUR_MS)
    bench.do(move("A", SHOP, 1))
    assert GUARD_MS - 60_000 < client.pttl(key) <= GUARD_MS


def test_d5_a_resend_with_another_event_time_is_known_by_its_log_time(bench: Bench) -> None:
    bench.send(bench.event(move("A", SHOP, 1), event_id="7", time_ms=NOW_MS, slice_=100))
    again = bench.event(
        move("A", SHOP, 1), event_id="7", time_ms=NOW_MS - 900 * HOUR_MS, slice_=101
    )
    assert bench.send(again).duplicates == ((0, 0),)
    assert bench.on_hand(location="shop") == 1


def test_p8_the_repetition_of_a_recovery_lifts_the_floor_over_a_second_failover(
    bench: Bench,
) -> None:
    bench.do(move("A", SHOP, 1))
    bench.recover()
    bench.now_ms += 60_000
    bench.recover(begin=2)
    bench.now_ms -= 900
    bench.do(move("A", SHOP, 1))
    assert bench.sku().version >= (NOW_MS + 62_000) * 1000


def test_o3_counts_and_movements_end_alike_in_every_order_of_arrival() -> None:
    """Over the memory pool: the state machine holds the Redis functions to it."""
    ends = set()
    for order in itertools.permutations(
        [
            (move("A", SHOP, -2), NOW_MS + 1),
            (move("A", SHOP, -3), NOW_MS + 5),
            (move("A", SHOP, 4), NOW_MS + 9),
            (count("A", SHOP, NOW_MS + 3, 20), NOW_MS + 3),
            (count("A", SHOP, NOW_MS + 7, 30), NOW_MS + 7),
        ]
    ):
        bench = Bench(MemoryPool())
        for op, time_ms in order:
            bench.do(op, time_ms=time_ms)
        ends.add(bench.on_hand(location="shop"))
    assert ends == {34}


@pytest.mark.parametrize("first", [4, 6])
def test_o4_of_two_counts_of_one_time_the_lower_wins(bench: Bench, first: int) -> None:
    bench.do(count("A", SHOP, NOW_MS, first))
    bench.do(count("A", SHOP, NOW_MS, 10 - first))
    assert bench.on_hand(location="shop") == 4


def test_an_old_zombie_repeats_all_its_calls_and_changes_nothing(bench: Bench) -> None:
    calls: list[Apply] = []
    for op in (
        move("A", SHOP, 5),
        place_order("A", "o1", 3),
        ship("A", "o1", 1),
        cancel("A", "o1", 1),
    ):
        calls.append(bench.call(bench.event(op)))
        bench.shard.apply(calls[-1])
    before = bench.shard.everything()
    for call in reversed(calls):
        bench.shard.apply(call)
    assert bench.shard.everything() == before


def test_a_refused_call_changes_nothing(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    bench.revision = 2
    bench.tick()
    before = bench.shard.everything()
    gap = Part("log/0", 7, 9, (ShardEvent(9, "9", 1, 1, 1, 1, "", (move("A", SHOP, 1),)),))
    assert isinstance(bench.shard.apply(Apply(1, 2, GUARD_MS, PLACES, (gap,))), Behind)
    assert isinstance(bench.shard.tick(Tick(1, "s9", 3, 1 << 50, (gap,))), Behind)
    assert isinstance(bench.shard.claim(Claim(1, 5, 1, 1, 0, 5)), StalePolicy)
    assert bench.shard.everything() == before
    assert isinstance(bench.shard.claim(Claim(bench.now_us, 5, 2, 2, 0, 5)), Claimed)
