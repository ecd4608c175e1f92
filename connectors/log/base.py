"""The log: messages in topics, each topic in partitions, each partition in one order.

The rest of the code knows only this interface; `connectors.log.redis.log` and `connectors.log.kafka.log` are its
back ends, and `tests/connectors/log/test_conformance.py` holds each to the words below.

Offsets rise within a partition and are never given out twice under one log id; they may have gaps.
A *position* is the next offset wanted, so that `position = record.offset + 1` goes on after a
record.

Errors:

    LogError
    ├── UnknownTopic        the topic was never created, or was deleted
    ├── OffsetOutOfRange    the records wanted were trimmed
    ├── TailLost            the log ends before the position: what was read there is gone from it
    ├── LogFull             the partition is at its cap: try again after it was trimmed
    ├── LogRefused          the server does not let us, or cannot be used as it is: change something
    └── LogUnavailable      the server is unavailable, loading or not writable: try again
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

INPUT_TOPICS = ("pos.sales", "wms.receipts", "marketplace.orders")
OUTPUT_TOPICS = ("stock.updates", "ads.signals", "order.routes", "stock.alerts", "dead.letters")

MAX_RECORDS = 1_000
MAX_BYTES = 16 * 1024 * 1024
MEMBER_LIFE_MS = 3_000


class LogError(Exception):
    """Base of all errors of a log."""


class UnknownTopic(LogError):
    """The topic was never created, or was deleted."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic: expected one that was created, got {topic!r}")
        self.topic = topic


class LogFull(LogError):
    """The partition is at its cap; nothing was appended."""


class LogRefused(LogError):
    """The log cannot be used as it is set up; the text says what to change."""


class LogUnavailable(LogError):
    """The server did not answer, or refused for now; what was in flight may or may not be done."""


class Partition(NamedTuple):
    """One partition of a topic; `n` counts from 0."""

    topic: str
    n: int


class OffsetOutOfRange(LogError):
    """The records from the position wanted up to `start` were trimmed."""

    def __init__(self, partition: Partition, start: int) -> None:
        super().__init__(f"{partition.topic}/{partition.n}: the log starts at offset {start} now")
        self.partition = partition
        self.start = start


class TailLost(LogError):
    """The log ends before the position wanted: it lost records, and will give their offsets out again."""

    def __init__(self, partition: Partition, position: int) -> None:
        super().__init__(
            f"{partition.topic}/{partition.n}: expected the log to reach offset {position}: it lost its tail"
        )
        self.partition = partition
        self.position = position


class TopicFault(NamedTuple):
    """What is wrong with how a topic is kept; a fatal one would lose or double events."""

    text: str
    fatal: bool = False


class Record(msgspec.Struct, frozen=True, gc=False):
    """A message as read: `value` None is a tombstone; `timestamp_ms` is when it was appended."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message to append."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Appended(NamedTuple):
    """The log holds the message, at this place."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class AppendFailed:
    """The log did not confirm the message. After `LogUnavailable` it may hold it all the same."""

    error: LogError

    @property
    def reason(self) -> str:
        """What the error says."""
        return str(self.error)


class Member(Protocol):
    """One reader of a group that shares out partitions."""

    def heartbeat(self, now_ms: int) -> frozenset[Partition]:
        """Stay a member for `MEMBER_LIFE_MS` more; return the partitions to read now.

        Every partition belongs to one of the members alive. For a moment after a member came or
        went two may hold the same one, or none may: nothing but the offset fence of the state makes
        reading safe.
        """

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Let tools that watch the log know how far this member is. Nothing is ever resumed from it."""

    def leave(self) -> None:
        """Give the partitions up at once."""


class Log(Protocol):
    """A log. Methods raise `LogUnavailable` when the server is unavailable; `append` reports it."""

    @property
    def first_offset(self) -> int:
        """The offset of the first record that a partition ever gets."""

    @property
    def is_trimmed_by_readers(self) -> bool:
        """Whether old records stay until `trim` is called; else the servers drop them by themselves."""

    def reach(self) -> None:
        """Ask the server for a sign of life. Raises `LogUnavailable`, `LogRefused`."""

    def faults(self, topic: str) -> list[TopicFault]:
        """Return what in the way the server keeps the topic endangers what it holds."""

    def create(self, topic: str, partitions: int) -> None:
        """Make the topic unless it is there; the number of partitions it was made with stays."""

    def delete(self, topic: str) -> None:
        """Remove the topic and its records. Created again, it has a new log id and starts empty."""

    def log_id(self, topic: str) -> str:
        """Return the id of this making of the topic, asked of the server. Raises `UnknownTopic`."""

    def partitions(self, topic: str) -> int:
        """Return the number of partitions. Raises `UnknownTopic`."""

    def append(self, messages: Sequence[Outgoing]) -> list[Appended | AppendFailed]:
        """Append at least once, and return one result per message, in the order of the messages.

        Messages of one partition keep their order. The partition is `partition_of(key)`, in turn
        without a key. Nothing is raised for a message that could not be appended: its result says
        why.
        """

    def read(
        self,
        positions: Mapping[Partition, int],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        wait_ms: int = 0,
    ) -> list[Record]:
        """Return records from these positions on, those of a partition in the order of offsets.

        Waits up to `wait_ms` when there are none; without waiting, no records means that there were
        none at the time of the call. At most `max_records`, and about `max_bytes` of values, but at
        least one record if there is any; no partition with records is passed over for ever by a
        caller who moves on. Positions are the caller's, and reading again gives the same records.
        Threads may read at once.

        Raises:
            OffsetOutOfRange: a record wanted was trimmed. Nothing is ever skipped in silence.
            TailLost: the log ends before a position.
        """

    def reached(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return, of the positions this thread has just read from in vain, up to where there are no records.

        Beyond the position where the log has offsets that are no records, such as the markers of
        transactions. Asks no server, and may know less than all.
        """

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the oldest offset kept; 0 if nothing was ever trimmed."""

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the next offset to be written; 0 if nothing was ever written."""

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the end offsets of partitions that exist, asked in one go."""

    def trim(self, topic: str, partition: int, before_offset: int) -> int:
        """Drop records below `before_offset`, never the newest one; return how many went."""

    def member(self, group: str, topics: Sequence[str], member_id: str) -> Member:
        """Return a membership, not yet begun: the first heartbeat begins it."""

    def close(self) -> None:
        """Give back what the log holds; records appended and confirmed are safe already."""


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: the same in every process and on every machine."""
    return zlib.crc32(key) % partitions


def last_offsets(records: Iterable[Record]) -> dict[Partition, int]:
    """Return the offset of the last record of each partition."""
    last = {(record.topic, record.partition): record.offset for record in records}
    return {Partition(topic, n): offset for (topic, n), offset in last.items()}


def first_within(records: list[Record], max_records: int, max_bytes: int) -> list[Record]:
    """Return the first records up to the bounds of a read, at least one if there is any."""
    records, size = records[:max_records], 0
    for i, record in enumerate(records):
        size += len(record.value or b"")
        if size > max_bytes and i > 0:
            return records[:i]
    return records


def history(log: Log, topic: str) -> Iterator[Record]:
    """Yield what the topic holds, up to its end as of this call, partition by partition."""
    starts, ends = log.start_offsets(topic), log.end_offsets(topic)
    for n, end in sorted(ends.items()):
        partition, position = Partition(topic, n), starts[n]
        while position < end:
            records = log.read({partition: position})
            if not records:
                break
            yield from (record for record in records if record.offset < end)
            position = records[-1].offset + 1
