"""What came back of orders, and when shipments of suppliers happened, from all events at once.

Of a SKU of an order as much counts as was shipped under its number, the earliest first: by time, then location (as
text), then sellable before damaged. All of it counts where the order never asked for the SKU. A shipment by a
supplier whose figures are net of orders happened when the order was placed, if that was earlier.
"""

from collections import defaultdict

import numpy as np

from tests.oracle.columns import NONE, Bools, Ints, ints
from tests.oracle.stream import Names, Stream

Asked = dict[tuple[int, int], dict[int, int]]
"""(order, SKU) -> channel -> time of the placing (ms)"""


def first_placings(stream: Stream, orders: set[int]) -> Asked:
    """What these orders asked for, each channel's first placing."""
    placings = stream.batch("order.placed")
    asked: Asked = defaultdict(dict)
    seen: set[tuple[int, int]] = set()
    for row, lines in placings.lines():
        order, channel = int(placings.order[row]), int(placings.channel[row])
        if order in orders and (order, channel) not in seen:
            seen.add((order, channel))
            for sku, _ in lines:
                asked[order, sku][channel] = int(placings.time_ms[row])
    return asked


def returned_units(stream: Stream, names: Names) -> Ints:
    """For each line of `order.returned` the units of it that count."""
    back = stream.batch("order.returned")
    if not back.sku.size:
        return back.quantity
    order, time_ms = back.spread(back.order).tolist(), back.spread(back.time_ms).tolist()
    location = back.spread(back.location).tolist()
    text = list(names.location)
    asked = first_placings(stream, set(order))
    shipped: dict[tuple[int, int], int] = defaultdict(int)
    for shipments in (stream.batch("wms.shipment"), stream.batch("pos.sale")):
        wanted = np.isin(shipments.spread(shipments.order), ints(sorted(set(order))))
        rows = (shipments.spread(shipments.order), shipments.sku, shipments.quantity)
        for number, sku, units in zip(*(row[wanted].tolist() for row in rows), strict=True):
            shipped[number, sku] += units
    counted = back.quantity.copy()
    left: dict[tuple[int, int], int] = {}
    sku, damaged = back.sku.tolist(), back.damaged.tolist()
    for at in sorted(
        range(len(sku)), key=lambda at: (time_ms[at], text[location[at]], damaged[at])
    ):
        key = (order[at], sku[at])
        if key in asked:
            units = min(int(counted[at]), left.setdefault(key, shipped[key]))
            left[key] -= units
            counted[at] = units
    return counted


def shipped_at_ms(stream: Stream, netted: Ints) -> Ints:
    """For each line of `wms.shipment` when it happened; `netted` are the suppliers that net orders."""
    shipments = stream.batch("wms.shipment")
    time_ms = shipments.spread(shipments.time_ms).copy()
    of_netted: Bools = np.isin(shipments.spread(shipments.location), netted)
    if not of_netted.any():
        return time_ms
    order, channel = shipments.spread(shipments.order), shipments.spread(shipments.channel)
    asked = first_placings(stream, set(order[of_netted].tolist()))
    for at in np.flatnonzero(of_netted).tolist():
        for by, placed_ms in asked.get((int(order[at]), int(shipments.sku[at])), {}).items():
            if channel[at] in {NONE, by}:
                time_ms[at] = min(int(time_ms[at]), placed_ms)
    return time_ms
