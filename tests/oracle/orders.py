"""Orders: what is still promised, and what was asked for.

Of a line ``open = max(0, asked - cancelled - shipped)``; 0 once a cancel without lines voids the
order. The first placing of an order wins. Nothing is routed, so all that is open is unrouted.
Two channels may use one order number: a fact that names no channel counts once against all of them.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tests.oracle.columns import NONE, Ints, ints, sums_at
from tests.oracle.stream import Batch, Stream


@dataclass(frozen=True, slots=True)
class Demand:
    """Units that customers asked for: one row for each line of a sale or of a placed order."""

    time_ms: Ints
    sku: Ints
    units: Ints


@dataclass(frozen=True, slots=True)
class Orders:
    """Open units by (order number, SKU) code where there are any, and the lines of placed orders as demand."""

    open: dict[tuple[int, int], int]
    placed: Demand


def recompute_orders(stream: Stream) -> Orders:
    """Lay all facts about orders together; their order in time does not matter."""
    asked: dict[tuple[int, int], list[tuple[int, int]]] = {}
    placed: list[tuple[int, int, int]] = []
    placings = stream.batch("order.placed")
    for row, lines in placings.lines():
        order = (int(placings.order[row]), int(placings.channel[row]))
        if order not in asked:
            asked[order] = lines
            placed += [(int(placings.time_ms[row]), sku, units) for sku, units in lines]

    gone: Counter[tuple[int, int, int]] = Counter()
    voided: set[tuple[int, int]] = set()
    cancels = stream.batch("order.cancelled")
    for row, lines in cancels.lines():
        order = (int(cancels.order[row]), int(cancels.channel[row]))
        if not lines:
            voided.add(order)
        _add(gone, order, lines)
    for shipments in (stream.batch("wms.shipment"), stream.batch("pos.sale")):
        for row, lines in shipments.lines():
            if shipments.order[row] != NONE:
                _add(gone, (int(shipments.order[row]), int(shipments.channel[row])), lines)

    left: Counter[tuple[int, int]] = Counter()
    for (number, channel), lines in asked.items():
        if (number, channel) in voided or (number, NONE) in voided:
            continue
        units_by_sku: Counter[int] = Counter()
        for sku, units in lines:
            units_by_sku[sku] += units
        for sku, units in units_by_sku.items():
            left[number, sku] += max(0, units - gone[number, channel, sku])
    is_open = {key: units - gone[key[0], NONE, key[1]] for key, units in left.items()}
    columns = ints(placed).reshape(-1, 3)
    demand = Demand(columns[:, 0], columns[:, 1], columns[:, 2])
    return Orders({key: units for key, units in is_open.items() if units > 0}, demand)


def _add(
    gone: Counter[tuple[int, int, int]], order: tuple[int, int], lines: list[tuple[int, int]]
) -> None:
    for sku, units in lines:
        gone[(*order, sku)] += units


def all_demand(stream: Stream, orders: Orders) -> Demand:
    """Placed orders, and the sales that settle none: an order was counted where it was placed."""
    sales: Batch = stream.batch("pos.sale")
    walk_in = sales.spread(sales.settled) == 0
    return Demand(
        np.concatenate([orders.placed.time_ms, sales.spread(sales.time_ms)[walk_in]]),
        np.concatenate([orders.placed.sku, sales.sku[walk_in]]),
        np.concatenate([orders.placed.units, sales.quantity[walk_in]]),
    )


def units_by_sku(demand: Demand, skus: int) -> Ints:
    """All units asked for, by SKU code."""
    return sums_at(demand.sku, demand.units, skus)
