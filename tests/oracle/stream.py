"""The input stream, read once into columns: one batch for each type of event.

Only what takes effect is kept: the first message of each (source, id) that is not marked bad.
"""

import base64
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from tests.oracle.columns import NONE, Codes, InputError, Ints, ints

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
STAGES = ("shipped", "received", "lost", "hold", "release", "scrap")


class Sent(NamedTuple):
    """A message of the inputs. `kind` is good, duplicate or bad; of a bad one the event is never read."""

    kind: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """The number of every SKU, location, order, channel and reference met so far."""

    sku: Codes = field(default_factory=Codes)
    location: Codes = field(default_factory=Codes)
    order: Codes = field(default_factory=Codes)
    channel: Codes = field(default_factory=Codes)
    reference: Codes = field(default_factory=Codes)


@dataclass(frozen=True, slots=True)
class Batch:
    """All events of one type. One row an event, save sku, quantity, damaged: one row a line.

    Codes are NONE where the event does not name the thing. `settled` is 1 for a sale that settles
    an order, `final` for a receipt that closes its reference; `as_of_ms` is the moment that a count
    speaks of; `sizes` counts lines.
    """

    time_ms: Ints
    location: Ints
    to: Ints
    order: Ints
    channel: Ints
    reference: Ints
    stage: Ints
    settled: Ints
    final: Ints
    as_of_ms: Ints
    sizes: Ints
    sku: Ints
    quantity: Ints
    damaged: Ints

    def spread(self, column: Ints) -> Ints:
        """A column of events repeated for each of their lines."""
        return np.repeat(column, self.sizes)

    def at_stage(self, stage: str) -> Ints:
        """1 for each line whose event is at `stage`, else 0."""
        return self.spread((self.stage == STAGES.index(stage)).astype(np.int64))

    def lines(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Each event's row number and its (sku, quantity) pairs, in the order of the stream."""
        pairs = list(zip(self.sku.tolist(), self.quantity.tolist(), strict=True))
        start = 0
        for row, size in enumerate(self.sizes.tolist()):
            yield row, pairs[start : start + size]
            start += size


@dataclass(frozen=True, slots=True)
class Stream:
    """What was dumped: batches by type, the newest event time, and the messages by kind."""

    batches: dict[str, Batch]
    newest_ms: int
    good: int
    duplicates: int
    bad: int

    def batch(self, event_type: str) -> Batch:
        """The events of a type; empty when the stream has none."""
        return self.batches.get(event_type, _EMPTY)


class _Builder:
    """Collects one type's events; `built` freezes them."""

    def __init__(self) -> None:
        self.columns: dict[str, array[int]] = {name: array("q") for name in Batch.__slots__}

    def add(self, time_ms: int, data: dict[str, Any], names: Names) -> None:
        columns, lines = self.columns, data.get("lines") or ()
        as_of = data.get("counted_at") or data.get("as_of")
        reference = data.get("reference")
        if "transfer" in data:
            reference = f"transfer:{data['transfer']}"
        columns["time_ms"].append(time_ms)
        columns["location"].append(names.location.optional(data.get("location", data.get("from"))))
        columns["to"].append(names.location.optional(data.get("to")))
        columns["order"].append(names.order.optional(data.get("order")))
        columns["channel"].append(names.channel.optional(data.get("channel")))
        columns["reference"].append(names.reference.optional(reference))
        columns["stage"].append(STAGES.index(data["stage"]) if "stage" in data else NONE)
        columns["settled"].append(int("order" in data))
        columns["final"].append(int(data.get("final", False)))
        columns["as_of_ms"].append(rfc3339_ms(as_of) if as_of else NONE)
        columns["sizes"].append(len(lines))
        sku = names.sku
        columns["sku"].extend([sku[line["sku"]] for line in lines])
        columns["quantity"].extend([line["quantity"] for line in lines])
        columns["damaged"].extend([line.get("condition") == "damaged" for line in lines])

    def built(self) -> Batch:
        return Batch(**{name: ints(column) for name, column in self.columns.items()})


_EMPTY = _Builder().built()


def sent_in(path: Path) -> Iterator[Sent]:
    """Yield the messages of a dump of ``{key, headers, value, kind, ...}`` lines."""
    with path.open("rb") as lines:
        for line in lines:
            message = orjson.loads(line)
            is_read = message["kind"] in {"good", "duplicate"}
            yield Sent(message["kind"], envelope(message) if is_read else {})


def marked(events: Iterable[dict[str, Any]]) -> Iterator[Sent]:
    """Mark the first event of each (source, id) good, later ones as duplicates, and empty ones as bad."""
    seen: set[tuple[str, str]] = set()
    for event in events:
        identity = (event["source"], event["id"]) if event else None
        if identity is None:
            yield Sent("bad", event)
        else:
            yield Sent("duplicate" if identity in seen else "good", event)
            seen.add(identity)


def read_stream(path: Path, names: Names) -> Stream:
    """Read a dump, as `stream_of` reads messages."""
    return stream_of(sent_in(path), names)


def stream_of(sent: Iterable[Sent], names: Names) -> Stream:
    """Read messages in the order of the log.

    Raises:
        InputError: a message of another kind, a good event sent twice, or a duplicate of nothing.
    """
    builders: dict[str, _Builder] = {}
    seen: set[tuple[str, str]] = set()
    counts = {"good": 0, "duplicate": 0, "bad": 0}
    newest_ms = 0
    for number, (kind, event) in enumerate(sent, start=1):
        if kind not in counts:
            raise InputError(f"stream:{number}: kind: expected a known one, got {kind!r}")
        counts[kind] += 1
        if kind == "bad":
            continue
        identity = (event["source"], event["id"])
        if (identity in seen) != (kind == "duplicate"):
            raise InputError(f"stream:{number}: {identity} is marked {kind} but is not")
        if kind == "duplicate":
            continue
        seen.add(identity)
        time_ms = rfc3339_ms(event["time"])
        newest_ms = max(newest_ms, time_ms)
        if event["type"] not in builders:
            builders[event["type"]] = _Builder()
        builders[event["type"]].add(time_ms, event["data"], names)
    batches = {event_type: builder.built() for event_type, builder in builders.items()}
    return Stream(batches, newest_ms, counts["good"], counts["duplicate"], counts["bad"])


def envelope(message: dict[str, Any]) -> dict[str, Any]:
    """``{id, source, type, time, data}`` of a CloudEvent in structured or in binary mode."""
    value = message["value"]
    if isinstance(value, dict):
        value = base64.b64decode(value["base64"])
    body: dict[str, Any] = orjson.loads(value)
    attributes = {name.lower(): text for name, text in message["headers"]}
    if "ce_id" not in attributes:
        return body
    named = {name: attributes[f"ce_{name}"] for name in ("id", "source", "type", "time")}
    return {**named, "data": body}


def rfc3339_ms(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time with an offset."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MS
