"""The log on Redis Streams, one stream per topic partition.

Delivery: an append is confirmed when the server has it; how much of it a crash of the server can
cost is the server's `appendfsync` (`everysec`: a killed process nothing, a power cut the last
second). Appended again after a lost answer, a message is there twice: at least once.

Size: `Cap` bounds each partition. A partition of `OUTPUT_TOPICS` at its cap drops its oldest
records, any other refuses with `LogFull`: an input is never dropped before `trim` says that it was
used.

One server, not a cluster: a read spans the streams of all partitions.
"""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

import redis

from connectors.log.base import (
    MAX_BYTES,
    MAX_RECORDS,
    OUTPUT_TOPICS,
    Appended,
    AppendFailed,
    LogError,
    OffsetOutOfRange,
    Outgoing,
    Partition,
    Record,
    TopicFault,
    UnknownTopic,
    partition_of,
)
from connectors.log.redis.entries import Call, bounded, records_of
from connectors.log.redis.member import RedisMember
from connectors.log.redis.topics import Topic, log_error, registered, unavailable
from state.protocol.keys import Keys

Answer = TypeVar("Answer")

LIBRARY = Path(__file__).with_name("log.lua")


@dataclass(frozen=True, slots=True)
class Cap:
    """What one partition may hold. A batch that begins below the cap is taken whole."""

    records: int = 5_000_000
    bytes: int = 2 * 1024 * 1024 * 1024
    """Of values, keys and headers, and a little for each record."""


def _system_ms() -> int:
    return time.time_ns() // 1_000_000


class RedisLog:
    """A `Log` on the streams of one Redis or Valkey server.

    Args:
        client: in bytes mode, its socket timeout above the longest `wait_ms`. The caller closes it.
        namespace: prefix of all keys; topics are named without it.
        cap: what one partition may hold.
        now_ms: the clock that stamps records; a stamp never goes below the one before it.
    """

    def __init__(
        self,
        client: redis.Redis,
        namespace: str = "",
        cap: Cap | None = None,
        now_ms: Callable[[], int] = _system_ms,
    ) -> None:
        self._client = client
        self._keys = Keys(namespace)
        self._cap = cap or Cap()
        self._now_ms = now_ms
        self._topics: dict[str, Topic] = {}
        self._turn: dict[str, int] = defaultdict(int)
        self._behind = 0
        self._rotation = 0

    @property
    def first_offset(self) -> int:
        """1: the id 0-0 is none that a stream takes."""
        return 1

    @property
    def is_trimmed_by_readers(self) -> bool:
        """A stream keeps what is not trimmed."""
        return True

    def reach(self) -> None:
        """Ask the server for a sign of life."""
        with unavailable():
            self._client.ping()

    def faults(self, topic: str) -> list[TopicFault]:
        """Nothing about a stream can be set so that it loses records."""
        self._look_up(topic)
        return []

    def reached(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """Every offset is a record."""
        return dict(positions)

    def create(self, topic: str, partitions: int) -> None:
        """Make the topic unless it is there, and load the functions of the log."""
        if partitions < 1 or not topic or ":" in topic or not topic.isprintable():
            raise ValueError(
                f"topic: expected a name without colons and 1 or more partitions, "
                f"got {topic!r} and {partitions}"
            )
        with unavailable():
            self._load()
            entry = f"{uuid.uuid4()} {partitions}"
            self._client.hsetnx(self._keys.log_topics(), topic, entry)
        self._topics.pop(topic, None)

    def delete(self, topic: str) -> None:
        """Remove the topic and its records."""
        found = self._look_up(topic)
        with unavailable(), self._client.pipeline(transaction=True) as pipe:
            held = [f"{topic}:{n}" for n in range(found.partitions)]
            pipe.hdel(self._keys.log_topics(), topic, *held)
            pipe.unlink(*(self._keys.log_stream(topic, n) for n in range(found.partitions)))
            pipe.execute()
        self._topics.pop(topic, None)

    def log_id(self, topic: str) -> str:
        """Return the id of this making of the topic, as the server has it now."""
        return self._look_up(topic).log_id

    def partitions(self, topic: str) -> int:
        """Return the number of partitions, as the server has it now."""
        return self._look_up(topic).partitions

    def append(self, messages: Sequence[Outgoing]) -> list[Appended | AppendFailed]:
        """Append by one function call per partition, all calls in one round trip."""
        results: dict[int, Appended | AppendFailed] = {}
        stale = self._append(messages, range(len(messages)), results)
        if stale:
            for topic in {messages[i].topic for i in stale}:
                self._topics.pop(topic, None)
            for i in self._append(messages, stale, results):
                results[i] = AppendFailed(UnknownTopic(messages[i].topic))
        return [results[i] for i in range(len(messages))]

    def read(
        self,
        positions: Mapping[Partition, int],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        wait_ms: int = 0,
    ) -> list[Record]:
        """Read all partitions in one round trip; see `Log.read`."""
        if not positions:
            return []
        streams = {self._keys.log_stream(p.topic, p.n).encode(): p for p in positions}
        after = [b"%d-0" % max(0, position - 1) for position in positions.values()]
        # At first all may have much: of all together hardly more is asked than is wanted.
        count = -(-max_records // (self._behind or len(positions)))
        # A name in bytes passes by the client's reply parser, which costs more than the read.
        command: list[Any] = [b"XREAD", b"COUNT", count]
        if wait_ms > 0:
            command += [b"BLOCK", wait_ms]
        with unavailable():
            reply = self._client.execute_command(  # type: ignore[no-untyped-call]
                *command, b"STREAMS", *streams, *after
            )
        found = reply.items() if isinstance(reply, dict) else reply or ()
        batches: list[list[Record]] = []
        for name, entries in found:
            partition = streams[name]
            records = records_of(partition, entries)
            if records[0].offset > max(1, positions[partition]):
                raise OffsetOutOfRange(partition, records[0].offset)
            batches.append(records)
        self._behind = max(1, sum(len(records) >= count for records in batches))
        # Another partition comes first each time: the surplus is cut off at the end.
        self._rotation += 1
        return bounded(batches, self._rotation, max_records, max_bytes)

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the oldest offset kept; 0 if nothing was ever trimmed."""
        return {p.n: start for p, (start, _) in self._bounds(self._all(topic)).items()}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the next offset to be written; 0 if nothing was ever written."""
        return {p.n: end for p, end in self.ends(self._all(topic)).items()}

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the end offsets of partitions, in one round trip."""
        return {partition: end for partition, (_, end) in self._bounds(partitions).items()}

    def trim(self, topic: str, partition: int, before_offset: int) -> int:
        """Drop records below `before_offset`, never the newest one; return how many went."""
        stream = self._keys.log_stream(topic, partition)
        with unavailable():
            registry = self._keys.log_topics()
            arguments = (stream, registry, topic, partition, before_offset)
            return int(self._with_functions(lambda: self._client.fcall("log_trim", 2, *arguments)))

    def member(self, group: str, topics: Sequence[str], member_id: str) -> RedisMember:
        """Return a membership, not yet begun."""
        return RedisMember(self._client, self._keys, group, tuple(topics), member_id)

    def close(self) -> None:
        """Forget what was looked up; the client is the caller's to close."""
        self._topics.clear()

    def _append(
        self,
        messages: Sequence[Outgoing],
        indices: Sequence[int],
        results: dict[int, Appended | AppendFailed],
    ) -> list[int]:
        """Append the messages at `indices`; return those whose topic was created again meanwhile."""
        calls = self._calls(messages, indices, results)
        if not calls:
            return []
        try:
            replies = self._send(calls)
            if any(
                "Function not found" in str(r)
                for r in replies
                if isinstance(r, redis.ResponseError)
            ):
                # Nothing was done: the server came up without its functions.
                self._load()
                replies = self._send(calls)
        except redis.RedisError as error:
            replies = [error] * len(calls)
        stale: list[int] = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, redis.ResponseError) and "STALELOG" in str(reply):
                stale += call.indices
            elif isinstance(reply, Exception):
                failed = AppendFailed(log_error(reply))
                results.update((i, failed) for i in call.indices)
            else:
                first = int(reply)
                offsets = range(first, first + len(call.indices))
                # As the constructor of the named tuple, without a Python call for each.
                places = zip(repeat(call.topic), repeat(call.n), offsets)
                made = map(tuple.__new__, repeat(Appended), places)
                results.update(zip(call.indices, made, strict=True))
        return stale

    def _calls(
        self,
        messages: Sequence[Outgoing],
        indices: Sequence[int],
        results: dict[int, Appended | AppendFailed],
    ) -> list[Call]:
        """Share the messages out to function calls, each bounded in messages and in bytes."""
        full: list[Call] = []
        filling: dict[tuple[str, int], Call] = {}
        for i in indices:
            message = messages[i]
            topic, key = message.topic, message.key
            try:
                found = self._topics.get(topic) or self._look_up(topic)
            except LogError as error:
                results[i] = AppendFailed(error)
                continue
            if key is None:
                n = self._turn[topic] = (self._turn[topic] + 1) % found.partitions
            else:
                n = partition_of(key, found.partitions)
            call = filling.get((topic, n))
            if call is None or call.is_full:
                call = filling[topic, n] = Call(topic, n)
                full.append(call)
            call.add(i, message)
        return full

    def _send(self, calls: Sequence[Call]) -> list[Any]:
        registry, now_ms = self._keys.log_topics(), self._now_ms()
        with self._client.pipeline(transaction=False) as pipe:
            for call in calls:
                topic, n = call.topic, call.n
                at_cap = "drop" if topic in OUTPUT_TOPICS else "refuse"
                pipe.fcall(
                    "log_append",
                    2,
                    self._keys.log_stream(topic, n),
                    registry,
                    topic,
                    n,
                    self._topics[topic].log_id,
                    now_ms,
                    self._cap.records,
                    self._cap.bytes,
                    at_cap,
                    "".join(call.flags),
                    *call.parts,
                )
            return list(pipe.execute(raise_on_error=False))

    def _all(self, topic: str) -> list[Partition]:
        return [Partition(topic, n) for n in range(self._look_up(topic).partitions)]

    def _bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        streams = [self._keys.log_stream(topic, n) for topic, n in partitions]
        with unavailable():
            bounds = self._with_functions(lambda: self._bounds_of(streams))
        return {
            p: (int(start), int(end)) for p, (start, end) in zip(partitions, bounds, strict=True)
        }

    def _bounds_of(self, streams: Sequence[str]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.fcall("log_bounds", 1, stream)
            return list(pipe.execute())

    def _with_functions(self, call: Callable[[], Answer]) -> Answer:
        """Make a call; load the functions and make it again if the server has lost them."""
        try:
            return call()
        except redis.ResponseError as error:
            if "Function not found" not in str(error):
                raise
        self._load()
        return call()

    def _load(self) -> None:
        self._client.function_load(LIBRARY.read_text(encoding="utf-8"), replace=True)

    def _look_up(self, topic: str) -> Topic:
        with unavailable():
            entry = self._client.hget(self._keys.log_topics(), topic)
        found = registered(topic, entry)
        self._topics[topic] = found
        return found
