"""The log on Apache Kafka.

Delivery: an append is confirmed when all replicas in sync have it (`acks=all`); the producer is idempotent, so
its own retries leave neither gaps nor doubles. After `LogUnavailable` a message may be there all the same:
appended again, it is there twice.

Topics are named `<namespace>.<topic>`. A log id is Kafka's topic id. Retention and compaction are the brokers'.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.log.base import (
    MAX_BYTES,
    MAX_RECORDS,
    Appended,
    AppendFailed,
    LogError,
    LogUnavailable,
    Outgoing,
    Partition,
    Record,
    TopicFault,
    UnknownTopic,
    partition_of,
)
from connectors.log.kafka.client import DELIVERY_MS, MESSAGE_BYTES_MAX, KafkaClients, KafkaOptions
from connectors.log.kafka.member import KafkaMember
from connectors.log.kafka.reader import KafkaReader
from connectors.log.kafka.topics import BrokerTopic, KafkaTopics
from state.durations import WEEK_MS

_FLUSH_S = 0.5
_LOOK_EVERY_S = 10.0

_Results = dict[int, Appended | AppendFailed]


class KafkaLog:
    """A `Log` on the topics of a Kafka cluster.

    Args:
        bootstrap: addresses of brokers, `host:port`, separated by commas.
        options: librdkafka's, for SASL, TLS and tuning.
        namespace: prefix of topics and groups; they are named without it here.
        retention_ms: how long topics that `create` makes keep their records.

    Raises:
        LogRefused: an option is not ours to give away, or wrong.
    """

    def __init__(
        self,
        bootstrap: str,
        options: KafkaOptions | None = None,
        namespace: str = "",
        retention_ms: int = WEEK_MS,
    ) -> None:
        self._client = KafkaClients(bootstrap, options or {})
        self._topics = KafkaTopics(self._client, namespace, retention_ms)
        self._known: dict[str, BrokerTopic] = {}
        self._looked_s = 0.0
        self._turn: dict[str, int] = defaultdict(int)
        self._producer: Any = None
        self._making = threading.Lock()
        self._mine = threading.local()
        self._readers: list[KafkaReader] = []
        self._members: list[KafkaMember] = []

    @property
    def first_offset(self) -> int:
        """0, as Kafka counts."""
        return 0

    @property
    def is_trimmed_by_readers(self) -> bool:
        """The brokers drop what is past its retention."""
        return False

    def reach(self) -> None:
        """Ask the brokers for a sign of life."""
        self._topics.reach()

    def faults(self, topic: str) -> list[TopicFault]:
        """Return what in the topic's settings endangers what it holds."""
        return self._topics.faults(topic)

    def create(self, topic: str, partitions: int) -> None:
        """Make the topic unless it is there."""
        self._topics.create(topic, partitions)
        self._known.pop(topic, None)

    def delete(self, topic: str) -> None:
        """Remove the topic and its records."""
        self._topics.delete(topic)
        self._known.pop(topic, None)

    def log_id(self, topic: str) -> str:
        """Return the topic id, as the brokers have it now."""
        return self._topics.look_up(topic).log_id

    def partitions(self, topic: str) -> int:
        """Return the number of partitions, as the brokers have it now."""
        return self._topics.look_up(topic).partitions

    def append(self, messages: Sequence[Outgoing]) -> list[Appended | AppendFailed]:
        """Append, and wait for the report on each message."""
        results: _Results = {}
        self._append(messages, range(len(messages)), results)
        stale = [
            i
            for i, result in results.items()
            if isinstance(result, AppendFailed) and isinstance(result.error, UnknownTopic)
        ]
        if stale:
            # The topic may have been created again, with fewer partitions than we knew of.
            self._known.clear()
            self._append(messages, stale, results)
        return [results[i] for i in range(len(messages))]

    def read(
        self,
        positions: Mapping[Partition, int],
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        wait_ms: int = 0,
    ) -> list[Record]:
        """Read by the consumer of this thread; see `Log.read`."""
        return self._reader().read(positions, max_records, max_bytes, wait_ms)

    def reached(self, positions: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return how far there are no records behind these positions."""
        return self._reader().reached(positions)

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the oldest offset kept."""
        return self._topics.start_offsets(topic)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the end of what is committed."""
        return self._topics.end_offsets(topic)

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the ends of partitions, in one request."""
        return self._topics.ends(partitions) if partitions else {}

    def trim(self, topic: str, partition: int, before_offset: int) -> int:
        """Drop records below an offset, never the newest one; return how many offsets went."""
        return self._topics.trim(Partition(topic, partition), before_offset)

    def member(self, group: str, topics: Sequence[str], member_id: str) -> KafkaMember:
        """Return a membership, not yet begun."""
        made = KafkaMember(self._client, self._topics, group, topics, member_id)
        with self._making:
            self._members.append(made)
        return made

    def close(self) -> None:
        """End all clients; what was appended is confirmed already."""
        with self._making:
            for member in self._members:
                member.leave()
            for reader in self._readers:
                reader.close()
            self._members.clear()
            self._readers.clear()
            self._mine = threading.local()
            self._producer = None
        self._topics.close()

    def _append(
        self, messages: Sequence[Outgoing], indices: Sequence[int], results: _Results
    ) -> None:
        """Append the messages at `indices`; when this returns each of them has a result."""
        producer = self._sender()
        if time.monotonic() - self._looked_s > _LOOK_EVERY_S:
            self._looked_s = time.monotonic()
            self._known.clear()
        failed = None
        waiting = 0

        def reported(i: int, error: KafkaError | None, message: Message) -> None:
            nonlocal failed, waiting
            waiting -= 1
            topic = messages[i].topic
            if error is None:
                results[i] = Appended(topic, message.partition(), message.offset())
            else:
                failed = error
                results[i] = AppendFailed(self._client.log_error(error, topic))

        faults = self._look_up({messages[i].topic for i in indices})
        for i in indices:
            message = messages[i]
            if message.topic in faults:
                results[i] = AppendFailed(faults[message.topic])
                continue
            try:
                self._produce(producer, message, self._place(message), partial(reported, i))
            except LogError as error:
                results[i] = AppendFailed(error)
            else:
                waiting += 1
        while waiting > 0:
            producer.flush(_FLUSH_S)
        if failed is not None and failed.fatal():
            # An idempotent producer that lost its place is of no more use.
            self._producer = None

    def _produce(self, producer: Any, message: Outgoing, place: int, reported: Any) -> None:
        while True:
            try:
                producer.produce(
                    self._topics.name(message.topic),
                    message.value,
                    message.key,
                    place,
                    reported,
                    headers=list(message.headers) or None,
                )
            except BufferError:
                producer.poll(_FLUSH_S)
            except KafkaException as error:
                raise self._client.log_error(error.args[0], message.topic) from error
            else:
                return

    def _look_up(self, topics: set[str]) -> dict[str, LogError]:
        """Learn of topics that are not known; return those that cannot be looked up, and why.

        Asked once for all messages: brokers that are silent cost the whole time-out of a question.
        """
        faults: dict[str, LogError] = {}
        for topic in topics - self._known.keys():
            try:
                self._known[topic] = self._topics.look_up(topic)
            except LogUnavailable as error:
                return faults | dict.fromkeys(topics - self._known.keys() - faults.keys(), error)
            except LogError as error:
                faults[topic] = error
        return faults

    def _place(self, message: Outgoing) -> int:
        """Return the partition for a message of a known topic."""
        topic, key = message.topic, message.key
        partitions = self._known[topic].partitions
        if key is not None:
            return partition_of(key, partitions)
        n = self._turn[topic] = (self._turn[topic] + 1) % partitions
        return n

    def _sender(self) -> Any:
        with self._making:
            if self._producer is None:
                self._producer = self._client.make(
                    Producer,
                    enable_idempotence=True,
                    acks="all",
                    delivery_timeout_ms=DELIVERY_MS,
                    message_max_bytes=MESSAGE_BYTES_MAX,
                    allow_auto_create_topics=False,
                    topic_metadata_propagation_max_ms=2_000,
                )
            return self._producer

    def _reader(self) -> KafkaReader:
        """Return the consumer of this thread."""
        found = getattr(self._mine, "reader", None)
        if found is None:
            found = self._mine.reader = KafkaReader(self._client, self._topics)
            with self._making:
                self._readers.append(found)
        return found
