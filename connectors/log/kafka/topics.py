"""Topics of Kafka: made, removed, looked up, measured, and held against what a log of stock needs."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from connectors.log.base import (
    INPUT_TOPICS,
    LogRefused,
    LogUnavailable,
    Partition,
    TopicFault,
    UnknownTopic,
)
from connectors.log.kafka.client import MESSAGE_BYTES_MAX, REQUEST_S, KafkaClients
from state.durations import DAY_MS

COMPACTED = frozenset({"stock.updates", "ads.signals", "order.routes"})
"""Absolute states by key: the newest of each key is kept for ever, older ones go."""
DEAD_LETTERS_DAYS_MIN = 30
REPLICAS = 3
"""Copies of a partition where there are so many brokers; a message is confirmed when two have it."""
_URL_SAFE = str.maketrans("+/", "-_")
_SETTLE_S = 10.0
_POLL_S = 0.05
_STEP_S = 0.2
_PATIENCE_S = 1.0
"""Brokers that are just being reached may be away for a moment."""

_STALE = {
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.NOT_LEADER_FOR_PARTITION,
}

Answer = TypeVar("Answer")


class BrokerTopic(NamedTuple):
    """What the brokers say of a topic."""

    log_id: str
    partitions: int
    replicas: int
    """Of the partition that has the fewest."""


class KafkaTopics:
    """The topics of one namespace, asked of the brokers each time."""

    def __init__(self, client: KafkaClients, namespace: str, retention_ms: int) -> None:
        self._client = client
        self._prefix = f"{namespace}." if namespace else ""
        self._retention_ms = retention_ms
        self._admin: AdminClient | None = None

    def name(self, topic: str) -> str:
        """Return the name that the brokers know a topic by."""
        return self._prefix + topic

    def topic(self, name: str) -> str:
        """Return the topic that the brokers know by a name."""
        return name.removeprefix(self._prefix)

    def reach(self) -> None:
        """Ask the brokers for a sign of life.

        Raises:
            LogUnavailable: there is none. LogRefused: they do not let this client in.
        """
        try:
            self._ask("", lambda admin: admin.describe_cluster(request_timeout=REQUEST_S))
        except LogUnavailable as error:
            if self._client.is_let_in:
                raise
            raise LogRefused(f"PENSTOCK_KAFKA: {self._client.fault_text}") from error

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic unless it is there, and wait until it can be used."""
        self._check_name(topic, partitions)
        # A client that may not create topics may well use those that are there.
        wanted = None if self._is_there(topic) else self._wanted(topic, partitions)
        deadline = time.monotonic() + _SETTLE_S
        while True:
            if wanted is not None:
                self._make(topic, wanted)
            try:
                self.end_offsets(topic)
            except (UnknownTopic, LogUnavailable) as error:
                # Being made, or one of that name being removed; no leaders yet.
                if time.monotonic() > deadline:
                    raise LogUnavailable(f"kafka: {topic} cannot be used yet ({error})") from error
                time.sleep(_POLL_S)
            else:
                return

    def delete(self, topic: str) -> None:
        """Remove a topic, and wait until it is gone."""
        with self._client.asking(topic):
            self._each(lambda admin: admin.delete_topics([self.name(topic)]))
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            try:
                self.look_up(topic)
            except UnknownTopic:
                return
            time.sleep(_POLL_S)
        raise LogUnavailable(f"kafka: {topic} was removed and is still there")

    def look_up(self, topic: str) -> BrokerTopic:
        """Return id and partitions of a topic. Raises `UnknownTopic`."""
        return self.look_up_all([topic])[topic]

    def look_up_all(self, topics: Iterable[str]) -> dict[str, BrokerTopic]:
        """Return id and partitions of topics, in one request. Raises `UnknownTopic`."""
        named = {self.name(topic): topic for topic in topics}
        futures = self._admin_client().describe_topics(
            TopicCollection(list(named)), request_timeout=REQUEST_S
        )
        found = {}
        for name, future in futures.items():
            with self._client.asking(named[name]):
                description = self._within(future)
            # As Kafka's own tools write it.
            log_id = str(description.topic_id).translate(_URL_SAFE)
            replicas = min(
                (len(partition.replicas) for partition in description.partitions), default=0
            )
            found[named[name]] = BrokerTopic(log_id, len(description.partitions), replicas)
        return found

    def start_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the oldest offset kept."""
        return {p.n: at for p, at in self.offsets(self._all(topic), OffsetSpec.earliest()).items()}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return, per partition, the next offset to be read by a consumer that reads only committed records."""
        return {p.n: at for p, at in self.ends(self._all(topic)).items()}

    def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the next offset to be read of partitions."""
        return self.offsets(partitions, OffsetSpec.latest())

    def offsets(self, partitions: Collection[Partition], which: OffsetSpec) -> dict[Partition, int]:
        """Return the earliest or latest offset of partitions, in one request."""
        asked = {TopicPartition(self.name(p.topic), p.n): which for p in partitions}
        futures = self._admin_client().list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=REQUEST_S
        )
        found = {}
        for place, future in futures.items():
            topic = self.topic(place.topic)
            with self._client.asking(topic), self._forgetting():
                found[Partition(topic, place.partition)] = int(self._within(future).offset)
        return found

    def trim(self, partition: Partition, before_offset: int) -> int:
        """Drop records below an offset, never the newest one; return how many offsets went."""
        start = self.offsets([partition], OffsetSpec.earliest())[partition]
        before = min(before_offset, self.ends([partition])[partition] - 1)
        if before <= start:
            return 0
        place = TopicPartition(self.name(partition.topic), partition.n, before)
        with self._client.asking(partition.topic):
            self._each(lambda admin: admin.delete_records([place]))
        return before - start

    def faults(self, topic: str) -> list[TopicFault]:
        """Return what in a topic's settings could lose events, or give offsets out again."""
        resource = ConfigResource(ResourceType.TOPIC, self.name(topic))
        with self._client.asking(topic):
            configs = self._each(lambda admin: admin.describe_configs([resource]))
        settings = {name: entry.value for name, entry in configs.items()}
        return faults_of(topic, settings, self.look_up(topic).replicas)

    def close(self) -> None:
        """Give the connections back."""
        self._admin = None

    def _all(self, topic: str) -> list[Partition]:
        return [Partition(topic, n) for n in range(self.look_up(topic).partitions)]

    def _is_there(self, topic: str) -> bool:
        try:
            self.look_up(topic)
        except UnknownTopic:
            return False
        return True

    def _wanted(self, topic: str, partitions: int) -> NewTopic:
        brokers = len(self._ask(topic, lambda admin: admin.describe_cluster()).nodes)
        replicas = min(REPLICAS, brokers)
        config = self._config(topic, replicas)
        return NewTopic(self.name(topic), partitions, replicas, config=config)

    def _make(self, topic: str, wanted: NewTopic) -> None:
        """Make a topic, or find that it is there."""
        try:
            self._each(lambda admin: admin.create_topics([wanted]))
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise self._client.log_error(error.args[0], topic) from error

    def _check_name(self, topic: str, partitions: int) -> None:
        if partitions < 1 or not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", topic, re.ASCII):
            raise ValueError(
                f"topic: expected a name of A-Z a-z 0-9 . _ - and 1 or more partitions, "
                f"got {topic!r} and {partitions}"
            )

    def _config(self, topic: str, replicas: int) -> dict[str, str]:
        """Return the settings that a topic is made with."""
        kept_ms = self._retention_ms
        if topic == "dead.letters":
            kept_ms = max(kept_ms, DEAD_LETTERS_DAYS_MIN * DAY_MS)
        largest = MESSAGE_BYTES_MAX if topic == "dead.letters" else MESSAGE_BYTES_MAX // 2
        settings = {
            "max.message.bytes": str(largest),
            # The log timestamp is when the log took a message, whatever the clock of the sender says.
            "message.timestamp.type": "LogAppendTime",
            "unclean.leader.election.enable": "false",
            "min.insync.replicas": str(min(2, replicas)),
        }
        if topic in COMPACTED:
            return settings | {"cleanup.policy": "compact"}
        return settings | {"cleanup.policy": "delete", "retention.ms": str(kept_ms)}

    def _admin_client(self) -> AdminClient:
        if self._admin is None:
            self._admin = self._client.make(AdminClient)
        return self._admin

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """Ask by a new client next time, after an error that shows that this one remembers another leader.

        A client that only asks would remember it for many seconds.
        """
        try:
            yield
        except KafkaException as error:
            if error.args[0].code() in _STALE:
                self._admin = None
            raise

    def _within(self, future: Future[Answer]) -> Answer:
        """Return the answer of a request; give up early when no broker is there.

        Raises:
            KafkaException: what the brokers said, or what keeps them away.
        """
        self._client.begin_anew()
        began_s = time.monotonic()
        while True:
            try:
                return future.result(_STEP_S)
            except TimeoutError:
                self._admin_client().poll(0)
            if self._client.is_cut_off and time.monotonic() - began_s > _PATIENCE_S:
                raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "no broker answers"))  # noqa: SLF001

    def _ask(self, topic: str, ask: Callable[[AdminClient], Future[Answer]]) -> Answer:
        with self._client.asking(topic):
            return self._within(ask(self._admin_client()))

    def _each(self, ask: Callable[[AdminClient], Mapping[Any, Future[Any]]]) -> Any:
        """Ask for one thing; return the answer. Raises `KafkaException`."""
        (future,) = ask(self._admin_client()).values()
        return self._within(future)


def faults_of(topic: str, settings: Mapping[str, str], replicas: int) -> list[TopicFault]:
    """Return what is wrong with a topic, given its settings and its smallest number of replicas."""
    faults = []
    if settings.get("unclean.leader.election.enable") == "true":
        faults.append(
            TopicFault(
                f"{topic}: expected unclean.leader.election.enable=false, got true: a new leader could lose "
                "the tail of the log and give its offsets out again",
                fatal=True,
            )
        )
    if topic in INPUT_TOPICS and "compact" in settings.get("cleanup.policy", ""):
        faults.append(
            TopicFault(
                f"{topic}: expected cleanup.policy=delete, got {settings['cleanup.policy']}: events would go "
                "before they are applied",
                fatal=True,
            )
        )
    in_sync = int(settings.get("min.insync.replicas", "1"))
    if replicas < 2 or in_sync < 2:  # noqa: PLR2004 - two copies outlive the loss of one
        faults.append(
            TopicFault(
                f"{topic}: expected 2 or more replicas and min.insync.replicas >= 2, got {replicas} and "
                f"{in_sync}: the loss of one broker's disk can lose the tail of the log"
            )
        )
    if topic in INPUT_TOPICS and settings.get("message.timestamp.type") != "LogAppendTime":
        faults.append(
            TopicFault(
                f"{topic}: expected message.timestamp.type=LogAppendTime, got "
                f"{settings.get('message.timestamp.type')}: the duplicate guard goes by the clocks of senders"
            )
        )
    return faults
