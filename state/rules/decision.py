"""The decision on one SKU: its levels and its ad states, from the figures of a claim. Pure: no clock, no store.

A decision says what channels and ads should know now. What is written to whom, and whether it is confirmed, is the
business of publishing.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import orjson
from msgspec.structs import astuple

from state.demand.velocity import cover_mdays, day_number, velocity_of
from state.policy.compiled import Compiled
from state.policy.document import AdRule
from state.protocol.claim import Due
from state.rules.ads import AdDecision, AdState, day_of, decide, is_quiet
from state.rules.exclusions import Locate, without_closed, without_silent
from state.rules.levels import NO_LAGS, Figures, derive, next_edge


class Signal(msgspec.Struct, frozen=True, gc=False):
    """What one ad rule says of a SKU, where that is to be emitted."""

    rule: AdRule
    decision: AdDecision
    level: int
    cover_mdays: int | None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What is decided of one claimed SKU."""

    due: Due
    available: int
    levels: Mapping[str, int]
    """By channel; a channel without a level is not among them."""
    levels_json: bytes
    levels_text: str
    """The same as text, as it is settled, and compared with the next ones."""
    is_new: bool
    """The levels are to be emitted: they differ from those emitted last, or these cannot be trusted."""
    ads: str
    """The ad states to keep, as JSON; "" for none."""
    signals: Sequence[Signal]
    next_check_ms: int | None
    """The business time at which the decision may change though the stock does not; None = only stock changes it."""


class Moment:
    """What all SKUs of a batch share: the policy, the business time, its days.

    Args:
        compiled: the policy that levels are derived under, with its overlay applied.
        business_ms: business time.
        locate: the terms of a SKU at a location, for stock at silent locations.
        gates: channels that are not open for every SKU yet, in the order of the bits of `Due.closed`.
        lags: measured push lags of channels (ms).
    """

    def __init__(
        self,
        compiled: Compiled,
        business_ms: int,
        locate: Locate,
        gates: Sequence[str] = (),
        lags: Mapping[str, int] = NO_LAGS,
    ) -> None:
        self._compiled = compiled
        self._business_ms = business_ms
        self._locate = locate
        self._gates = gates
        self._lags = lags
        self._classes = len(compiled.classes)
        self._has_frozen = any(channel.mode == "frozen" for channel in compiled.policy.channels)
        self._day, self._next_day_ms = day_of(business_ms, compiled.policy.timezone)
        self._utc_day = day_number(business_ms)
        self._needs_cover = any(rule.pause_cover_mdays is not None for rule in compiled.ads)

    def decide(self, due: Due, *, recovered: bool) -> Decision:
        """Decide one claimed SKU; `recovered` says that its shard has recovered since it was made."""
        sums = due.sums
        if len(sums) != self._classes:
            sums += (0,) * (self._classes - len(sums))
        last: dict[str, int] | None = (
            orjson.loads(due.levels) if self._has_frozen and due.levels else None
        )
        figures = Figures(due.base, due.unrouted, due.held, sums)
        if due.silent:
            figures = without_silent(figures, due, self._locate)
        available, levels = derive(
            self._compiled, figures, due.sku, self._business_ms, last, due.demand, self._lags
        )
        if due.closed:
            levels = without_closed(levels, due.closed, self._gates)
        levels_json = orjson.dumps(levels)
        text = levels_json.decode()
        is_known = due.trust and available == due.available and text == due.levels
        # After a failover an ad state may have been emitted that the store does not know of.
        restate = not due.trust and (not due.first or recovered)
        ads, signals, next_check_ms = self._ads(due, levels, restate=restate)
        return Decision(
            due, available, levels, levels_json, text, not is_known, ads, signals, next_check_ms
        )

    def _ads(
        self, due: Due, levels: Mapping[str, int], *, restate: bool
    ) -> tuple[str, Sequence[Signal], int | None]:
        """Decide every rule: the states to keep, what to emit, and the business time of the next check."""
        edge = next_edge(self._compiled, due.sku, self._business_ms, due.demand, self._lags)
        velocity = velocity_of(due.demand, self._utc_day) if self._needs_cover else 0
        before = _states(due.ads)
        if not restate and self._is_quiet(before, levels, velocity):
            return due.ads, (), edge
        checks = [edge] if edge else []
        kept: dict[str, tuple[str, int, int, int]] = {}
        signals = []
        for rule in self._rules(levels) if self._gates else self._compiled.ads:
            level = levels[rule.channel]
            cover = cover_mdays(level, velocity)
            decision = decide(
                rule, level, cover, before.get(rule.rule), self._business_ms, self._day,
                self._next_day_ms,
            )  # fmt: skip
            kept[rule.rule] = astuple(decision.state)
            if decision.next_look_ms is not None:
                checks.append(decision.next_look_ms)
            if decision.changed or restate:
                signals.append(Signal(rule, decision, level, cover))
        return (
            orjson.dumps(kept).decode() if kept else "",
            signals,
            min(checks, default=None),
        )

    def _rules(self, levels: Mapping[str, int]) -> Sequence[AdRule]:
        """Return the ad rules of channels that have a level."""
        return [rule for rule in self._compiled.ads if rule.channel in levels]

    def _is_quiet(
        self, before: Mapping[str, AdState], levels: Mapping[str, int], velocity: int
    ) -> bool:
        """Say whether the states kept are those of the rules, and all stay without another check."""
        rules = self._rules(levels) if self._gates else self._compiled.ads
        if len(before) != len(rules):
            return False
        for rule, (name, state) in zip(rules, before.items(), strict=True):
            level = levels[rule.channel]
            cover = cover_mdays(level, velocity)
            if name != rule.rule or not is_quiet(rule, level, cover, state):
                return False
        return True


@lru_cache(maxsize=1 << 15)
def _states(text: str) -> Mapping[str, AdState]:
    """Return the ad states that were settled. They rarely change: most texts were read before."""
    kept: dict[str, list[Any]] = orjson.loads(text) if text else {}
    return {rule: AdState(*state) for rule, state in kept.items()}
