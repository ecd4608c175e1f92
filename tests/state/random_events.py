"""Random events for the state machine: few names and few times, so that facts meet each other."""

from typing import TypeAlias, cast

from hypothesis import strategies as st

from state.events.ops import (
    CANCEL,
    CLOSE,
    CONSUME,
    COUNT,
    INCOMING,
    MOVE,
    NETTED,
    ORDER,
    RETURN,
    SHIP,
    VOID,
)
from state.protocol.apply import ShardEvent, ShardOp
from tests.state.pools import DAY_MS, NOW_MS

SKUS = ("A", "B", "ß{1}")
LOCATIONS = ("warehouse", "shop", "platform", "closed")
ORDERS = ("o1", "o2")
HOLDS = ("h1", "h2", "h3")
CHANNELS = ("shopee", "momo")
NAMING = (ORDER, CANCEL, VOID, SHIP, RETURN, NETTED)
PARTITIONS = ("log/0", "log/1", "log/2")

sku = st.sampled_from(SKUS)
place = st.integers(0, len(LOCATIONS) - 1)
order = st.sampled_from(ORDERS)
channel = st.sampled_from(CHANNELS)
any_channel = st.sampled_from(("", *CHANNELS))
hold = st.sampled_from(HOLDS)
quantity = st.integers(1, 9)
delta = st.integers(-9, 9).filter(bool)
# Few distinct times, so that counts meet movements of their own millisecond and demand loses days.
time_ms = st.builds(
    lambda day, ms: NOW_MS + day * DAY_MS + ms, st.integers(-16, 0), st.integers(0, 3)
)

op = st.one_of(
    st.tuples(st.just(MOVE), sku, place, delta, st.just(0), st.integers(0, 2)),
    st.tuples(st.just(MOVE), sku, place, st.integers(-3, 3), st.integers(-3, 3), st.just(0)),
    st.tuples(st.just(COUNT), sku, place, time_ms, st.integers(0, 9)),
    st.tuples(st.just(INCOMING), sku, place, st.sampled_from(("r1", "r2")), delta),
    st.tuples(st.just(ORDER), sku, order, channel, quantity),
    st.tuples(st.just(CANCEL), sku, order, any_channel, quantity),
    st.tuples(st.just(VOID), st.just(""), order, any_channel),
    st.tuples(st.just(CONSUME), st.just(""), hold, st.sampled_from(("", "shopee\x1fo1"))),
    st.tuples(st.just(RETURN), sku, order, st.integers(0, 4), st.integers(0, 4), place),
    st.tuples(st.just(NETTED), sku, order, any_channel, quantity, place),
    st.tuples(
        st.just(CLOSE), st.just(""), st.sampled_from(LOCATIONS), st.sampled_from(("r1", "r2"))
    ),
    st.tuples(
        st.just(SHIP), sku, order, any_channel, quantity, st.sampled_from(LOCATIONS)
    ),
)  # fmt: skip


Batch: TypeAlias = list[tuple[str, ShardEvent, int]]
"""(partition, event, 0 or which event of the log to append again in its place)"""


def of_one_order(ops: list[ShardOp], time_ms: int, slice_: int, order: str) -> ShardEvent:
    """Make an event that names one order at most, as every message does."""
    named = any(each[0] in NAMING for each in ops)
    mine = [(*each[:2], order, *each[3:]) if each[0] in NAMING else each for each in ops]
    return ShardEvent(
        0, "", slice_, time_ms, 0, 0, order if named else "", cast("tuple[ShardOp, ...]", tuple(mine))
    )  # fmt: skip


made = st.builds(
    of_one_order, st.lists(op, min_size=1, max_size=5), time_ms, st.integers(9, 13), order
)
again = st.sampled_from((0, 0, 0, 0, 1, 2, 7))
batch = st.lists(st.tuples(st.sampled_from(PARTITIONS), made, again), min_size=1, max_size=6)
