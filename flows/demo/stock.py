"""How each shop opened, and what it is sent every Monday.

One product in ten is bought once: its opening stock is what the position sells in all, so that it
runs down to nothing. The others open at a target S = max(2, twice the best week of the position) and
are raised to S every Monday at 09:00 UTC by a transfer from the distribution centre, `dc`. It opens
with eight weeks of that demand and is sent each week what left it.
"""

from dataclasses import dataclass

import numpy as np

from flows.demo.orders import NEVER, Baskets
from flows.demo.sales import BoolArray, IntArray, Sales, digest, number
from state.durations import DAY_MS, HOUR_MS, WEEK_MS

BOUGHT_ONCE_ONE_IN = 10
MARK_MIN = 2
DC_WEEKS = 8
# 1970-01-05 was the first Monday of the epoch.
_MONDAY_MS = 4 * DAY_MS
RAISE_AT_MS = 9 * HOUR_MS


def bought_once(product: int) -> bool:
    """Say whether a product is never bought again once its opening stock is sold."""
    return number(digest(product), 0) % BOUGHT_ONCE_ONE_IN == 0


@dataclass(frozen=True, slots=True)
class Positions:
    """The positions of the shops, sorted by (store, product), with what they open with.

    `product` indexes into `products`, which is sorted; `line` gives the position of each sale line.
    """

    products: IntArray
    store: IntArray
    product: IntArray
    quantity: IntArray
    restocked: BoolArray
    line: IntArray


@dataclass(frozen=True, slots=True)
class Restocking:
    """What `dc` opens with, by product, and what leaves it: rows sorted by (week, store, product).

    `mondays_ms[week]` is when a transfer is shipped.
    """

    mondays_ms: IntArray
    dc_product: IntArray
    dc_quantity: IntArray
    week: IntArray
    store: IntArray
    product: IntArray
    quantity: IntArray


def positions_of(sales: Sales) -> Positions:
    """Return every position that sold anything, and the stock that it opens with."""
    products, product = np.unique(sales.product, return_inverse=True)
    stores, store = np.unique(sales.store, return_inverse=True)
    keys, line = np.unique(store * len(products) + product, return_inverse=True)
    sold = _sums(line, sales.quantity, len(keys))
    week = (sales.time_ms - _MONDAY_MS) // WEEK_MS
    week -= week.min()
    weeks = int(week.max()) + 1
    cells, cell = np.unique(line * weeks + week, return_inverse=True)
    best_week = np.zeros(len(keys), np.int64)
    np.maximum.at(best_week, cells // weeks, _sums(cell, sales.quantity, len(cells)))
    once = np.array([bought_once(p) for p in products.tolist()], np.bool_)
    restocked = ~once[keys % len(products)]
    return Positions(
        products=products,
        store=stores[keys // len(products)],
        product=keys % len(products),
        quantity=np.where(restocked, np.maximum(MARK_MIN, 2 * best_week), sold),
        restocked=restocked,
        line=line,
    )


def restocking_of(
    sales: Sales, baskets: Baskets, positions: Positions, opened_ms: int
) -> Restocking:
    """Return the transfers that raise each restocked position to its target, Monday by Monday.

    What was sold or shipped up to and including the very moment of the Monday counts; sellable
    returns count against it, damaged ones stand aside. A position above its target is sent nothing.
    """
    mondays_ms = _mondays(opened_ms, int(sales.time_ms[-1]))
    line, week, units = _movements(sales, baskets, positions, mondays_ms)
    missing = np.zeros(len(positions.store), np.int64)
    nothing = np.zeros(0, np.int64)
    parts = [(nothing, nothing, nothing)]
    bounds = np.searchsorted(week, np.arange(len(mondays_ms) + 1))
    for monday in range(len(mondays_ms)):
        now = slice(bounds[monday], bounds[monday + 1])
        missing += _sums(line[now], units[now], len(missing))
        raised = np.flatnonzero(missing > 0).astype(np.int64)
        parts.append((np.full(len(raised), monday, np.int64), raised, missing[raised]))
        missing[raised] = 0
    weeks, raised, amount = (np.concatenate(part) for part in zip(*parts, strict=True))
    product = positions.product[raised]
    dc_product, dc_quantity = _dc_opening(product, weeks, amount, len(mondays_ms))
    return Restocking(
        mondays_ms=mondays_ms,
        dc_product=dc_product,
        dc_quantity=dc_quantity,
        week=weeks,
        store=positions.store[raised],
        product=product,
        quantity=amount,
    )


def left_each_week(restocking: Restocking) -> tuple[IntArray, IntArray, IntArray]:
    """Return (week, product, quantity) of what left `dc`, sorted by week and product."""
    width = int(restocking.product.max(initial=0)) + 1
    keys, row = np.unique(restocking.week * width + restocking.product, return_inverse=True)
    return keys // width, keys % width, _sums(row, restocking.quantity, len(keys))


def _mondays(after_ms: int, before_ms: int) -> IntArray:
    """Return every Monday 09:00 UTC after `after_ms` and before `before_ms`."""
    since_ms = _MONDAY_MS + RAISE_AT_MS
    first, end = (after_ms - since_ms) // WEEK_MS + 1, -(-(before_ms - since_ms) // WEEK_MS)
    return np.arange(first, end).astype(np.int64) * WEEK_MS + since_ms


def _movements(
    sales: Sales, baskets: Baskets, positions: Positions, mondays_ms: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Return (position, week, units out) of restocked positions, sorted by week."""
    out_ms = np.where(baskets.channel >= 0, baskets.shipped_ms, baskets.time_ms)
    back_ms = np.where(baskets.damaged, NEVER, baskets.returned_ms)
    of_line = np.repeat(np.arange(len(baskets)), baskets.last - baskets.first)
    parts = []
    for time_ms, sign in ((out_ms[of_line], 1), (back_ms[of_line], -1)):
        moved = np.flatnonzero((time_ms != NEVER) & positions.restocked[positions.line])
        # The first Monday that is not before the movement.
        week = np.searchsorted(mondays_ms, time_ms[moved]).astype(np.int64)
        parts.append((positions.line[moved], week, sign * sales.quantity[moved]))
    line, week, units = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(week, kind="stable")
    return line[order], week[order], units[order]


def _dc_opening(
    product: IntArray, week: IntArray, amount: IntArray, weeks: int
) -> tuple[IntArray, IntArray]:
    """Eight mean weeks of a product's transfers, and never less than its largest week."""
    products, row = np.unique(product, return_inverse=True)
    total = _sums(row, amount, len(products))
    cells, cell = np.unique(row * max(weeks, 1) + week, return_inverse=True)
    largest = np.zeros(len(products), np.int64)
    np.maximum.at(largest, cells // max(weeks, 1), _sums(cell, amount, len(cells)))
    mean_weeks = -(-DC_WEEKS * total // max(weeks, 1))
    return products, np.maximum(mean_weeks, largest)


def _sums(row: IntArray, amount: IntArray, rows: int) -> IntArray:
    sums = np.zeros(rows, np.int64)
    np.add.at(sums, row, amount)
    return sums
