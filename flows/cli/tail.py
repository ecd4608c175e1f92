"""`penstock tail`: the messages of a topic as JSON lines, as they come.

Delivery: each message of a partition once and in order, from the start or from now on. Records that were trimmed before
they could be read are reported on standard error.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer

from connectors.log import base
from connectors.messages import printable
from flows.cli import output
from flows.cli.command import command
from flows.runtime import exit_codes, session, signals
from flows.services.queries import topic_tail

app = typer.Typer(add_completion=False)

QUIET_S = 1.0


@app.command()
@command("tail")
def tail(
    topic: Annotated[str, typer.Argument(help="Such as stock.updates or ads.signals.")],
    *,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Also what is there already.")
    ] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Leave when nothing new came for 1 s.")
    ] = False,
) -> int:
    """Print the messages of a topic as they come, each as one line of JSON.

    Examples: `penstock tail ads.signals`, `penstock tail stock.updates --from-start --until-idle`
    """
    if topic not in session.TOPICS:
        output.fault("tail", f"expected one of {', '.join(session.TOPICS)}, got {topic!r}")
        return exit_codes.USAGE
    signals.install()
    with session.reached_or_made() as run:
        reader = topic_tail.TopicTail(run.log, topic, _gap, from_start=from_start)
        last_s = time.monotonic()
        while not signals.wanted():
            records = reader.read()
            if records:
                _write(records)
                last_s = time.monotonic()
            elif until_idle and time.monotonic() - last_s >= QUIET_S:
                break
    return exit_codes.OK


def _gap(gap: base.OffsetOutOfRange) -> None:
    output.fault("tail", f"{gap}: what lay before was trimmed")


def _write(records: Sequence[base.Record]) -> None:
    """Print records, one line each, at once."""
    sys.stdout.buffer.write(b"".join([_line(record) for record in records]))
    sys.stdout.buffer.flush()


def _line(record: base.Record) -> bytes:
    """Return `{topic, partition, offset, timestamp_ms, key, headers, value}` as a line of JSON.

    A value is what it says if it is JSON, else text, else `{"base64": ...}`; null for a tombstone.
    """
    text = printable.text_or_base64
    return orjson.dumps(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
            "key": text(record.key),
            "headers": {name: text(value) for name, value in record.headers},
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
        return printable.text_or_base64(value)
    if b"\n" in value or b"\r" in value:
        # Not by orjson, which would round an integer of more than 64 bits.
        value = json.dumps(json.loads(value)).encode()
    return orjson.Fragment(value)
