"""The steps of publish, each a plain function over a batch of claims.

    claim -> derive -> emit -> settle

Every figure of a SKU is derived anew from the store. Nothing is suppressed while an earlier emission may
still be under way: only a closed `out` of the present generation that says the same is.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.cloudevents import structured
from connectors.log import AppendFailed, Outgoing
from flows.claiming import Claims
from flows.runtime import PolicyInForce, Runtime, insist, now_ms, now_us
from monitoring import metrics
from state.ads import AdState, Decision, day_of, days, decide
from state.calls import Due, Settle
from state.levels import Figures, next_edge
from state.levels import derive as derive_levels
from state.policy import AdRule
from state.times import ms_rfc3339
from state.velocity import buckets, cover_mdays, day_number, velocity_mpd

SOURCE = "/penstock"
ALERT_TYPES = {"negative": "stock.negative", "oversold": "stock.oversold", "drift": "stock.drift"}


Message = tuple[str, Outgoing]
"""An event type and its message."""


@dataclass(frozen=True, slots=True)
class Decided:
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
    """Derive levels, decide ads, and write the messages of all claimed SKUs."""
    at = _Moment(runtime, claims)
    return claims, [
        at.decided(shard, claimed.generation, due, recovered=claimed.recovered)
        for shard, claimed in claims.by_shard.items()
        for due in claimed.due
    ]


def emit(runtime: Runtime, found: tuple[Claims, list[Decided]]) -> Emitted:
    """Append the messages and wait for the log's answer; a SKU with a failed message is left to its lease."""
    claims, decided = found
    messages = [message for each in decided for _, message in each.messages]
    results = runtime.log.append(messages) if messages else []
    confirmed: list[Decided] = []
    kinds: Counter[str] = Counter()
    at = 0
    for each in decided:
        mine = results[at : at + len(each.messages)]
        at += len(each.messages)
        failed = sum(isinstance(result, AppendFailed) for result in mine)
        if failed:
            metrics.EMITTED_FAILED.inc(failed)
        else:
            confirmed.append(each)
            kinds.update(kind for kind, _ in each.messages)
    _count(kinds)
    metrics.LOG_TO_EMITTED.observe_ages(
        now_ms(), [each.cause_ms for each in confirmed if each.cause_ms]
    )
    return Emitted(claims, confirmed)


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
    items: dict[int, list[Settle]] = defaultdict(list)
    for each in emitted.decided:
        items[each.shard].append(each.settle)
    settled = insist(lambda: runtime.store.settle(now_us(), items)) if items else 0
    emitted.claims.owner.outstanding -= 1
    return settled


class _Moment:
    """What all SKUs of a batch share: the policy, the business time, its days."""

    def __init__(self, runtime: Runtime, claims: Claims) -> None:
        self.policy: PolicyInForce = claims.policy
        self.compiled = claims.policy.compiled
        self.business_ms = claims.business_ms
        self.now_ms = now_ms()
        self.now_text = ms_rfc3339(self.now_ms)
        self.refresh_ms = runtime.settings.refresh_s * 1000
        self.classes = len(self.compiled.classes)
        self.has_frozen = any(c.mode == "frozen" for c in self.compiled.policy.channels)
        self.day, self.next_day_ms = day_of(self.business_ms, self.compiled.policy.timezone)
        self.needs_cover = any(rule.pause_cover_mdays is not None for rule in self.compiled.ads)

    def decided(self, shard: int, generation: int, due: Due, *, recovered: bool) -> Decided:
        last: dict[str, int] | None = (
            orjson.loads(due.levels) if self.has_frozen and due.levels else None
        )
        sums = (
            due.sums
            if len(due.sums) == self.classes
            else due.sums + (0,) * (self.classes - len(due.sums))
        )
        figures = Figures(due.base, due.unrouted, due.held, sums)
        available, levels = derive_levels(self.compiled, figures, due.sku, self.business_ms, last)
        text = orjson.dumps(levels).decode()
        messages: list[Message] = []
        cause_ms = 0
        if not (due.trust and available == due.available and text == due.levels):
            cause_ms = due.cause_ms or self.now_ms
            messages.append(self._update(due, available, levels, cause_ms))
        ads, next_look_ms = self._ads(
            due, available, levels, messages, restate=self._restates(due, recovered=recovered)
        )
        messages.extend(self._alert(due, name, figure) for name, figure in due.alerts)
        settled = Settle(
            due.sku, due.token, generation, available, text, ads, self._next_due_ms(due.token), next_look_ms or 0,
            due.alerts,
        )  # fmt: skip
        return Decided(shard, settled, messages, cause_ms)

    @staticmethod
    def _restates(due: Due, *, recovered: bool) -> bool:
        """Whether ad states are told again: one may have been emitted that the store does not know of."""
        return not due.trust and (not due.first or recovered)

    def _next_due_ms(self, token: int) -> int:
        """Spread the next looks over the last quarter of the refresh time, or they would all come at once."""
        quarter = self.refresh_ms // 4
        return self.now_ms + self.refresh_ms - token % max(1, quarter)

    def _update(
        self, due: Due, available: int, levels: Mapping[str, int], cause_ms: int
    ) -> Message:
        before = orjson.loads(due.levels) if due.levels else {}
        data = {
            "sku": due.sku,
            "version": due.token,
            "available": available,
            "levels": levels,
            "changed": [channel for channel in levels if levels[channel] != before.get(channel)]
            + [channel for channel in before if channel not in levels],
            "cause_time": ms_rfc3339(cause_ms),
        }
        return self._message(
            "stock.updates", due.sku, f"{due.sku}:{due.token}", "stock.updated", data
        )

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
        looks = [edge] if (edge := next_edge(self.compiled, due.sku, self.business_ms)) else []
        before: dict[str, list[Any]] = orjson.loads(due.ads) if due.ads else {}
        velocity = 0
        if self.needs_cover and due.demand:
            velocity = velocity_mpd(buckets(dict(due.demand), day_number(self.business_ms)))
        kept: dict[str, list[Any]] = {}
        for rule in self.compiled.ads:
            level = levels.get(rule.channel)
            if level is None:
                continue
            known = before.get(rule.rule)
            state = AdState(*known) if known else None
            cover = cover_mdays(level, velocity)
            decision = decide(
                rule, level, cover, state, self.business_ms, self.day, self.next_day_ms
            )
            kept[rule.rule] = [
                decision.state.state, decision.state.since_ms, decision.state.day, decision.state.changes
            ]  # fmt: skip
            if decision.next_look_ms is not None:
                looks.append(decision.next_look_ms)
            if decision.changed or restate:
                messages.append(self._signal(due, rule, decision, level, available, cover))
        return orjson.dumps(kept).decode() if kept else "", min(looks, default=None)

    def _signal(
        self,
        due: Due,
        rule: AdRule,
        decision: Decision,
        level: int,
        available: int,
        cover: int | None,
    ) -> Message:
        kind = "ad.pause" if decision.state.state == "paused" else "ad.resume"
        threshold = (
            days(decision.threshold) if decision.reason == "low_cover"
            else decision.threshold if decision.reason
            else rule.pause_at if kind == "ad.pause" else rule.resume_at
        )  # fmt: skip
        data = {
            "rule": rule.rule,
            "sku": due.sku,
            "channel": rule.channel,
            "version": due.token,
            "reason": decision.reason or "restated",
            "level": level,
            "available": available,
            "days_of_cover": days(cover),
            "threshold": threshold,
        }
        key = f"{rule.rule}:{due.sku}"
        return self._message("ads.signals", key, f"{key}:{due.token}", kind, data)

    def _alert(self, due: Due, name: str, text: str) -> Message:
        kind, _, location = name.partition(":")
        figure, _, place = text.partition(" ")
        mark, _, offset = place.rpartition("/")
        log_id, _, partition = mark.rpartition("/")
        figures: dict[str, dict[str, object]] = {
            "negative": {"location": location, "on_hand": int(figure)},
            "oversold": {"available": int(figure)},
            "drift": {"location": location, "counted_at": ms_rfc3339(max(0, int(figure)))},
        }
        cause = {"log_id": log_id, "partition": int(partition), "offset": int(offset)}
        data = {"sku": due.sku, "version": due.token, **figures[kind], "cause": cause}
        return self._message(
            "stock.alerts", due.sku, f"{due.sku}:{name}:{place}", ALERT_TYPES[kind], data
        )

    def _message(
        self, topic: str, key: str, event_id: str, kind: str, data: dict[str, Any]
    ) -> Message:
        value = structured(event_id, SOURCE, kind, self.now_ms, data)
        return kind, Outgoing(topic, key.encode(), value)
