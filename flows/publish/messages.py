"""The messages of publish: a decision rendered as a stock update, ad signals and alerts."""

from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from connectors.log.base import Outgoing
from connectors.messages.cloudevents import STRUCTURED, structured
from state.events.timestamps import ms_rfc3339
from state.policy.document import AdRule
from state.policy.overlay import BREAKER
from state.protocol.claim import Due
from state.rules.ads import AdDecision, days
from state.rules.decision import Decision

SOURCE = "/penstock"
ALERT_TYPES = {
    "negative": "stock.negative",
    "oversold": "stock.oversold",
    "drift": "stock.drift",
    "overreturned": "stock.overreturned",
}

_UPDATE_DATA = b'{"sku":%b,"version":%d,"available":%d,"levels":%b,"changed":%b,"cause_time":%b}'

Message = tuple[str, Outgoing]
"""An event type and its message."""


class Rendered(NamedTuple):
    """A decision with its messages."""

    shard: int
    decision: Decision
    messages: list[Message]
    cause_ms: int
    """Log timestamp of the oldest change that the stock update covers, 0 when there is no update."""


class Writer:
    """Writes the messages of one batch, all of one moment (ms).

    `resynced` are the channels that were asked for once more, each with the time (ms) of that; `generations` those of
    the shards.
    """

    def __init__(
        self,
        now_ms: int,
        resynced: Sequence[tuple[str, int]] = (),
        generations: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self._now_ms = now_ms
        self._resynced = resynced
        self._generations = generations
        self._texts: dict[int, bytes] = {}
        # Updates are written by the thousand: only what differs between them is encoded again.
        empty = structured("I", SOURCE, "stock.updated", now_ms, "D").replace(b"%", b"%%")
        self._update = empty.replace(b'"I"', b"%b").replace(b'"D"', _UPDATE_DATA)

    def render(self, shard: int, decision: Decision) -> Rendered:
        """Write all messages of a decision."""
        due, available = decision.due, decision.available
        messages: list[Message] = []
        cause_ms = 0
        if decision.is_new:
            cause_ms = due.cause_ms or self._now_ms
            again = self._asked_again(due, shard) if self._resynced else ()
            messages.append(
                self.update(due, available, decision.levels, decision.levels_json, cause_ms, again)
            )
        messages += [
            self.signal(due, each.rule, each.decision, each.level, available, each.cover_mdays)
            for each in decision.signals
        ]
        if due.alerts:
            messages.extend(self.alerts(due))
        return Rendered(shard, decision, messages, cause_ms)

    def _asked_again(self, due: Due, shard: int) -> Sequence[str]:
        """Return the channels whose levels were asked for again by the generation of the shard, or before it."""
        asked = () if due.trust else self._resynced
        generation = self._generations[shard]
        return [channel for channel, at_ms in asked if generation >= at_ms * 1000]

    def update(
        self, due: Due, available: int, levels: Mapping[str, int], levels_json: bytes, cause_ms: int,
        again: Container[str] = (),
    ) -> Message:  # fmt: skip
        """Write the levels, given also as JSON, and which of them differ from those emitted last.

        Those of `again` differ in any case: an operator asked for them once more.
        """
        before: dict[str, int] = orjson.loads(due.levels) if due.levels else {}
        changed = [n for n, level in levels.items() if n in again or before.get(n) != level]
        changed += [name for name in before if name not in levels]
        sku, token = orjson.dumps(due.sku), due.token
        value = self._update % (
            b'%b:%d"' % (sku[:-1], token), sku, token, available, levels_json,
            orjson.dumps(changed), self._text(cause_ms),
        )  # fmt: skip
        return "stock.updated", Outgoing("stock.updates", due.sku.encode(), value, STRUCTURED)

    def signal(
        self, due: Due, rule: AdRule, decision: AdDecision, level: int, available: int, cover: int | None
    ) -> Message:  # fmt: skip
        """Write the state of an ad rule, and the threshold that was crossed."""
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

    def alerts(self, due: Due) -> Iterable[Message]:
        """Write the alerts that were not emitted yet."""
        for name, text in due.alerts:
            yield self._alert(due, name, text)

    def _alert(self, due: Due, name: str, text: str) -> Message:
        kind, _, about = name.partition(":")
        figure, _, place = text.partition(" ")
        mark, _, offset = place.rpartition("/")
        log_id, _, partition = mark.rpartition("/")
        figures: dict[str, dict[str, object]] = {
            "negative": {"location": about, "on_hand": int(figure)},
            "oversold": {"available": int(figure)},
            "drift": {"location": about, "counted_at": ms_rfc3339(max(0, int(figure)))},
            "overreturned": {"order": about, "units": int(figure)},
        }
        cause = {"log_id": log_id, "partition": int(partition), "offset": int(offset)}
        data = {"sku": due.sku, "version": due.token, **figures[kind], "cause": cause}
        return self._message(
            "stock.alerts", due.sku, f"{due.sku}:{name}:{place}", ALERT_TYPES[kind], data
        )

    def _message(
        self, topic: str, key: str, event_id: str, kind: str, data: dict[str, Any]
    ) -> Message:
        value = structured(event_id, SOURCE, kind, self._now_ms, data)
        return kind, Outgoing(topic, key.encode(), value, STRUCTURED)

    def _text(self, ms: int) -> bytes:
        """Return a time as JSON; many changes of a batch share theirs."""
        found = self._texts.get(ms)
        if found is None:
            found = self._texts[ms] = orjson.dumps(ms_rfc3339(ms))
        return found


def channel_frozen(channel: str, why: str, now_ms: int) -> Outgoing:
    """Return the alert that the circuit breaker froze a channel."""
    data = {"channel": channel, "by": BREAKER, "why": why}
    value = structured(f"{channel}:{now_ms}", SOURCE, "channel.frozen", now_ms, data)
    return Outgoing("stock.alerts", f"channel:{channel}".encode(), value, STRUCTURED)
