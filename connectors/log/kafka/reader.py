"""Reads partitions of Kafka from positions that the caller keeps: one consumer, for one thread."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from connectors.log.base import (
    LogError,
    LogUnavailable,
    OffsetOutOfRange,
    Partition,
    Record,
    TailLost,
    first_within,
    last_offsets,
)
from connectors.log.kafka.client import MESSAGE_BYTES_MAX, REQUEST_S, KafkaClients
from connectors.log.kafka.topics import KafkaTopics

_STEP_S = 0.1
_SETTINGS = {
    # Positions come from the watermarks: a group is named because the library wants one, and never joined.
    "group_id": "penstock.reader",
    "enable_auto_commit": False,
    "enable_auto_offset_store": False,
    "auto_offset_reset": "error",
    "isolation_level": "read_committed",
    "enable_partition_eof": True,
    "allow_auto_create_topics": False,
    "queued_max_messages_kbytes": 16 * 1024,
    "fetch_message_max_bytes": 1024 * 1024,
    "message_max_bytes": MESSAGE_BYTES_MAX,
    # A new position is fetched from when the request in flight is answered: it may not wait for long.
    "fetch_wait_max_ms": 100,
    "fetch_queue_backoff_ms": 5,
    "fetch_error_backoff_ms": 100,
}

Fetched = list[Record]


class KafkaReader:
    """A consumer that is given the positions to read from, and keeps what it fetched beyond what was wanted."""

    def __init__(self, client: KafkaClients, topics: KafkaTopics) -> None:
        self._client = client
        self._topics = topics
        self._consumer: Any = client.make(Consumer, **_SETTINGS)
        self._next: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._held: Fetched = []
        self._places: dict[tuple[str, int], Partition] = {}
        self._is_closed = False

    def read(
        self, positions: Mapping[Partition, int], max_records: int, max_bytes: int, wait_ms: int
    ) -> Fetched:
        """Return records from these positions on; see `Log.read`."""
        if not positions:
            return []
        wanted = dict(positions)
        try:
            if wanted != self._next:
                self._seat(wanted)
            if not self._held:
                self._held = self._records(self._messages(max_records, wait_ms))
        except LogError:
            # What came before the error is not handed on: stand there again next time.
            self._next = {}
            raise
        return self._take(max_records, max_bytes)

    def reached(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return the end, where it was met, of partitions read from these positions."""
        if self._held or dict(positions) != self._next:
            return {}
        met = {p: end for p, end in self._ends.items() if end >= self._next[p]}
        self._next.update(met)
        return met

    def close(self) -> None:
        """End the consumer. A thread that is reading gets `LogUnavailable`."""
        self._is_closed = True
        self._consumer.close()

    def _seat(self, positions: dict[Partition, int]) -> None:
        """Read from these positions from now on; what was fetched for others is dropped."""
        self._next, self._ends, self._held = positions, {}, []
        self._places = {(self._topics.name(p.topic), p.n): p for p in positions}
        places = [
            TopicPartition(self._topics.name(p.topic), p.n, at) for p, at in positions.items()
        ]
        with self._client.asking():
            self._consumer.assign(places)

    def _messages(self, max_records: int, wait_ms: int) -> Sequence[Message]:
        """Wait for a first message as long as the caller allows; take those that came with it."""
        first = self._first(time.monotonic() + wait_ms / 1000, lambda: False)
        if first is None and wait_ms <= 0:
            first = self._first_or_none_at_all()
        if first is None:
            return ()
        return [first, *self._consumer.consume(max_records - 1, 0)] if max_records > 1 else [first]

    def _first_or_none_at_all(self) -> Message | None:
        """Return the next message; None only when the partitions end where we stand."""
        ends = self._topics.ends(self._next.keys())
        ahead = {p: end for p, end in ends.items() if end > self._next[p]}
        if not ahead:
            return None

        def is_none() -> bool:
            return all(self._ends.get(p, -1) >= end for p, end in ahead.items())

        first = self._first(time.monotonic() + REQUEST_S, is_none)
        if first is None and not is_none():
            raise LogUnavailable("kafka: the brokers name records and do not send them")
        return first

    def _first(self, deadline: float, is_enough: Callable[[], bool]) -> Message | None:
        while True:
            left = max(0.0, deadline - time.monotonic())
            if self._is_closed:
                # No thread may close a consumer as long as another thread polls it.
                raise LogUnavailable("kafka: this log was closed")
            message = self._consumer.poll(min(left, _STEP_S))
            if message is None:
                if self._client.is_cut_off:
                    fault = self._client.fault_text
                    self._client.begin_anew()
                    raise LogUnavailable(f"kafka: no broker answers ({fault})")
                if left == 0 or is_enough():
                    return None
            elif message.error() is None:
                return message
            else:
                self._heed(message)
                if is_enough():
                    return None

    def _records(self, messages: Sequence[Message]) -> Fetched:
        places = self._places
        records = []
        for message in messages:
            if message.error() is not None:
                self._heed(message)
                continue
            partition = places[message.topic(), message.partition()]
            headers = message.headers()
            records.append(
                Record(
                    partition.topic,
                    partition.n,
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    tuple((name, value or b"") for name, value in headers) if headers else (),
                    message.value(),
                )
            )
        return records

    def _take(self, max_records: int, max_bytes: int) -> Fetched:
        """Return what is held up to the bounds, at least one record if any."""
        taken = first_within(self._held, max_records, max_bytes)
        self._held = self._held[len(taken) :]
        for partition, offset in last_offsets(taken).items():
            self._next[partition] = offset + 1
        return taken

    def _heed(self, message: Message) -> None:
        """Note an end; raise what else a message may report instead of a record."""
        error, partition = message.error(), self._places.get((message.topic(), message.partition()))
        if error is None or partition is None:
            return
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._ends[partition] = message.offset()
        elif code in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
            self._raise_out_of_range(partition)
        else:
            raise self._client.log_error(error, partition.topic)

    def _raise_out_of_range(self, partition: Partition) -> None:
        """Raise what became of the position wanted."""
        position = self._next[partition]
        start = self._topics.offsets([partition], OffsetSpec.earliest())[partition]
        if position < start:
            raise OffsetOutOfRange(partition, start)
        raise TailLost(partition, position)
