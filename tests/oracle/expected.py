"""All answers of one stream under one policy, put together from the rules' own modules."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from tests.oracle.ads import Floats, velocity
from tests.oracle.columns import Bools, Ints, ints, sums_at, unpack
from tests.oracle.levels import ABSENT, available, pool_levels
from tests.oracle.orders import all_demand, recompute_orders
from tests.oracle.policy import Policy
from tests.oracle.positions import Positions, recompute_positions
from tests.oracle.stream import Names, Stream


@dataclass(frozen=True, slots=True)
class Expected:
    """The answers, by SKU code.

    `levels` has a column for each of `channels`, ABSENT for a channel in the shadow. `touched` are
    the SKUs that have to exist. A SKU code of `known` or more is none of the stream's.
    """

    skus: list[str]
    locations: list[str]
    known: int
    touched: Bools
    positions: Positions
    available: Ints
    unrouted: Ints
    channels: list[str]
    levels: Ints
    velocity: Floats
    units: Ints
    open: dict[tuple[str, str], int]
    """(order number, SKU) -> units still to be shipped, where there are any."""

    def without(self, skus: AbstractSet[str]) -> "Expected":
        """The same, with nothing expected of some SKUs."""
        kept = np.array([sku not in skus for sku in self.skus], dtype=bool)
        return replace(self, touched=self.touched & kept)


def netting(policy: Policy, names: Names) -> Ints:
    """The suppliers whose figures are net of orders, by code."""
    return ints(
        sorted(names.location[name] for name, at in policy.locations.items() if at.nets_orders)
    )


def work_out(stream: Stream, policy: Policy, names: Names, known: int) -> Expected:
    """Apply every rule; `known` is how many SKUs the stream has named."""
    skus = len(names.sku)
    positions = recompute_positions(stream, names, netting(policy, names))
    orders = recompute_orders(stream)
    demand = all_demand(stream, orders)
    unrouted = np.zeros(skus, dtype=np.int64)
    for (_, code), units in orders.open.items():
        unrouted[code] += units
    touched = np.zeros(skus, dtype=bool)
    touched[unpack(positions.keys)[0]] = True
    touched[orders.placed.sku] = True
    order_names, sku_names = list(names.order), list(names.sku)
    units_per_day = velocity(demand, stream.newest_ms, skus)
    by_channel = pool_levels(positions, unrouted, policy, names, stream.newest_ms, units_per_day)
    shown = [
        np.full(skus, ABSENT) if channel.mode == "shadow" else by_channel[channel.id]
        for channel in policy.channels
    ]
    return Expected(
        skus=sku_names,
        locations=list(names.location),
        known=known,
        touched=touched,
        positions=positions,
        available=available(positions, unrouted, policy, names),
        unrouted=unrouted,
        channels=[channel.id for channel in policy.channels],
        levels=np.column_stack(shown) if shown else np.zeros((skus, 0), dtype=np.int64),
        velocity=units_per_day,
        units=sums_at(demand.sku, demand.units, skus),
        open={(order_names[o], sku_names[code]): units for (o, code), units in orders.open.items()},
    )
