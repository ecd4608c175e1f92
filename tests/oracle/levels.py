"""The level of a channel: the six steps of the design, for all SKUs at once, in integers.

1. Of each eligible location ``max(0, ATP - floor)``.
2. The pool is their sum, less unrouted, held and the network threshold.
3. Less what running campaigns lock for other channels.
4. The share: ``pool * share_bp // 10000``.
5. Less the buffer: units, or the fewest that demand in the push lag is above with at most the risk given.
6. 0 at or below the cut-off; whole packs where the channel sells packs; at most the cap; never below 0.
"""

from fnmatch import fnmatchcase
from math import exp, floor

import numpy as np

from tests.oracle.ads import Floats
from tests.oracle.columns import Bools, Ints, sums_at, unpack
from tests.oracle.policy import Channel, Location, Override, Policy
from tests.oracle.positions import Positions
from tests.oracle.stream import Names

ABSENT = np.iinfo(np.int64).min
_UNCAPPED = 1 << 62
_MS_PER_DAY = 86_400_000


def available(positions: Positions, unrouted: Ints, policy: Policy, names: Names) -> Ints:
    """By SKU: what lies outside platforms, less what is promised. Below zero = oversold."""
    sku, location = unpack(positions.keys)
    own = np.array([policy.location(name).kind != "platform" for name in names.location], bool)
    atp = np.maximum(positions.field("atp"), 0)
    return sums_at(sku, np.where(own[location], atp, 0), unrouted.size) - unrouted


def pool_levels(
    positions: Positions,
    unrouted: Ints,
    policy: Policy,
    names: Names,
    now_ms: int,
    units_per_day: Floats,
    skus: Ints | None = None,
) -> dict[str, Ints]:
    """The level of each SKU on each channel, by its stock alone, shadow or frozen or not.

    With `skus` there may be several rows of one SKU: keys and `unrouted` go by row, `skus` says whose a row is.
    """
    row, location = unpack(positions.keys)
    skus = np.arange(unrouted.size) if skus is None else skus
    floors = _floors(skus[row], location, policy, names)
    above_floor = np.maximum(positions.field("atp") - floors, 0)
    levels: dict[str, Ints] = {}
    for channel in policy.channels:
        places = [(name, policy.location(name)) for name in names.location]
        eligible = np.array([_is_eligible(channel, name, place) for name, place in places], bool)
        pool = sums_at(row, np.where(eligible[location], above_floor, 0), unrouted.size)
        pool -= unrouted + policy.network_threshold
        pool -= _locked_for_others(channel, policy, names, now_ms)[skus]
        share = _figure(channel, "share_bp", 10_000, policy, names)[skus]
        level = pool * share // 10_000 - _buffer(channel, policy, names, units_per_day)[skus]
        sold_out = level <= _figure(channel, "cutoff", 0, policy, names)[skus]
        packs = level // _pack(channel, names)[skus]
        cap = _figure(channel, "cap", _UNCAPPED, policy, names)[skus]
        level = np.where(sold_out, 0, np.minimum(packs, cap))
        levels[channel.id] = np.maximum(level, 0) if channel.mode != "zero" else np.zeros_like(pool)
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
        if override.floor is None:
            continue
        skus = _skus(override, policy, names)
        places = np.array([fnmatchcase(name, override.location) for name in names.location], bool)
        floors[skus[sku] & places[location]] = override.floor
    return floors


def _skus(override: Override, policy: Policy, names: Names) -> Bools:
    """Which SKUs an override is for."""
    category = policy.categories.get(override.category)
    return np.array(
        [
            fnmatchcase(name, override.sku)
            and (not override.category or (category is not None and category.has(name)))
            for name in names.sku
        ],
        bool,
    )


def _figure(channel: Channel, name: str, default: int, policy: Policy, names: Names) -> Ints:
    """A figure of the channel for each SKU, whole."""
    return _overridden(channel, name, default, policy, names).astype(np.int64)


def _overridden(channel: Channel, name: str, default: int, policy: Policy, names: Names) -> Floats:
    """That of the channel, and after it each override that names it and matches."""
    found = np.full(len(names.sku), channel.figures.get(name, default), dtype=np.float64)
    for override in policy.overrides:
        if name in override.figures and fnmatchcase(channel.id, override.channel):
            found[_skus(override, policy, names)] = override.figures[name]
    return found


def _pack(channel: Channel, names: Names) -> Ints:
    """Units in what the channel sells as one."""
    packs = np.ones(len(names.sku), dtype=np.int64)
    for pattern, units in channel.packs:
        packs[np.array([fnmatchcase(name, pattern) for name in names.sku], bool)] = units
    return packs


def _buffer(channel: Channel, policy: Policy, names: Names, units_per_day: Floats) -> Ints:
    """Units held back. Rates are in whole thousandths a day, means in whole millionths of a unit."""
    units = _figure(channel, "units", 0, policy, names)
    risk = _overridden(channel, "risk", 0, policy, names)
    for code in np.flatnonzero(risk):
        thousandths = floor(units_per_day[code] * 1000)
        millionths = -(-thousandths * channel.push_lag_s * 10**6 // _MS_PER_DAY)
        units[code] = _fewest(float(risk[code]), millionths / 10**6)
    return units


def _fewest(risk: float, mean: float) -> int:
    """The smallest number that a Poisson count is above with no more than this chance."""
    term, under, count = exp(-mean), exp(-mean), 0
    while 1 - under > risk:
        count += 1
        term *= mean / count
        under += term
    return count


def _locked_for_others(channel: Channel, policy: Policy, names: Names, now_ms: int) -> Ints:
    locked = np.zeros(len(names.sku), dtype=np.int64)
    for campaign in policy.campaigns:
        runs = campaign.start_ms <= now_ms < campaign.end_ms
        if runs and campaign.channel != channel.id and campaign.sku in names.sku:
            locked[names.sku[campaign.sku]] += campaign.lock
    return locked
