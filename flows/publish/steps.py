"""The steps of publish, each a plain function over a batch of claims.

    claim -> derive -> emit -> settle

Every figure of a SKU is derived anew from the store. Nothing is suppressed while an earlier emission may
still be under way: only a closed `out` of the present generation that says the same is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import msgspec
import orjson
from msgspec.structs import astuple

from connectors.log.base import Appended, AppendFailed
from flows.publish.circuit_breaker import Moves, judge
from flows.publish.claimer import Claims
from flows.publish.messages import Message, Writer
from flows.runtime.active_policy import limits
from flows.runtime.context import Runtime
from flows.runtime.retry import insistent
from monitoring import metrics
from state.demand.velocity import cover_mdays, day_number, velocity_of
from state.policy.compiled import Compiled, compiled
from state.policy.document import AdRule
from state.policy.overlay import laid_over
from state.protocol.claim import Due, Settle
from state.rules.ads import AdState, day_of, decide, is_quiet
from state.rules.exclusions import without_closed, without_silent
from state.rules.levels import Figures, next_edge
from state.rules.levels import derive as derive_levels


class Decided(msgspec.Struct, frozen=True, gc=False):
    """One claimed SKU: what to tell whom, and how to settle it."""

    shard: int
    settle: Settle
    messages: list[Message]
    cause_ms: int
    """Log timestamp that the stock update covers, 0 when there is no update."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """Those whose messages the log has confirmed."""

    claims: Claims
    decided: Sequence[Decided]


def derive(runtime: Runtime, claims: Claims) -> tuple[Claims, list[Decided]]:
    """Derive levels, decide ads, and write the messages of all claimed SKUs.

    When that would take too much of a channel to zero, the channel freezes, and all is derived anew.
    """
    policy = claims.policy
    at = _Moment(runtime, claims, policy.compiled)
    decided = at.every(claims)
    if at.moves.limits and judge(runtime, policy, at.moves):
        held = compiled(laid_over(policy.of_file, runtime.policy.overlay))
        decided = _Moment(runtime, claims, held).every(claims)
    return claims, decided


def emit(runtime: Runtime, found: tuple[Claims, list[Decided]]) -> Emitted:
    """Append the messages and wait for the log's answer; a SKU with a failed message is left to its lease."""
    claims, decided = found
    messages = [message for each in decided for _, message in each.messages]
    results = runtime.log.append(messages) if messages else []
    failed = sum(isinstance(result, AppendFailed) for result in results)
    confirmed = list(_confirmed(decided, results)) if failed else decided
    metrics.EMITTED_FAILED.inc(failed)
    _count(Counter(kind for each in confirmed for kind, _ in each.messages))
    metrics.LOG_TO_EMITTED.observe_ages(
        runtime.clock.now_ms(), [each.cause_ms for each in confirmed if each.cause_ms]
    )
    return Emitted(claims, confirmed)


def _confirmed(
    decided: Sequence[Decided], results: Sequence[Appended | AppendFailed]
) -> Iterator[Decided]:
    """Yield those with no failed message."""
    at = 0
    for each in decided:
        mine = results[at : at + len(each.messages)]
        at += len(each.messages)
        if not any(isinstance(result, AppendFailed) for result in mine):
            yield each


def _count(kinds: Counter[str]) -> None:
    """Add confirmed messages to the metrics, given how many there are of each type."""
    for kind, messages in kinds.items():
        if kind == "stock.updated":
            metrics.UPDATES.inc(messages)
        elif kind.startswith("ad."):
            metrics.SIGNALS.labels(kind.removeprefix("ad.")).inc(messages)
        else:
            metrics.ALERTS.labels(kind.removeprefix("stock.")).inc(messages)


def settle(runtime: Runtime, emitted: Emitted) -> int:
    """Close the claims that were emitted. Return how many were still the latest of their SKU."""
    return _settling(runtime, emitted)()


def begin_settle(runtime: Runtime, emitted: Emitted) -> None:
    """Close the claims as `settle` does, but wait only for those of the round before.

    There is never more than one round under way: the claimer waits for the last, when nothing more is due.
    """
    owner = emitted.claims.owner
    owner.land()
    owner.flight = _settling(runtime, emitted)


def _settling(runtime: Runtime, emitted: Emitted) -> Callable[[], int]:
    items: dict[int, list[Settle]] = defaultdict(list)
    for each in emitted.decided:
        items[each.shard].append(each.settle)
    owner, claims = emitted.claims.owner, emitted.claims
    now_us, revision = runtime.clock.now_us(), claims.policy.revision
    begin = partial(runtime.store.begin_settle, now_us, revision, items)
    answer = insistent(begin) if items else int
    owner.outstanding -= 1

    def settled() -> int:
        found = answer()
        metrics.REFUSED_SETTLES.inc(len(emitted.decided) - found)
        owner.done(claims, {each.settle.sku for each in emitted.decided})
        return found

    return settled


class _Moment:
    """What all SKUs of a batch share: the policy, the business time, its days."""

    def __init__(self, runtime: Runtime, claims: Claims, rules: Compiled) -> None:
        policy = claims.policy
        self.compiled = rules
        self.locate = policy.locate
        self.gates = tuple(channel for channel, _ in policy.gates)
        self.moves = Moves(limits(policy))
        self.resynced = [
            (c, s.resynced_ms) for c, s in policy.overlay.channels.items() if s.resynced_ms
        ]
        self.business_ms = claims.business_ms
        self.lags = runtime.push_lags
        self.now_ms = runtime.clock.now_ms()
        self.writer = Writer(self.now_ms)
        self.refresh_ms = runtime.settings.refresh_s * 1000
        self.spread_ms = max(1, self.refresh_ms // 4)
        self.classes = len(self.compiled.classes)
        self.has_frozen = any(c.mode == "frozen" for c in self.compiled.policy.channels)
        self.day, self.next_day_ms = day_of(self.business_ms, self.compiled.policy.timezone)
        self.utc_day = day_number(self.business_ms)
        self.needs_cover = any(rule.pause_cover_mdays is not None for rule in self.compiled.ads)

    def every(self, claims: Claims) -> list[Decided]:
        """Return what becomes of each claimed SKU."""
        return [
            self.decided(shard, claimed.generation, due, recovered=claimed.recovered)
            for shard, claimed in claims.by_shard.items()
            for due in claimed.due
        ]

    def decided(self, shard: int, generation: int, due: Due, *, recovered: bool) -> Decided:
        sums = due.sums
        if len(sums) != self.classes:
            sums += (0,) * (self.classes - len(sums))
        last: dict[str, int] | None = (
            orjson.loads(due.levels) if self.has_frozen and due.levels else None
        )
        figures = Figures(due.base, due.unrouted, due.held, sums)
        if due.silent:
            figures = without_silent(figures, due, self.locate)
        available, levels = derive_levels(
            self.compiled, figures, due.sku, self.business_ms, last, due.demand, self.lags
        )
        if due.closed:
            levels = without_closed(levels, due.closed, self.gates)
        levels_json = orjson.dumps(levels)
        text = levels_json.decode()
        if self.moves.limits and text != due.levels:
            self.moves.note(orjson.loads(due.levels or "{}"), levels)
        messages: list[Message] = []
        cause_ms = 0
        if not (due.trust and available == due.available and text == due.levels):
            cause_ms = due.cause_ms or self.now_ms
            again = self._asked_again(due, generation) if self.resynced else ()
            messages.append(
                self.writer.update(due, available, levels, levels_json, cause_ms, again)
            )
        ads, next_look_ms = self._ads(
            due, available, levels, messages, restate=_restates(due, recovered=recovered)
        )
        if due.alerts:
            messages.extend(self.writer.alerts(due))
        # The next looks are spread over the last quarter of the refresh time, or they would all come at once.
        next_due_ms = self.now_ms + self.refresh_ms - due.token % self.spread_ms
        settled = Settle(
            due.sku, due.token, generation, available, text, ads, next_due_ms, next_look_ms or 0,
            due.alerts,
        )  # fmt: skip
        return Decided(shard, settled, messages, cause_ms)

    def _asked_again(self, due: Due, generation: int) -> tuple[str, ...]:
        """Return the channels whose levels were asked for again by the generation of the shard, or before it."""
        asked = () if due.trust else self.resynced
        return tuple(channel for channel, at_ms in asked if generation >= at_ms * 1000)

    def _ads(
        self,
        due: Due,
        available: int,
        levels: Mapping[str, int],
        messages: list[Message],
        *,
        restate: bool,
    ) -> tuple[str, int | None]:
        """Decide every rule; return the states to keep and the business time of the next look."""
        edge = next_edge(self.compiled, due.sku, self.business_ms, due.demand, self.lags)
        velocity = velocity_of(due.demand, self.utc_day) if self.needs_cover else 0
        before = _states(due.ads)
        if not restate and self._is_quiet(before, levels, velocity):
            return due.ads, edge
        looks = [edge] if edge else []
        kept: dict[str, tuple[str, int, int, int]] = {}
        for rule in self._rules(levels) if self.gates else self.compiled.ads:
            level = levels[rule.channel]
            cover = cover_mdays(level, velocity)
            decision = decide(
                rule, level, cover, before.get(rule.rule), self.business_ms, self.day, self.next_day_ms
            )  # fmt: skip
            kept[rule.rule] = astuple(decision.state)
            if decision.next_look_ms is not None:
                looks.append(decision.next_look_ms)
            if decision.changed or restate:
                messages.append(self.writer.signal(due, rule, decision, level, available, cover))
        return orjson.dumps(kept).decode() if kept else "", min(looks, default=None)

    def _rules(self, levels: Mapping[str, int]) -> Sequence[AdRule]:
        """Return the ad rules of channels that have a level."""
        return [rule for rule in self.compiled.ads if rule.channel in levels]

    def _is_quiet(
        self, before: Mapping[str, AdState], levels: Mapping[str, int], velocity: int
    ) -> bool:
        """Say whether the states kept are those of the rules, and all stay without another look."""
        rules = self._rules(levels) if self.gates else self.compiled.ads
        if len(before) != len(rules):
            return False
        for rule, (name, state) in zip(rules, before.items(), strict=True):
            level = levels[rule.channel]
            cover = cover_mdays(level, velocity)
            if name != rule.rule or not is_quiet(rule, level, cover, state):
                return False
        return True


def _restates(due: Due, *, recovered: bool) -> bool:
    """Whether ad states are told again: one may have been emitted that the store does not know of."""
    return not due.trust and (not due.first or recovered)


@lru_cache(maxsize=1 << 15)
def _states(text: str) -> Mapping[str, AdState]:
    """Return the ad states that were settled. They rarely change: most texts were read before."""
    kept: dict[str, list[Any]] = orjson.loads(text) if text else {}
    return {rule: AdState(*state) for rule, state in kept.items()}
