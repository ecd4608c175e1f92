"""When each fact of the year happens: one sorted table, before a single message is made.

A row points at its lines in one pool of (product, quantity), shared by all rows: the lines of a
basket are those of its order, its shipment and its return.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from flows.demo.orders import NEVER, Baskets, baskets_of
from flows.demo.sales import IntArray, Sales
from flows.demo.stock import left_each_week, positions_of, restocking_of
from state.durations import DAY_MS, HOUR_MS

LINES_MAX = 500
DC = 0  # stands for a store number in a row; real ones begin at 1

RECEIVED_AFTER_MS = 24 * HOUR_MS
ANNOUNCED_AFTER_MS = 3 * HOUR_MS
RECEIPT_AFTER_MS = 3 * DAY_MS + 21 * HOUR_MS
ANNOUNCED_ONE_WEEK_IN = 4
CLOSED_AFTER_MS = 16 * DAY_MS
# More chunks than any place has, so that (place, chunk) is one number.
CHUNKS_MAX = 1_000


class RowKind(IntEnum):
    """The kinds of rows; of two at one moment the lower comes first."""

    OPENED = 0
    SOLD = 1
    CANCELLED = 2
    SHIPPED = 3
    RETURNED = 4
    TRANSFER_SHIPPED = 5
    TRANSFER_RECEIVED = 6
    ANNOUNCED = 7
    RECEIVED = 8
    CLOSED = 9


@dataclass(frozen=True, slots=True)
class Timetable:
    """Rows in time order, and what they point at.

    Columns of `rows`: business time in ms; `What`; place number * 1000 + chunk, or the basket
    number; place (a store, or `DC`); what it is about: a row of `baskets` or a Monday in ms;
    first and last line in the pool `product` (an index into `products`), `quantity`.
    """

    rows: IntArray
    product: IntArray
    quantity: IntArray
    products: IntArray
    baskets: Baskets
    opened_ms: int


def timetable_of(sales: Sales) -> Timetable:
    """Return everything that happens in a chain that sells `sales`."""
    baskets = baskets_of(sales)
    positions = positions_of(sales)
    opened_ms = int(sales.time_ms[0]) - 1
    restocking = restocking_of(sales, baskets, positions, opened_ms)
    left = left_each_week(restocking)
    mondays_ms = restocking.mondays_ms

    pools = (
        (np.searchsorted(positions.products, sales.product), sales.quantity),
        (positions.product, positions.quantity),
        (restocking.dc_product, restocking.dc_quantity),
        (restocking.product, restocking.quantity),
        (left[1], left[2]),
    )
    ends = np.cumsum([len(product) for product, _ in pools]).tolist()
    shops = _chunks(positions.store, ends[0])
    centre = _chunks(np.full(len(restocking.dc_product), DC, np.int64), ends[1])
    sent = _chunks(restocking.week * (1 << 32) + restocking.store, ends[2])
    weekly = _chunks(left[0], ends[3])

    parts = [_rows(opened_ms, RowKind.OPENED, place, 0, chunk) for place, *chunk in (centre, shops)]
    parts += _basket_rows(baskets)
    sent_ms, store = mondays_ms[sent[0] >> 32], sent[0] & 0xFFFFFFFF
    parts.append(_rows(sent_ms, RowKind.TRANSFER_SHIPPED, store, sent_ms, sent[1:]))
    received_ms = sent_ms + RECEIVED_AFTER_MS
    parts.append(_rows(received_ms, RowKind.TRANSFER_RECEIVED, store, sent_ms, sent[1:]))
    monday_ms = mondays_ms[weekly[0]]
    parts.append(_rows(monday_ms + RECEIPT_AFTER_MS, RowKind.RECEIVED, DC, monday_ms, weekly[1:]))
    announced = _rows(monday_ms + ANNOUNCED_AFTER_MS, RowKind.ANNOUNCED, DC, monday_ms, weekly[1:])
    parts.append(announced[weekly[0] % ANNOUNCED_ONE_WEEK_IN == 0])

    rows = np.concatenate(parts)
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    closed = [int(rows[-1, 0]) + CLOSED_AFTER_MS, RowKind.CLOSED, 0, DC, 0, 0, 1]
    return Timetable(
        rows=np.concatenate([rows, np.array([closed], np.int64)]),
        product=np.concatenate([product for product, _ in pools]),
        quantity=np.concatenate([quantity for _, quantity in pools]),
        products=positions.products,
        baskets=baskets,
        opened_ms=opened_ms,
    )


def _basket_rows(baskets: Baskets) -> list[IntArray]:
    online = baskets.channel >= 0
    parts = []
    for what, time_ms in (
        (RowKind.SOLD, baskets.time_ms),
        (RowKind.CANCELLED, np.where(online, baskets.cancelled_ms, NEVER)),
        (RowKind.SHIPPED, baskets.shipped_ms),
        (RowKind.RETURNED, baskets.returned_ms),
    ):
        row = np.flatnonzero(time_ms != NEVER)
        columns = [
            time_ms[row],
            np.full(len(row), what, np.int64),
            baskets.basket[row],
            baskets.store[row],
            row,
            baskets.first[row],
            baskets.last[row],
        ]
        parts.append(np.column_stack(columns))
    return parts


def _chunks(group: IntArray, offset: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Cut runs of equal `group` into pieces of at most 500 lines.

    Returns for each piece its group, its number within the group, and its first and last line in
    the pool, where the lines begin at `offset`.
    """
    line = np.arange(len(group))
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    within = line - np.repeat(begins, np.diff(np.append(begins, len(group))))
    first = np.flatnonzero(within % LINES_MAX == 0).astype(np.int64)
    last = np.append(first[1:], len(group)).astype(np.int64)
    return group[first], within[first] // LINES_MAX, first + offset, last + offset


def _rows(
    time_ms: IntArray | int,
    what: RowKind,
    place: IntArray | int,
    about: IntArray | int,
    chunk: tuple[IntArray, ...] | list[IntArray],
) -> IntArray:
    number, first, last = chunk
    columns = (time_ms, int(what), place * CHUNKS_MAX + number, place, about, first, last)
    return np.column_stack([np.broadcast_to(column, number.shape) for column in columns])
