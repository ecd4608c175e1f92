"""What happened (`Fact`), and the message that reports it (`StreamEvent`)."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import orjson

Phase = Literal["opening", "year"]
Kind = Literal["good", "duplicate", "bad"]

SALES, RECEIPTS, ORDERS = "pos.sales", "wms.receipts", "marketplace.orders"
# The id of the last fact of a stream.
CLOSING_ID = "closing"
Header = tuple[str, bytes]

_STRUCTURED: tuple[Header, ...] = (("content-type", b"application/cloudevents+json"),)


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened; `source` and `id` name it for ever."""

    business_ms: int
    topic: str
    key: str
    source: str
    id: str
    type: str
    data: dict[str, Any]
    phase: Phase = "year"
    binary: bool = False


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """One message of the stream, and when it is sent in business time.

    `event_type` is the type of a good event or a duplicate; of a bad one, the name of what is wrong
    with it. `lines` counts the lines of its data, 0 where they cannot be read.
    """

    business_ms: int
    topic: str
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None
    kind: Kind
    event_type: str
    lines: int
    phase: Phase


def time_text(time_ms: int) -> str:
    """Return a moment as RFC 3339 in UTC, with milliseconds only where there are any."""
    seconds, ms = divmod(time_ms, 1000)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    return f"{text}.{ms:03}Z" if ms else f"{text}Z"


def message(
    fact: Fact,
    *,
    kind: Kind = "good",
    sent_ms: int | None = None,
    time_ms: int | None = None,
) -> StreamEvent:
    """Return a fact as a CloudEvent, structured or binary as the fact says.

    Args:
        fact: what happened.
        kind: what the stream counts the message as.
        sent_ms: when it is sent, if not when it happened.
        time_ms: the `time` that it carries, if not when it happened.
    """
    time = time_text(fact.business_ms if time_ms is None else time_ms)
    value: bytes
    headers: tuple[Header, ...]
    if fact.binary:
        headers = (
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", fact.id.encode()),
            ("ce_source", fact.source.encode()),
            ("ce_type", fact.type.encode()),
            ("ce_time", time.encode()),
        )
        value = orjson.dumps(fact.data)
    else:
        headers = _STRUCTURED
        value = orjson.dumps(
            {
                "specversion": "1.0",
                "id": fact.id,
                "source": fact.source,
                "type": fact.type,
                "time": time,
                "datacontenttype": "application/json",
                "data": fact.data,
            }
        )
    return StreamEvent(
        business_ms=fact.business_ms if sent_ms is None else sent_ms,
        topic=fact.topic,
        key=fact.key.encode(),
        headers=headers,
        value=value,
        kind=kind,
        event_type=fact.type,
        lines=len(fact.data.get("lines", ())),
        phase=fact.phase if sent_ms is None else "year",
    )
