"""The modelled log: partitions with gaps in their offsets, appends that arrive at least once, and its members."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from connectors.log.base import (
    INPUT_TOPICS,
    MAX_BYTES,
    MAX_RECORDS,
    MEMBER_LIFE_MS,
    OUTPUT_TOPICS,
    Appended,
    AppendFailed,
    LogRefused,
    LogUnavailable,
    Member,
    Outgoing,
    Partition,
    Record,
    TopicFault,
    partition_of,
)
from tests.simulation.wire import Refusal, Silence, Wire
from tests.simulation.world import World


class Broker:
    """What the log holds, and who reads it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counts = dict.fromkeys(INPUT_TOPICS, world.scenario.partitions)
        self.counts |= dict.fromkeys(OUTPUT_TOPICS, 1)
        self.records: dict[Partition, list[Record]] = {
            Partition(topic, n): [] for topic, count in self.counts.items() for n in range(count)
        }
        self.ends = dict.fromkeys(self.records, 0)
        self.members: dict[str, int] = {}
        """Member -> when its membership ends, by its own clock (ms)."""
        self.overlap_us = 0
        """Until then every reader is given every partition."""

    def append(self, message: Outgoing, n: int) -> Appended:
        """Put a message at the end of a partition, with the markers of a transaction behind it at times."""
        partition = Partition(message.topic, n)
        gaps = self.world.scenario.gaps
        records = self.records[partition]
        offset = self.ends[partition]
        timestamp_ms = self.world.true_us // 1000
        records.append(
            Record(
                message.topic, n, offset, timestamp_ms, message.key, message.headers, message.value
            )
        )
        self.ends[partition] = offset + 1 + gaps[len(records) % len(gaps)]
        return Appended(message.topic, n, offset)

    def mark(self, partition: Partition) -> str:
        return f"{log_id(partition.topic)}/{partition.n}"

    def newest(self) -> dict[str, int]:
        """Mark -> the offset of the last record, of the input partitions that have any."""
        return {
            self.mark(partition): records[-1].offset
            for partition, records in self.records.items()
            if records and partition.topic in INPUT_TOPICS
        }


def log_id(topic: str) -> str:
    return f"id-{topic}"


class SimLog:
    """The log as one process sees it."""

    first_offset = 0
    is_trimmed_by_readers = False

    def __init__(self, wire: Wire, broker: Broker) -> None:
        self._wire = wire
        self._broker = broker
        self._in_vain: dict[Partition, int] = {}

    def reach(self) -> None:
        """The modelled server is always there; calls to it fail one by one."""

    def faults(self, topic: str) -> list[TopicFault]:
        del topic
        return []

    def create(self, topic: str, partitions: int) -> None:
        raise LogRefused(f"{topic}, {partitions}: topics are made with the world")

    def delete(self, topic: str) -> None:
        raise LogRefused(f"{topic}: topics end with the world")

    def trim(self, topic: str, partition: int, before_offset: int) -> int:
        raise LogRefused(f"{topic}/{partition}, {before_offset}: nothing is trimmed")

    def log_id(self, topic: str) -> str:
        found: str = self._look(lambda: "asks for the log id", (topic,), log_id)[topic]
        return found

    def partitions(self, topic: str) -> int:
        return self._broker.counts[topic]

    def start_offsets(self, topic: str) -> dict[int, int]:
        return dict.fromkeys(range(self._broker.counts[topic]), 0)

    def end_offsets(self, topic: str) -> dict[int, int]:
        every = [Partition(topic, n) for n in range(self._broker.counts[topic])]
        return {partition.n: end for partition, end in self.ends(every).items()}

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        found: dict[Partition, int] = self._look(
            lambda: "asks for the ends", tuple(partitions), self._broker.ends.__getitem__
        )
        return found

    def append(self, messages: Sequence[Outgoing]) -> list[Appended | AppendFailed]:
        world, name = self._broker.world, self._wire.worker.name
        # What is on its way no longer changes when the caller goes on with its list.
        messages = tuple(messages)

        def run(at: int) -> Appended:
            message = messages[at]
            n = partition_of(message.key or b"", self._broker.counts[message.topic])
            if world.tracing:
                world.note(name, f"appends {_told(message, world)}")
            return self._broker.append(message, n)

        say = partial(_told_all, messages)
        done: dict[int, Appended] = {}

        def remember(at: int) -> Appended:
            done[at] = run(at)
            return done[at]

        # A part that failed, or whose answer was lost, failed alone.
        try:
            done = self._wire.ask(say, range(len(messages)), remember)
            unsure: set[int] = set()
        except Refusal:
            unsure = set(range(len(messages))) - done.keys()
        except Silence:
            unsure = self._unheard(len(messages), done.keys())
        failed = AppendFailed(LogUnavailable("no answer"))
        return [failed if at in unsure else done[at] for at in range(len(messages))]

    def _unheard(self, count: int, done: Collection[int]) -> set[int]:
        """Return which messages the producer knows nothing of: at least those that are not there."""
        missing = set(range(count)) - set(done)
        return missing or set(range(count))

    def read(
        self,
        positions: Mapping[Partition, int],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        wait_ms: int = 0,
    ) -> list[Record]:
        del max_bytes, wait_ms
        found: list[Record] = self._look(
            lambda: "reads",
            (0,),
            lambda _part: self._records(positions, max_records),
            at_once=False,
        )[0]
        if found and self._broker.world.tracing:
            places = " ".join(f"{r.topic}/{r.partition}:{r.offset}" for r in found)
            self._broker.world.note(self._wire.worker.name, f"reads {places}")
        return found

    def reached(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        return {
            partition: end
            for partition, end in self._in_vain.items()
            if end > positions.get(partition, end)
        }

    def member(self, group: str, topics: Sequence[str], member_id: str) -> Member:
        del group, topics, member_id
        worker = self._wire.worker
        return SimMember(self, f"{worker.name}.{worker.starts}")

    def close(self) -> None:
        """Nothing is held."""

    def heartbeat(self, name: str, now_ms: int) -> frozenset[Partition]:
        found: frozenset[Partition] = self._look(
            lambda: "heartbeat", (0,), lambda _part: self._beat(name, now_ms)
        )[0]
        return found

    def _beat(self, name: str, now_ms: int) -> frozenset[Partition]:
        broker = self._broker
        broker.members = {other: until for other, until in broker.members.items() if until > now_ms}
        broker.members[name] = now_ms + MEMBER_LIFE_MS
        every = [p for p in sorted(broker.records) if p.topic in INPUT_TOPICS]
        if broker.world.now_us < broker.overlap_us:
            return frozenset(every)
        ordered = sorted(broker.members)
        return frozenset(every[ordered.index(name) :: len(ordered)])

    def _records(self, positions: Mapping[Partition, int], most: int) -> list[Record]:
        found: list[Record] = []
        for partition, position in positions.items():
            mine = [r for r in self._broker.records[partition] if r.offset >= position]
            found += mine[: most - len(found)]
            if len(found) == most:
                break
        ends = self._broker.ends
        self._in_vain = {} if found else {partition: ends[partition] for partition in positions}
        return found

    def _look(self, say: Any, parts: Sequence[Any], run: Any, *, at_once: bool = True) -> Any:
        try:
            return self._wire.ask(say, parts, run, is_look=True, at_once=at_once)
        except (Silence, Refusal):
            raise LogUnavailable("no answer") from None


class SimMember:
    """A member of the one group."""

    def __init__(self, log: SimLog, name: str) -> None:
        self._log = log
        self._name = name

    def heartbeat(self, now_ms: int) -> frozenset[Partition]:
        return self._log.heartbeat(self._name, now_ms)

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Nobody looks."""

    def leave(self) -> None:
        """It ends by itself."""


def _told(message: Outgoing, world: World) -> str:
    event = orjson.loads(message.value or b"")
    data = event["data"]
    if message.topic == "dead.letters":
        return f"dead.letters {data['topic']}/{data['partition']}:{data['offset']} {data['reason']}"
    levels = orjson.dumps(data["levels"]).decode() if "levels" in data else ""
    return f"{event['type']} {data['sku']} {world.version(data['version'])} {levels}"


def _told_all(messages: Sequence[Outgoing]) -> str:
    return f"appends {len(messages)} to {' '.join(sorted({message.topic for message in messages}))}"
