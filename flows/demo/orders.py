"""Which baskets were bought online, and what became of them.

A household buys online or it does not, always on the same channel. An order is cancelled an hour
later, or shipped from the shop of its basket; some of what was shipped comes back whole.
"""

from dataclasses import dataclass

import numpy as np

from flows.demo.sales import BoolArray, IntArray, Sales, digest, number
from state.durations import DAY_MS, HOUR_MS

CHANNELS = ("shopee", "momo", "pchome", "yahoo", "shop")
_CHANNEL_BELOW_PERCENT = (40, 65, 80, 90, 100)
ONLINE_PERCENT = 20
CANCELLED_PERCENT = 3
RETURNED_PERCENT = 5
DAMAGED_ONE_IN = 10
CANCELLED_AFTER_MS = HOUR_MS
SHIPPED_AFTER_MS = (4 * HOUR_MS, 36 * HOUR_MS)
RETURNED_AFTER_MS = (3 * DAY_MS, 14 * DAY_MS)
NEVER = -1


@dataclass(frozen=True, slots=True)
class Baskets:
    """One row for each basket, in the order of the sale lines; `first:last` are its lines.

    `channel` is an index into `CHANNELS`, or -1 for a basket bought in the shop. Times are in ms,
    `NEVER` where the thing did not happen. `cancelled_by_line`: the cancellation names its lines.
    """

    basket: IntArray
    time_ms: IntArray
    store: IntArray
    first: IntArray
    last: IntArray
    channel: IntArray
    cancelled_ms: IntArray
    cancelled_by_line: BoolArray
    shipped_ms: IntArray
    returned_ms: IntArray
    damaged: BoolArray

    def __len__(self) -> int:
        return len(self.basket)


def online_channel(household: int) -> int:
    """Return the channel that a household buys on, as an index, or -1: in the shops."""
    some = digest(household)
    if number(some, 0) % 100 >= ONLINE_PERCENT:
        return -1
    draw = number(some, 1) % 100
    return next(i for i, below in enumerate(_CHANNEL_BELOW_PERCENT) if draw < below)


def baskets_of(sales: Sales) -> Baskets:
    """Return the baskets of a table of sale lines, each with its fate."""
    first = np.flatnonzero(np.diff(sales.basket, prepend=-1)).astype(np.int64)
    last = np.append(first[1:], len(sales)).astype(np.int64)
    households, row = np.unique(sales.household[first], return_inverse=True)
    channels = np.array([online_channel(h) for h in households.tolist()], np.int64)
    basket, time_ms, channel = sales.basket[first], sales.time_ms[first], channels[row]
    cancelled, shipped, returned = (np.full(len(basket), NEVER, np.int64) for _ in range(3))
    by_line, damaged = (np.zeros(len(basket), np.bool_) for _ in range(2))
    for i in np.flatnonzero(channel >= 0).tolist():
        some, placed_ms = digest(int(basket[i])), int(time_ms[i])
        if number(some, 0) % 100 < CANCELLED_PERCENT:
            cancelled[i] = placed_ms + CANCELLED_AFTER_MS
            by_line[i] = number(some, 1) % 2
            continue
        shipped[i] = placed_ms + _between(SHIPPED_AFTER_MS, number(some, 1))
        if number(some, 2) % 100 < RETURNED_PERCENT:
            returned[i] = shipped[i] + _between(RETURNED_AFTER_MS, number(some, 3))
            damaged[i] = number(some, 4) % DAMAGED_ONE_IN == 0
    return Baskets(
        basket=basket,
        time_ms=time_ms,
        store=sales.store[first],
        first=first,
        last=last,
        channel=channel,
        cancelled_ms=cancelled,
        cancelled_by_line=by_line,
        shipped_ms=shipped,
        returned_ms=returned,
        damaged=damaged,
    )


def _between(range_ms: tuple[int, int], draw: int) -> int:
    low_s, high_s = range_ms[0] // 1000, range_ms[1] // 1000
    return (low_s + draw % (high_s - low_s + 1)) * 1000
