"""Append events: the lines of a stream become messages.

A line is a CloudEvent in structured mode and its type decides the topic; or, with a topic given, any bytes.
Delivery guarantee: at least once, each batch is confirmed before the next is sent.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from connectors.log.base import AppendFailed, Log, LogUnavailable, Outgoing
from connectors.messages.cloudevents import STRUCTURED, shown
from state.events.messages import MARKETPLACE_ORDERS, TOPIC_OF

BATCH: Final = 500
CHUNK_BYTES: Final = 1 << 20
BATCH_BYTES: Final = 4 << 20


class Unroutable(Exception):
    """The topic of a line cannot be determined."""


class _Head(msgspec.Struct, gc=False):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Keys(msgspec.Struct, gc=False):
    location: str = ""
    order: str = ""
    stage: str = ""
    origin: str = msgspec.field(name="from", default="")
    destination: str = msgspec.field(name="to", default="")


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_keys = msgspec.json.Decoder(_Keys).decode
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
        names = _decode_keys(data)
    except _UNREADABLE:
        return None
    if topic == MARKETPLACE_ORDERS:
        key = names.order
    else:
        arrives = names.stage in {"received", "lost"}
        key = names.location or (names.destination if arrives else names.origin)
    return key.encode() or None


@dataclass(frozen=True, slots=True)
class Target:
    """Topic, key and headers of every line. Without `topic` the type of each line decides, and key as `route` says."""

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
    """How many lines became messages, and how many did not."""

    appended: int = 0
    failed: int = 0
    is_away: bool = False
    """The log was unavailable: the lines after that were not read."""


def append_lines(
    log: Log,
    lines: BinaryIO,
    target: Target,
    failed: Callable[[int, str], None],
    progress: Callable[[int], None],
) -> Tally:
    """Append every line until the end, or until the log is unavailable.

    Args:
        log: where to.
        lines: a buffered reader of bytes.
        target: topic, key and headers.
        failed: gets the number of each line that did not become a message, and the reason.
        progress: gets how many bytes were read since it was last called.
    """
    tally = Tally()
    for batch in _batches(lines, progress):
        _append(log, target, batch, tally, failed)
        if tally.is_away:
            break
    return tally


def _append(
    log: Log,
    target: Target,
    batch: list[tuple[int, bytes]],
    tally: Tally,
    failed: Callable[[int, str], None],
) -> None:
    """Append the lines of a batch and count the outcome of each."""
    numbers: list[int] = []
    messages: list[Outgoing] = []
    for number, line in batch:
        if target.topic is None and not line.strip():
            continue
        try:
            messages.append(target.message(line))
        except Unroutable as fault:
            tally.failed += 1
            failed(number, str(fault))
        else:
            numbers.append(number)
    for number, result in zip(numbers, log.append(messages), strict=True):
        if isinstance(result, AppendFailed):
            tally.failed += 1
            tally.is_away = tally.is_away or isinstance(result.error, LogUnavailable)
            failed(number, result.reason)
        else:
            tally.appended += 1


def _batches(lines: BinaryIO, progress: Callable[[int], None]) -> Iterator[list[tuple[int, bytes]]]:
    """Yield numbered lines without their ends as soon as they are there, in bounded batches."""
    batch: list[tuple[int, bytes]] = []
    number = size = 0
    for some in _chunks(lines, progress):
        for line in some:
            number += 1
            size += len(line)
            batch.append((number, line))
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
            batch, size = [], 0


def _chunks(lines: BinaryIO, progress: Callable[[int], None]) -> Iterator[list[bytes]]:
    """Yield the lines that can be read at once, at the end also the one that lacks its end."""
    begun: list[bytes] = []
    while chunk := lines.read1(CHUNK_BYTES):  # type: ignore[attr-defined]  # of every buffered reader
        progress(len(chunk))
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join([*begun, whole[0]])
            begun = []
            yield whole
        if rest:
            begun.append(rest)
    if begun:
        yield [b"".join(begun)]
