"""The level of a channel: the six steps of the design, for all SKUs at once, in integers.

1. Of each eligible location ``max(0, ATP - floor)``.
2. The pool is their sum, less unrouted, held and the network threshold.
3. Less what running campaigns lock for other channels.
4. The share: ``pool * share_bp // 10000``.
5. Less the buffer in units.
6. 0 at or below the cut-off; at most the cap; never below 0.
"""

from fnmatch import fnmatchcase

import numpy as np

from tests.oracle.columns import Ints, sums_at, unpack
from tests.oracle.policy import Channel, Location, Policy
from tests.oracle.positions import Positions
from tests.oracle.stream import Names

ABSENT = np.iinfo(np.int64).min


def available(positions: Positions, unrouted: Ints, policy: Policy, names: Names) -> Ints:
    """By SKU: what lies outside platforms, less what is promised. Below zero = oversold."""
    sku, location = unpack(positions.keys)
    own = np.array([policy.location(name).kind != "platform" for name in names.location], bool)
    atp = np.maximum(positions.field("atp"), 0)
    return sums_at(sku, np.where(own[location], atp, 0), unrouted.size) - unrouted


def pool_levels(
    positions: Positions, unrouted: Ints, policy: Policy, names: Names, now_ms: int
) -> dict[str, Ints]:
    """The level of each SKU on each channel, by its stock alone, whatever the mode."""
    sku, location = unpack(positions.keys)
    above_floor = np.maximum(positions.field("atp") - _floors(sku, location, policy, names), 0)
    levels: dict[str, Ints] = {}
    for channel in policy.channels:
        places = [(name, policy.location(name)) for name in names.location]
        eligible = np.array([_is_eligible(channel, name, place) for name, place in places], bool)
        pool = sums_at(sku, np.where(eligible[location], above_floor, 0), unrouted.size)
        pool -= unrouted + policy.network_threshold
        pool -= _locked_for_others(channel, policy, names, now_ms, unrouted.size)
        level = pool * channel.share_bp // 10_000 - channel.buffer_units
        level = np.where(level <= channel.cutoff, 0, np.minimum(level, channel.cap))
        levels[channel.id] = np.maximum(level, 0)
    return levels


def _is_eligible(channel: Channel, name: str, place: Location) -> bool:
    """Stock at a platform counts for that channel alone, whatever kinds and regions say."""
    if name in channel.exclude:
        return False
    if place.kind == "platform":
        return place.channel == channel.id
    in_region = channel.regions is None or place.region in channel.regions
    return place.kind in channel.kinds and in_region


def _floors(sku: Ints, location: Ints, policy: Policy, names: Names) -> Ints:
    """The floor of each position: by kind of location, then each override that matches both."""
    kinds = [policy.location(name).kind for name in names.location]
    by_location = np.array([policy.floors.get(kind, 0) for kind in kinds], dtype=np.int64)
    floors = by_location[location]
    for override in policy.overrides:
        skus = np.array([fnmatchcase(name, override.sku) for name in names.sku], bool)
        places = np.array([fnmatchcase(name, override.location) for name in names.location], bool)
        floors[skus[sku] & places[location]] = override.floor
    return floors


def _locked_for_others(
    channel: Channel, policy: Policy, names: Names, now_ms: int, skus: int
) -> Ints:
    locked = np.zeros(skus, dtype=np.int64)
    for campaign in policy.campaigns:
        runs = campaign.start_ms <= now_ms < campaign.end_ms
        if runs and campaign.channel != channel.id and campaign.sku in names.sku:
            locked[names.sku[campaign.sku]] += campaign.lock
    return locked
