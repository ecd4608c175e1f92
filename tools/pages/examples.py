"""An example of every message: of those that come in as a sender writes them, of those that go out by their writers."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from connectors.log.base import Outgoing, Record
from connectors.messages import dead_letters
from connectors.messages.decode import Unread, read
from flows.publish.messages import Writer, channel_frozen
from state.events.timestamps import rfc3339_ms
from state.policy.document import AdRule
from state.protocol.claim import Due
from state.rules.ads import AdDecision, AdState

COLUMNS: Final = 110
_CLOSING: Final = 3
"""Brackets, or a comma, that may follow a value on its line."""
_FILE = Path(__file__).with_name("examples.jsonl")
_NOW_MS = rfc3339_ms("2026-12-01T10:04:11.862Z")
_CAUSE_MS = _NOW_MS - 87
_LOG_ID = "2f1c0a6e-8f5b-4c1d-9a53-6d6d2f6f1b77"
_CAUSE = f"{_LOG_ID}/1/88213"


@cache
def incoming() -> dict[str, Any]:
    """Return type -> event, of all that Penstock reads. `penstock emit` takes the file as it is."""
    events = [json.loads(line) for line in _FILE.read_text(encoding="utf-8").splitlines()]
    return {event["type"]: event for event in events}


@cache
def outgoing() -> dict[str, Outgoing]:
    """Return type -> message, of all that Penstock writes."""
    messages = (*_updates(), *_signals(), *_alerts(), *_letters())
    return {orjson.loads(message.value or b"")["type"]: message for message in messages}


def _due(**figures: Any) -> Due:
    empty = Due(
        "A1", _NOW_MS * 1000 + 117, trust=True, first=False, base=0, unrouted=0, held=0, sums=(),
        cause_ms=_CAUSE_MS, demand=(), available=0, levels="", ads="", alerts=(),
    )  # fmt: skip
    return empty._replace(**figures)


def _updates() -> list[Outgoing]:
    levels = {"shop": 7, "shopee": 5, "momo": 7}
    due = _due(levels='{"shop":9,"shopee":7,"momo":7}')
    _, message = Writer(_NOW_MS).update(due, 7, levels, orjson.dumps(levels), _CAUSE_MS)
    return [message]


def _signals() -> list[Outgoing]:
    rule = AdRule("google-shop", "shop", "google", pause_at=2, resume_at=6, pause_cover_mdays=1_000)
    paused = AdDecision(
        AdState("paused", _NOW_MS), "low_cover", 1_000, changed=True, next_look_ms=None
    )
    active = AdDecision(AdState("active", _NOW_MS), "recovered", 6, changed=True, next_look_ms=None)
    writer = Writer(_NOW_MS)
    return [
        writer.signal(_due(), rule, decision, level, available, cover)[1]
        for decision, level, available, cover in ((paused, 4, 5, 870), (active, 8, 9, None))
    ]


def _alerts() -> list[Outgoing]:
    figures = {
        "oversold:": -2,
        "negative:s001": -1,
        "drift:s001": rfc3339_ms("2026-11-27T22:30:00+08:00"),
        "overreturned:TW-20261201-17": 1,
    }
    due = _due(alerts=tuple((name, f"{figure} {_CAUSE}") for name, figure in figures.items()))
    why = "412 of 1024 SKUs shown (40 %) would go to zero within 20 s, more than zero_guard_pct 20"
    stock = [message for _, message in Writer(_NOW_MS).alerts(due)]
    return [*stock, channel_frozen("shopee", why, _NOW_MS)]


def _letters() -> list[Outgoing]:
    headers = (("content-type", b"text/csv"),)
    record = Record("pos.sales", 1, 88214, _NOW_MS, b"s001", headers, b"s001;A1;2")
    unread = read(record)
    assert isinstance(unread, Unread)  # noqa: S101 - it is no event, on purpose
    letter = dead_letters.from_rejected(record, _LOG_ID, "decode", unread.reason)
    later_ms = _NOW_MS + 3_600_000
    return [
        dead_letters.to_message(letter, _NOW_MS),
        dead_letters.to_replayed(letter, 1, 90_007, later_ms),
    ]


def shaped(value: Any, indent: int = 0) -> str:
    """Return a JSON value in few lines, none of them longer than `COLUMNS` if it can be helped."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent + _CLOSING <= COLUMNS or not isinstance(value, dict | list) or not value:
        return flat
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    lines = [""]
    for part in _parts(value, indent + 1):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and (len(joined) + indent + _CLOSING > COLUMNS or "\n" in joined):
            lines.append(part)
        else:
            lines[-1] = joined
    return opening + f",\n{' ' * (indent + 1)}".join(lines) + closing


def _parts(value: Any, indent: int) -> list[str]:
    if isinstance(value, list):
        return [shaped(item, indent) for item in value]
    heads = [f"{json.dumps(name)}: " for name in value]
    return [
        head + shaped(item, indent + len(head))
        for head, item in zip(heads, value.values(), strict=True)
    ]
