"""Without its rule each hole of holds is there: the pool in memory with the rule taken out."""

from state.events.order_key import order_key
from state.protocol.holds import Hold, Keep
from tests.state.pools import WAREHOUSE, Bench, MemoryPool, consume, move, place_order
from tests.state.random_holds import request

ORDER = order_key("shopee", "o1")


def holding_five(ttl_ms: int = 10) -> tuple[Bench, MemoryPool]:
    pool = MemoryPool()
    bench = Bench(pool)
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, "h", 5, ttl_ms)
    return bench, pool


def hold(bench: Bench, name: str, units: int, ttl_ms: int = 1000) -> None:
    wanted = request(name, {"A": units}, bench.now_ms, ttl_ms=ttl_ms)
    bench.shard.hold(Hold(bench.now_us, 1, 1, (wanted,)))


def left(bench: Bench) -> int:
    state = bench.sku()
    return state.base - state.unrouted - state.held


def test_h1_opens_when_a_record_goes_by_the_life_of_its_key() -> None:
    bench, pool = holding_five()
    bench.now_ms += 50
    pool.holds.records.clear()
    assert bench.shard.sweep(bench.now_us, 10) == 0
    assert (left(bench), bench.shard.listed()) == (0, [])


def test_h3_opens_when_a_confirmation_looks_and_does_not_pin() -> None:
    bench, _ = holding_five()
    assert len(bench.shard.listed()) == 1
    bench.now_ms += 50
    bench.shard.sweep(bench.now_us, 10)
    hold(bench, "g", 5)
    bench.do(place_order("A", "o1", 5), consume("h", ORDER))
    assert left(bench) == -5


def test_h4_opens_when_a_pin_is_rolled_back_before_the_order_is_in_the_log() -> None:
    bench, _ = holding_five()
    saved = bench.shard.save()
    bench.shard.keep(Keep(bench.now_us, "h", ORDER, bench.now_ms + 60_000))
    bench.shard.roll_back(saved)
    bench.now_ms += 50
    bench.shard.sweep(bench.now_us, 10)
    hold(bench, "g", 5)
    bench.do(place_order("A", "o1", 5), consume("h", ORDER))
    assert left(bench) == -5
