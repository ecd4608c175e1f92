"""What becomes of a hold of all five units of a SKU: traces that end alike wherever the rules of holds are kept."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from state.events.order_key import order_key
from state.protocol.holds import Hold, Keep
from tests.state.pools import WAREHOUSE, Bench, consume, move, place_order
from tests.state.random_holds import request

ORDER = order_key("shopee", "o1")
TTL_MS = 10
LATE_MS = 50
PIN_MS = 60_000


class End(NamedTuple):
    """What the pool has in the end. Below 0 units are promised twice."""

    left: int
    holds: int
    swept: int
    """Holds that lapsed on the way."""


Trace: TypeAlias = Callable[[Bench], End]


def a_hold_lapses(bench: Bench) -> End:
    _hold_five(bench, "h")
    bench.now_ms += LATE_MS
    return _end(bench, bench.shard.sweep(bench.now_us, 10))


def a_hold_is_confirmed_at_the_last_moment(bench: Bench) -> End:
    """Its order is in the log only when its time is over, and another customer has asked for the units."""
    _hold_five(bench, "h")
    bench.shard.keep(Keep(bench.now_us, "h", ORDER, bench.now_ms + PIN_MS))
    bench.now_ms += LATE_MS
    swept = bench.shard.sweep(bench.now_us, 10)
    bench.shard.hold(Hold(bench.now_us, 1, 1, (request("g", {"A": 5}, bench.now_ms),)))
    bench.do(place_order("A", "o1", 5), consume("h", ORDER))
    return _end(bench, swept)


KEPT: tuple[tuple[Trace, End], ...] = (
    (a_hold_lapses, End(left=5, holds=0, swept=1)),
    (a_hold_is_confirmed_at_the_last_moment, End(left=0, holds=0, swept=0)),
)


def _hold_five(bench: Bench, name: str) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    wanted = request(name, {"A": 5}, bench.now_ms, ttl_ms=TTL_MS)
    bench.shard.hold(Hold(bench.now_us, 1, 1, (wanted,)))


def _end(bench: Bench, swept: int) -> End:
    state = bench.sku()
    return End(state.base - state.unrouted - state.held, len(bench.shard.listed()), swept)
