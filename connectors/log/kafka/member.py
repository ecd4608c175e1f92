"""Which member reads which partitions, for a log on Kafka: the broker's consumer group, cooperatively.

The member only takes part in the group; its consumer never fetches. Records are read elsewhere, from the
watermarks. Classic group protocol: there the session's time-out is the client's to choose, so that the
partitions of a dead worker are read again within seconds under the default settings of the broker.
"""

from collections.abc import Mapping, Sequence
from threading import Thread
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from connectors.log.base import Partition
from connectors.log.kafka.client import REQUEST_S, SESSION_MS, KafkaClients
from connectors.log.kafka.topics import KafkaTopics

_EVENTS_MAX = 1_000


class KafkaMember:
    """A member of a group. Rebalances happen within `heartbeat`, on the caller's thread."""

    def __init__(
        self,
        client: KafkaClients,
        topics: KafkaTopics,
        group: str,
        wanted: Sequence[str],
        member_id: str,
    ) -> None:
        self._client = client
        self._topics = topics
        self._group = topics.name(group)
        self._wanted = tuple(wanted)
        self._id = member_id
        self._consumer: Any = None
        self._mine: set[Partition] = set()
        self._told: dict[Partition, int] = {}

    def heartbeat(self, now_ms: int) -> frozenset[Partition]:  # noqa: ARG002 - the broker has a clock
        """Stay a member; return the partitions to read now."""
        if self._consumer is None:
            self._join()
        # The heartbeat itself goes out by the library's own thread, as long as this one is called at all.
        for _ in range(_EVENTS_MAX):
            message = self._consumer.poll(0)
            if message is None:
                break
            if message.error() is not None and message.error().fatal():
                raise self._client.log_error(message.error())
        return frozenset(self._mine)

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit group offsets, for tools that show lag."""
        moved = {
            p: at for p, at in positions.items() if p in self._mine and self._told.get(p) != at
        }
        if self._consumer is None or not moved:
            return
        offsets = [TopicPartition(self._topics.name(p.topic), p.n, at) for p, at in moved.items()]
        with self._client.asking():
            self._consumer.commit(offsets=offsets, asynchronous=True)
        self._told |= moved

    def leave(self) -> None:
        """Give the partitions up at once, or by the time-out of the session where the brokers cannot be reached.

        The library may wait for minutes for a coordinator that went away amid a rebalance: it is left waiting.
        """
        if self._consumer is not None:
            closing = Thread(target=self._consumer.close, name="leaving", daemon=True)
            closing.start()
            closing.join(REQUEST_S)
        self._consumer = None
        self._mine.clear()

    def _join(self) -> None:
        self._topics.look_up_all(self._wanted)
        self._consumer = self._client.make(
            Consumer,
            group_id=self._group,
            client_id=self._id,
            partition_assignment_strategy="cooperative-sticky",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=1_000,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            allow_auto_create_topics=False,
            queued_max_messages_kbytes=1,
        )
        self._consumer.subscribe(
            [self._topics.name(topic) for topic in self._wanted],
            on_assign=self._take,
            on_revoke=self._give,
            on_lost=self._give,
        )

    def _take(self, consumer: Any, places: list[TopicPartition]) -> None:
        # Taken up at the end and paused at once: this consumer is not the one that reads.
        at_end = [TopicPartition(p.topic, p.partition, _END) for p in places]
        consumer.incremental_assign(at_end)
        consumer.pause(at_end)
        self._mine |= self._partitions(places)
        self._told.clear()

    def _give(self, _consumer: Any, places: list[TopicPartition]) -> None:
        self._mine -= self._partitions(places)
        self._told.clear()

    def _partitions(self, places: list[TopicPartition]) -> set[Partition]:
        return {Partition(self._topics.topic(p.topic), p.partition) for p in places}


_END = -1
"""librdkafka's OFFSET_END."""
