"""`penstock emit`: the lines of a file, or of standard input, become messages.

A line is a CloudEvent in structured mode, and its type says which topic it belongs on; or, with
`--topic`, any bytes at all. Delivery: at least once, each batch confirmed before the next is sent.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from connectors.log.base import AppendFailed, Log, LogUnavailable, Outgoing
from connectors.messages.cloudevents import STRUCTURED, shown
from flows.cli import output
from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK, USAGE
from flows.runtime.session import TOPICS, reached_or_made
from state.events.messages import MARKETPLACE_ORDERS, TOPIC_OF

BATCH = 500
CHUNK_BYTES = 1 << 20
BATCH_BYTES = 4 << 20
FAULTS_SHOWN = 20


class Unroutable(Exception):
    """A line of which it cannot be told where it belongs."""


class _Head(msgspec.Struct, gc=False):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Place(msgspec.Struct, gc=False):
    location: str = ""
    order: str = ""
    stage: str = ""
    origin: str = msgspec.field(name="from", default="")
    destination: str = msgspec.field(name="to", default="")


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_place = msgspec.json.Decoder(_Place).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def route(line: bytes) -> tuple[str, bytes | None]:
    """Return topic and key of an event: the location, for orders the order.

    Raises:
        Unroutable: the line is not an event, or of no known type.
    """
    try:
        head = _decode_head(line)
    except msgspec.ValidationError as error:
        raise Unroutable(f"expected a CloudEvent in structured mode ({error})") from error
    except _UNREADABLE as error:
        raise Unroutable(f"expected JSON ({error})") from error
    topic = TOPIC_OF.get(head.type)
    if topic is None:
        raise Unroutable(f'type: expected one of {", ".join(TOPIC_OF)}, got "{shown(head.type)}"')
    return topic, _key(topic, head.data)


def _key(topic: str, data: msgspec.Raw) -> bytes | None:
    try:
        place = _decode_place(data)
    except _UNREADABLE:
        return None
    if topic == MARKETPLACE_ORDERS:
        key = place.order
    else:
        arrives = place.stage in {"received", "lost"}
        key = place.location or (place.destination if arrives else place.origin)
    return key.encode() or None


@dataclass(slots=True)
class Options:
    """What the command was asked for. Without `topic` each line is routed by its type."""

    topic: str | None = None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    def message(self, line: bytes) -> Outgoing:
        """Return a line as a message. Raises `Unroutable`."""
        if self.topic is None:
            topic, key = route(line)
            return Outgoing(topic, self.key or key, line, STRUCTURED + self.headers)
        key = self.key
        if key is None:
            try:
                key = route(line)[1]
            except Unroutable:
                key = None
        return Outgoing(self.topic, key, line, self.headers)


@dataclass(slots=True)
class Tally:
    """What became of the lines; the first faults are told one by one."""

    appended: int = 0
    failed: int = 0
    away: bool = False
    untold: Counter[str] = field(default_factory=Counter)

    def fail(self, number: int, reason: str) -> None:
        """Count a line that did not become a message."""
        self.failed += 1
        if self.failed <= FAULTS_SHOWN:
            output.fault("emit", f"line {number}: {reason}")
        else:
            self.untold[reason] += 1

    def close(self) -> int:
        """Tell the rest and the last line; return the exit code."""
        if self.untold:
            output.fault("emit", f"and {self.untold.total()} more lines")
        output.line(f"emit: appended={self.appended} failed={self.failed}")
        if self.away:
            return AWAY_EXIT
        return FINDING if self.failed else OK


def emit(source: str, topic: str | None, key: str | None, headers: list[str]) -> int:
    """Append every line of `source`, a path or `-`."""
    if topic is not None and topic not in TOPICS:
        output.fault("emit", f"--topic: expected one of {', '.join(TOPICS)}, got {topic!r}")
        return USAGE
    pairs = [header.partition("=") for header in headers]
    if wrong := [name + equals for name, equals, _ in pairs if not (name and equals)]:
        output.fault("emit", f"--header: expected name=value, got {wrong[0]!r}")
        return USAGE
    options = Options(
        topic,
        None if key is None else key.encode(),
        tuple((name, value.encode()) for name, _, value in pairs),
    )
    tally = Tally()
    with ExitStack() as stack:
        if source == "-":
            file: BinaryIO = sys.stdin.buffer
        else:
            try:
                file = stack.enter_context(Path(source).open("rb"))
            except OSError as error:
                output.fault("emit", f"{source}: expected a readable file, got {error.strerror}")
                return USAGE
        run = stack.enter_context(reached_or_made())
        told = stack.enter_context(_progress(source))
        for batch in _batches(file, told):
            _append(run.log, options, batch, tally)
            if tally.away:
                break
    return tally.close()


def _append(log: Log, options: Options, batch: list[tuple[int, bytes]], tally: Tally) -> None:
    """Append the lines of a batch and count what became of each."""
    numbers: list[int] = []
    messages: list[Outgoing] = []
    for number, line in batch:
        if options.topic is None and not line.strip():
            continue
        try:
            messages.append(options.message(line))
        except Unroutable as fault:
            tally.fail(number, str(fault))
        else:
            numbers.append(number)
    for number, result in zip(numbers, log.append(messages), strict=True):
        if isinstance(result, AppendFailed):
            tally.fail(number, result.reason)
            tally.away = tally.away or isinstance(result.error, LogUnavailable)
        else:
            tally.appended += 1


def _batches(file: BinaryIO, told: Any) -> Iterator[list[tuple[int, bytes]]]:
    """Yield numbered lines without their ends as soon as they are there, in bounded batches."""
    batch: list[tuple[int, bytes]] = []
    number = size = 0
    for lines in _chunks(file, told):
        for line in lines:
            number += 1
            size += len(line)
            batch.append((number, line))
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
            batch, size = [], 0


def _chunks(file: BinaryIO, told: Any) -> Iterator[list[bytes]]:
    """Yield the lines that can be read at once, at the end also the one that lacks its end."""
    begun: list[bytes] = []
    while chunk := file.read1(CHUNK_BYTES):  # type: ignore[attr-defined]  # of every buffered reader
        told(len(chunk))
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join([*begun, whole[0]])
            begun = []
            yield whole
        if rest:
            begun.append(rest)
    if begun:
        yield [b"".join(begun)]


def _progress(source: str) -> AbstractContextManager[Any]:
    """Return what is told of bytes read: a progress bar over a file on a terminal, else nothing."""
    if source == "-" or not sys.stderr.isatty():
        return nullcontext(lambda _count: None)
    return _bar(Path(source).stat().st_size)


def _bar(total: int) -> AbstractContextManager[Any]:
    from contextlib import contextmanager  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415 - needed on a terminal only
    from rich.progress import Progress  # noqa: PLC0415

    @contextmanager
    def shown_bar() -> Iterator[Any]:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("emit", total=total)
            yield lambda count: bar.advance(task, count)

    return shown_bar()
