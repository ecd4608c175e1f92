"""The level of each channel, from the figures of one SKU.

All in integers, in this order:

1. the sum over the eligible classes of `max(0, ATP - floor)`, which the store keeps;
2. less what is unrouted, held, and the network threshold;
3. less what other channels have locked for a campaign that runs;
4. times the channel's share;
5. less its buffer;
6. 0 at or below the cut-off, at most the cap.

`shadow` channels have no level; a `frozen` one keeps the level last emitted.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from state.policy import Campaign, Channel, Compiled


class Figures(NamedTuple):
    """What the store knows of one SKU, in units.

    `base` is the sum of `max(0, ATP)` over all locations but `platform`; `sums` holds, for each of
    the policy's `classes`, the sum of `max(0, ATP - floor)`.
    """

    base: int
    unrouted: int
    held: int
    sums: Sequence[int]


class _Plan:
    """What `derive` needs of a policy, so that one call is a few additions for each channel.

    Channels that may sell from the same classes share one sum: `groups` are the distinct sets.
    """

    __slots__ = ("campaigns", "channels", "frozen", "groups", "threshold")

    def __init__(self, compiled: Compiled) -> None:
        shown = [channel for channel in compiled.policy.channels if channel.mode != "shadow"]
        groups = list(dict.fromkeys(compiled.eligible(channel.id) for channel in shown))
        self.groups = tuple(groups)
        self.threshold = compiled.policy.network_threshold
        self.channels = tuple(
            _channel_row(channel, groups.index(compiled.eligible(channel.id))) for channel in shown
        )
        self.frozen = tuple(channel.id for channel in shown if channel.mode == "frozen")
        self.campaigns: dict[str, tuple[Campaign, ...]] = {}
        for campaign in compiled.policy.campaigns:
            others = self.campaigns.get(campaign.sku, ())
            self.campaigns[campaign.sku] = (*others, campaign)


_ChannelRow = tuple[str, int, int, int, int, int]


def _channel_row(channel: Channel, group: int) -> _ChannelRow:
    return (
        channel.id,
        group,
        channel.share_bp,
        channel.buffer_units,
        channel.cutoff,
        channel.cap,
    )


@lru_cache(maxsize=8)
def _plan(compiled: Compiled) -> _Plan:
    return _Plan(compiled)


def derive(
    compiled: Compiled,
    figures: Figures,
    sku: str,
    business_ms: int,
    last: Mapping[str, int] | None = None,
) -> tuple[int, dict[str, int]]:
    """Return `(available, {channel: level})` of a SKU, in units.

    `available` is below zero when the SKU is oversold; a level never is. `last` are the levels last
    emitted: a frozen channel keeps its own, and shows the computed one until it has any.
    """
    plan = _plan(compiled)
    base, unrouted, held, sums = figures
    taken = unrouted + held + plan.threshold
    pools = []
    for group in plan.groups:
        pool = -taken
        for index in group:
            pool += sums[index]
        pools.append(pool)
    locked = sku in plan.campaigns and _locked_by_channel(plan.campaigns[sku], business_ms)
    locked_total = sum(locked.values()) if locked else 0
    levels: dict[str, int] = {}
    for channel, group_index, share_bp, buffer_units, cutoff, cap in plan.channels:
        pool = pools[group_index]
        if locked:
            pool -= locked_total - locked.get(channel, 0)
        level = pool * share_bp // 10_000 - buffer_units
        levels[channel] = 0 if level <= cutoff else min(level, cap)
    if last:
        for channel in plan.frozen:
            if channel in last:
                levels[channel] = last[channel]
    return base - unrouted - held, levels


def next_edge(compiled: Compiled, sku: str, business_ms: int) -> int | None:
    """Return the business time (ms) at which the next campaign of a SKU starts or ends, if any."""
    campaigns = _plan(compiled).campaigns.get(sku)
    if campaigns is None:
        return None
    edges = (edge for campaign in campaigns for edge in (campaign.start_ms, campaign.end_ms))
    return min((edge for edge in edges if edge > business_ms), default=None)


def _locked_by_channel(campaigns: tuple[Campaign, ...], business_ms: int) -> dict[str, int]:
    locked: dict[str, int] = {}
    for campaign in campaigns:
        if campaign.start_ms <= business_ms < campaign.end_ms:
            locked[campaign.channel] = locked.get(campaign.channel, 0) + campaign.lock
    return locked
