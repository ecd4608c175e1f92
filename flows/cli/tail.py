"""`penstock tail`: the messages of a topic as JSON lines, as they come.

Delivery: each message of a partition once and in order, from the start or from now on. What was
trimmed before it could be read is told of on standard error.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson

from connectors.log.base import Log, OffsetOutOfRange, Partition, Record
from connectors.messages.printable import text_or_base64
from flows.cli import output
from flows.runtime import signals as stop
from flows.runtime.exit_codes import OK, USAGE
from flows.runtime.retry import insist
from flows.runtime.session import TOPICS, reached_or_made

WAIT_MS = 200
QUIET_S = 1.0


def tail(topic: str, *, from_start: bool, until_idle: bool) -> int:
    """Print the messages of a topic until stopped, or until nothing new came for `QUIET_S`."""
    if topic not in TOPICS:
        output.fault("tail", f"expected one of {', '.join(TOPICS)}, got {topic!r}")
        return USAGE
    stop.install()
    with reached_or_made() as run:
        log = run.log
        offsets = log.start_offsets(topic) if from_start else log.end_offsets(topic)
        positions = {Partition(topic, n): offset for n, offset in offsets.items()}
        heard_s = time.monotonic()
        while not stop.wanted():
            records = insist(lambda: _read(log, positions))
            if records:
                write(records)
                heard_s = time.monotonic()
            elif until_idle and time.monotonic() - heard_s >= QUIET_S:
                break
    return OK


def write(records: Sequence[Record]) -> None:
    """Print records, one line each, at once."""
    sys.stdout.buffer.write(b"".join([line(record) for record in records]))
    sys.stdout.buffer.flush()


def line(record: Record) -> bytes:
    """Return `{topic, partition, offset, timestamp_ms, key, headers, value}` as a line of JSON.

    A value is what it says if it is JSON, else text, else `{"base64": ...}`; null for a tombstone.
    """
    return orjson.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
            "key": text_or_base64(record.key),
            "headers": {name: text_or_base64(value) for name, value in record.headers},
            "value": _value(record.value),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _value(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return text_or_base64(value)
    if b"\n" in value or b"\r" in value:
        # Not by orjson, which would round an integer of more than 64 bits.
        value = json.dumps(json.loads(value)).encode()
    return orjson.Fragment(value)


def _read(log: Log, positions: dict[Partition, int]) -> list[Record]:
    """Read on and move the positions; over a gap only after saying so."""
    try:
        records = log.read(positions, wait_ms=WAIT_MS)
    except OffsetOutOfRange as error:
        output.fault("tail", f"{error}: what lay before was trimmed")
        positions[error.partition] = error.start
        return []
    for record in records:
        positions[Partition(record.topic, record.partition)] = record.offset + 1
    return records
