"""The level of each channel, from the figures of one SKU.

All in integers, in this order:

1. the sum over the eligible classes of `max(0, ATP - floor)`, which the store keeps;
2. less what is unrouted, held, and the network threshold;
3. less what other channels have locked for a campaign that runs;
4. times the channel's share;
5. less its buffer, in units or by risk (`state/rules/risk_buffer.py`);
6. 0 at or below the cut-off; in packs, where the channel sells packs; at most the cap.

Overrides may change 4 to 6 for some SKUs (`state/policy/channel_rules.py`).

`shadow` channels have no level; a `frozen` one keeps the level last emitted; that of a `zero` one is 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from state.demand.velocity import day_number, velocity_of
from state.durations import DAY_MS
from state.policy.channel_rules import Rules, channel_rules
from state.policy.compiled import MEMO_MAX, Compiled
from state.policy.document import Campaign, Channel
from state.rules.risk_buffer import risk_buffer

NO_LAGS: Mapping[str, int] = MappingProxyType({})


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

    Channels that may sell from the same classes share one sum: `groups` are the distinct sets. `plain` are the
    rows of all SKUs where no rule distinguishes SKUs and none is by risk or in packs; else each SKU has its own.
    """

    __slots__ = (
        "_by_rules", "_by_sku", "_rules", "_shown", "campaigns", "frozen", "groups", "plain", "threshold"
    )  # fmt: skip

    def __init__(self, compiled: Compiled) -> None:
        channels = compiled.policy.channels
        shown = [(at, channel) for at, channel in enumerate(channels) if channel.mode != "shadow"]
        groups = list(dict.fromkeys(compiled.eligible(channel.id) for _, channel in shown))
        self.groups = tuple(groups)
        self.threshold = compiled.policy.network_threshold
        self._shown = [
            (at, channel, groups.index(compiled.eligible(channel.id))) for at, channel in shown
        ]
        self._rules = channel_rules(compiled)
        self._by_rules: dict[tuple[Rules, ...], tuple[_Row, ...]] = {}
        self._by_sku: dict[str, tuple[_Row, ...]] = {}
        self.plain: tuple[_PlainRow, ...] | None = None
        if self._rules.one_for_all and not any(row.risk_ppm for row in self._rules.of("")):
            self.plain = tuple(row[:6] for row in self._rows(self._rules.of("")))
        self.frozen = tuple(channel.id for _, channel in shown if channel.mode == "frozen")
        self.campaigns = compiled.campaigns

    def rows(self, sku: str) -> "tuple[_Row, ...]":
        """Return the rows of a SKU."""
        found = self._by_sku.get(sku)
        if found is None:
            rules = self._rules.of(sku)
            found = self._by_rules.get(rules)
            if found is None:
                found = self._by_rules[rules] = self._rows(rules)
            if len(self._by_sku) >= MEMO_MAX:
                self._by_sku.clear()
            self._by_sku[sku] = found
        return found

    def _rows(self, rules: tuple[Rules, ...]) -> "tuple[_Row, ...]":
        return tuple(_row(channel, group, rules[at]) for at, channel, group in self._shown)


_PlainRow = tuple[str, int, int, int, int, int]
_Row = tuple[str, int, int, int, int, int, int, int, int]


def _row(channel: Channel, group: int, rules: Rules) -> _Row:
    """Return (channel, group, share, buffer, cut-off, cap, risk, pack, push lag)."""
    if channel.mode == "zero":
        return channel.id, group, 0, 0, 0, 0, 0, 1, 0
    return (
        channel.id, group, rules.share_bp, rules.buffer_units, rules.cutoff, rules.cap,
        rules.risk_ppm, rules.pack, channel.push_lag_ms,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _plan(compiled: Compiled) -> _Plan:
    return _Plan(compiled)


def derive(
    compiled: Compiled,
    figures: Figures,
    sku: str,
    business_ms: int,
    last: Mapping[str, int] | None = None,
    demand: Iterable[tuple[int, int]] = (),
    lags: Mapping[str, int] = NO_LAGS,
) -> tuple[int, dict[str, int]]:
    """Return `(available, {channel: level})` of a SKU, in units, or in packs where a channel sells packs.

    `available` is below zero when the SKU is oversold; a level never is. `last` are the levels last
    emitted: a frozen channel keeps its own, and shows the computed one until it has any. For buffers by
    risk: `demand` holds (UTC day, units), `lags` the measured push lags of channels in ms.
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
    rows = plan.plain
    if rows is not None:
        for channel, group_index, share_bp, buffer_units, cutoff, cap in rows:
            pool = pools[group_index]
            if locked:
                pool -= locked_total - locked.get(channel, 0)
            level = pool * share_bp // 10_000 - buffer_units
            levels[channel] = 0 if level <= cutoff else min(level, cap)
    else:
        buffers = _Buffers(business_ms, demand, lags)
        for row in plan.rows(sku):
            channel, group_index, share_bp, buffer_units, cutoff, cap, risk_ppm, pack, lag_ms = row
            pool = pools[group_index]
            if locked:
                pool -= locked_total - locked.get(channel, 0)
            if risk_ppm:
                buffer_units = buffers.of(channel, lag_ms, risk_ppm)
            level = pool * share_bp // 10_000 - buffer_units
            levels[channel] = 0 if level <= cutoff else min(level // pack, cap)
    if last:
        for channel in plan.frozen:
            if channel in last:
                levels[channel] = last[channel]
    return base - unrouted - held, levels


class _Buffers:
    """The buffers by risk of one SKU. Its velocity is worked out when the first is asked for."""

    __slots__ = ("_business_ms", "_demand", "_lags", "_velocity_mpd")

    def __init__(
        self, business_ms: int, demand: Iterable[tuple[int, int]], lags: Mapping[str, int]
    ) -> None:
        self._business_ms, self._demand, self._lags = business_ms, demand, lags
        self._velocity_mpd = -1

    def of(self, channel: str, lag_ms: int, risk_ppm: int) -> int:
        if self._velocity_mpd < 0:
            self._velocity_mpd = velocity_of(self._demand, day_number(self._business_ms))
        return risk_buffer(self._velocity_mpd, self._lags.get(channel, lag_ms), risk_ppm)


def next_edge(
    compiled: Compiled,
    sku: str,
    business_ms: int,
    demand: Iterable[tuple[int, int]] = (),
    lags: Mapping[str, int] = NO_LAGS,
) -> int | None:
    """Return the business time (ms) at which levels may change though the stock does not, if any.

    That is when the next campaign of the SKU starts or ends, and while a buffer by risk is above 0 the next UTC
    day, with which the velocity decays.
    """
    plan = _plan(compiled)
    campaigns = plan.campaigns.get(sku, ())
    if not campaigns and plan.plain is not None:
        return None
    edges = [
        edge
        for campaign in campaigns
        for edge in (campaign.start_ms, campaign.end_ms)
        if edge > business_ms
    ]
    if plan.plain is None:
        buffers = _Buffers(business_ms, demand, lags)
        if any(row[6] and buffers.of(row[0], row[8], row[6]) for row in plan.rows(sku)):
            edges.append((day_number(business_ms) + 1) * DAY_MS)
    return min(edges, default=None)


def _locked_by_channel(campaigns: tuple[Campaign, ...], business_ms: int) -> dict[str, int]:
    locked: dict[str, int] = {}
    for campaign in campaigns:
        if campaign.runs_at(business_ms):
            locked[campaign.channel] = locked.get(campaign.channel, 0) + campaign.lock
    return locked
