"""Why a channel may show what it shows: the level of one SKU taken apart.

First what each location adds, then what each rule changes, in the order in which the rules are applied. All in
units; the parts add up to the level, and where they do not, that is a finding.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from state.policy.compiled import Compiled
from state.protocol.common import LocationTerms
from state.protocol.figures import Position, SkuState
from state.rules.exclusions import figures_of
from state.rules.level_steps import Step, steps
from state.rules.levels import NO_LAGS, Figures, derive

Why = Literal["", "unlisted", "platform", "excluded", "kind", "region", "silent"]
"""Why a location adds nothing for a channel, whatever is there; "" = it may be sold from."""


class Contribution(NamedTuple):
    """What one location adds for one channel."""

    location: str
    kind: str
    region: str
    on_hand: int
    reserved: int
    unavailable: int
    atp: int
    floor: int
    """Units kept for its own customers."""
    floor_by: str
    """The field of the policy that says so, "" when none does."""
    counted: bool
    why: Why
    units: int


class Explanation(NamedTuple):
    """One level taken apart."""

    sku: str
    channel: str
    locations: tuple[Contribution, ...]
    steps: tuple[Step, ...]
    level: int
    findings: tuple[str, ...]
    """What does not add up, in words."""


class Explainer:
    """Explains levels under one policy and at one time.

    Args:
        compiled: the policy that levels are derived under.
        business_ms: business time.
        silent: locations whose stock counts for no channel now.
        lags: measured push lags of channels (ms).
        sums_revision: the revision that class sums belong to; those of a SKU are compared if they are of it.
    """

    def __init__(
        self,
        compiled: Compiled,
        business_ms: int,
        silent: Collection[str] = (),
        lags: Mapping[str, int] = NO_LAGS,
        sums_revision: int = 0,
    ) -> None:
        self._compiled = compiled
        self._business_ms = business_ms
        self._silent = frozenset(silent)
        self._lags = lags
        self._sums_revision = sums_revision
        self._class = {name: index for index, name in enumerate(compiled.classes)}
        self._why: dict[tuple[str, str], Why] = {}

    def explain(
        self, state: SkuState, channel: str, last: Mapping[str, int] | None = None
    ) -> Explanation:
        """Take the level of a channel apart; `last` are the levels last emitted, which a frozen channel keeps.

        Raises:
            KeyError: the policy does not list the channel.
        """
        figures = self._figures(state)
        done = self._steps(state, figures, channel, last)
        levels = self._levels(state, figures, last)
        found = tuple(self._contribution(state.sku, each, channel) for each in state.positions)
        stock = sum(each.units for each in found)
        findings = (
            *_step_faults(stock, done, levels.get(channel)),
            *self._sum_faults(state, channel),
        )
        return Explanation(state.sku, channel, found, done, done[-1].result, findings)

    def check(
        self, state: SkuState, last: Mapping[str, int] | None = None
    ) -> Iterator[tuple[str, int, list[str]]]:
        """Yield `(channel, level, findings)` of each channel: the same as `explain` finds, for many SKUs."""
        figures = self._figures(state)
        levels = self._levels(state, figures, last)
        place, sku = self._compiled.locate, state.sku
        above = [
            (each.location, max(0, each.atp - place(sku, each.location)[2]))
            for each in state.positions
        ]
        above = [(location, units) for location, units in above if units]
        for channel in self._compiled.channels:
            done = self._steps(state, figures, channel, last)
            stock = sum(units for location, units in above if not self.why_not(channel, location))
            findings = [*_step_faults(stock, done, levels.get(channel))]
            findings += self._sum_faults(state, channel)
            yield channel, done[-1].result, findings

    def why_not(self, channel: str, location: str) -> Why:
        """Return why a channel may not sell the stock at a location, "" when it may."""
        known = self._why.get((channel, location))
        if known is None:
            known = why_not(self._compiled, channel, location)
            if not known and location in self._silent:
                known = "silent"
            self._why[channel, location] = known
        return known

    def _figures(self, state: SkuState) -> Figures:
        """Return the figures of a SKU, made from its positions and not from the sums kept with it."""
        return figures_of(
            state.sku, state.positions, self._locate, len(self._class),
            silent=self._silent, unrouted=state.unrouted, held=state.held,
        )  # fmt: skip

    def _locate(self, sku: str, location: str) -> LocationTerms:
        name, klass, floor, base = self._compiled.locate(sku, location)
        return LocationTerms(name, self._class[klass], floor, base)

    def _steps(
        self, state: SkuState, figures: Figures, channel: str, last: Mapping[str, int] | None
    ) -> tuple[Step, ...]:
        return steps(
            self._compiled, figures, state.sku, channel, self._business_ms, last, state.demand,
            self._lags,
        )  # fmt: skip

    def _levels(
        self, state: SkuState, figures: Figures, last: Mapping[str, int] | None
    ) -> dict[str, int]:
        return derive(
            self._compiled, figures, state.sku, self._business_ms, last, state.demand, self._lags
        )[1]

    def _contribution(self, sku: str, position: Position, channel: str) -> Contribution:
        compiled, location, atp = self._compiled, position.location, position.atp
        where = compiled.locations.get(location)
        kind, region = ("", "") if where is None else (where.kind, where.region)
        floor, why = compiled.locate(sku, location)[2], self.why_not(channel, location)
        return Contribution(
            location, kind, region, position.on_hand, position.reserved, position.unavailable,
            atp, floor, _floor_by(compiled, kind, floor), position.counted_at_ms is not None,
            why, 0 if why else max(0, atp - floor),
        )  # fmt: skip

    def _sum_faults(self, state: SkuState, channel: str) -> Iterator[str]:
        """Yield where the sums kept with a SKU are not those of its positions, silent ones among them."""
        if not self._sums_revision or state.sums_revision != self._sums_revision:
            return
        place, sku, sums = self._compiled.locate, state.sku, state.sums
        eligible = frozenset(self._compiled.eligible(channel))
        kept = sum(sums[index] for index in eligible if index < len(sums))
        found = base = 0
        for each in state.positions:
            _, klass, floor, counts = place(sku, each.location)
            base += counts * max(0, each.atp)
            if self._class[klass] in eligible:
                found += max(0, each.atp - floor)
        if kept != found:
            yield f"sums: expected {found}, what the locations add, got {kept} kept with the SKU"
        if state.base != base:
            yield f"available: expected {base} at all locations, got {state.base} kept with the SKU"


def why_not(compiled: Compiled, channel: str, location: str) -> Why:
    """Return why a channel may not sell the stock at a location, by the rules of the policy."""
    where = compiled.locations.get(location)
    rules = compiled.channels[channel]
    if where is None and compiled.policy.unknown.location == "reject":
        return "unlisted"
    if location in rules.exclude:
        return "excluded"
    kind, region = ("store", "") if where is None else (where.kind, where.region)
    if where is not None and kind == "platform":
        return "" if where.channel == channel else "platform"
    if kind not in rules.kinds:
        return "kind"
    return "" if rules.regions is None or region in rules.regions else "region"


def _floor_by(compiled: Compiled, kind: str, floor: int) -> str:
    by_kind: int = getattr(compiled.policy.floors, kind or "store")
    if floor != by_kind:
        return "overrides"
    return f"floors.{kind or 'store'}" if floor else ""


def _step_faults(stock: int, done: tuple[Step, ...], level: int | None) -> Iterator[str]:
    """Yield where the bill does not add up. A channel in the shadow has no level to compare."""
    before = 0
    for at, step in enumerate(done):
        if before + step.effect != step.result:
            expected = before + step.effect
            yield f"{step.rule}: expected {before} {step.effect:+} to leave {expected}, got {step.result}"
        if at == 0 and step.result != stock:
            yield f"{step.rule}: expected {stock}, what the locations add, got {step.result}"
        before = step.result
    if level is not None and before != level:
        yield f"level: expected {before}, what the rules leave, got {level}"
