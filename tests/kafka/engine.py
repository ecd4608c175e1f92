"""A shop on a real Kafka, and what can be seen of it from outside: its group, its watermarks."""

import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from connectors.log.base import INPUT_TOPICS, Partition
from connectors.log.kafka.log import KafkaLog
from connectors.redis.embedded import EmbeddedError, embedded, socket_path
from flows.ingest.reader import GROUP
from state.protocol.keys import Keys
from state.store.shards import Store
from tests.flows.shop import Shop
from tests.patience import PATIENCE_S
from tests.servers.kafka import Kafka

PARTITIONS = frozenset(Partition(topic, n) for topic in INPUT_TOPICS for n in range(4))
SHARDS = 16

Tell = Callable[[str], None]
Seen = TypeVar("Seen")
Shares = dict[str, frozenset[Partition]]
"""Member -> what it reads."""


class KafkaShop(Shop):
    """A shop whose log is on Kafka, in a namespace of its own; its stock is in the embedded store."""

    def __init__(self, folder: Path, kafka: Kafka, namespace: str | None = None) -> None:
        self.kafka = kafka
        self.namespace = uuid.uuid4().hex[:12] if namespace is None else namespace
        super().__init__(folder, PENSTOCK_KAFKA=kafka.bootstrap, PENSTOCK_NAMESPACE=self.namespace)
        self.log = KafkaLog(kafka.bootstrap, namespace=self.namespace)
        self.group = self.name(GROUP)
        self._admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})

    def name(self, text: str) -> str:
        """What the brokers call a topic or a group of this shop."""
        return f"{self.namespace}.{text}" if self.namespace else text

    def close(self) -> None:
        super().close()
        self.log.close()

    def applied(self, of: Callable[[Iterable[int]], int] = max) -> dict[Partition, int]:
        """The offset of each partition that the first shard has applied; with `min`, every shard. -1 = none."""
        with redis.Redis(unix_socket_path=socket_path(self.folder / "data")) as client:
            shards = Store(client, Keys(self.namespace), SHARDS).marks()
        found = {}
        for topic in INPUT_TOPICS:
            log_id = self.log.log_id(topic)
            for n in range(self.log.partitions(topic)):
                mark = f"{log_id}/{n}"
                found[Partition(topic, n)] = of(shard.get(mark, -1) for shard in shards)
        return found

    def shares(self) -> Shares:
        """Who reads what now; nothing while the group is on its way to another order."""
        asked = self._admin.describe_consumer_groups([self.group], request_timeout=PATIENCE_S)
        try:
            emitted = asked[self.group].result(PATIENCE_S + 10)
        except KafkaException:
            # The first group of a broker waits for its coordinator.
            return {}
        if emitted.state.name != "STABLE":
            return {}
        head = len(self.name(""))
        return {
            member.member_id: frozenset(
                Partition(p.topic[head:], p.partition) for p in member.assignment.topic_partitions
            )
            for member in emitted.members
        }

    def until_shared(self, members: int, partitions: int = len(PARTITIONS)) -> Shares:
        """Wait until so many members read all partitions, each partition once."""

        def is_so(shares: Shares) -> bool:
            read = [p for share in shares.values() for p in share]
            return len(shares) == members and len(read) == len(set(read)) == partitions

        return until(self.shares, is_so)

    def until_idle(self, within_s: float = PATIENCE_S) -> None:
        done = self.penstock("wait", "--idle", "--timeout", str(within_s))
        assert done.returncode == 0, done.stdout + done.stderr

    def until_moved_on(self, within_s: float = PATIENCE_S) -> float:
        """Wait until every partition has moved on from where it is; return how many seconds that took."""
        began_s, before = time.monotonic(), self.applied()
        until(self.applied, lambda now: all(now[p] > at for p, at in before.items()), within_s)
        return time.monotonic() - began_s

    def lag(self) -> int:
        """How many offsets of the inputs some shard has not applied yet."""
        applied = self.applied(min)
        return sum(end - 1 - applied[p] for p, end in self.log.ends(applied.keys()).items())

    def group_by_the_tool(self) -> list[dict[str, str]]:
        """The rows of the group, as Kafka's own tool tells them."""
        emitted = self.kafka.tool("consumer-groups", "--describe", "--group", self.group)
        head, *table = [line.split() for line in emitted.splitlines() if line.strip()]
        return [dict(zip(head, row, strict=True)) for row in table]


def until(
    look: Callable[[], Seen], is_so: Callable[[Seen], bool], within_s: float = PATIENCE_S
) -> Seen:
    """Look until it is so, and return what was seen; fail with it when time runs out."""
    deadline = time.monotonic() + within_s
    while not is_so(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.02)
    return seen


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal that ends a process; one that was only asked must end with 0 and without a word."""
    process.send_signal(number)
    said = process.communicate(timeout=PATIENCE_S)
    if number == signal.SIGTERM:
        assert (process.returncode, *said) == (0, b"", b"")


@contextmanager
def opened(shop: KafkaShop, missing: Callable[[str], None]) -> Iterator[KafkaShop]:
    """A shop whose embedded store stays up between its commands, and which leaves nothing running."""
    try:
        with embedded(shop.folder / "data"):
            yield shop
    except EmbeddedError as error:
        missing(str(error))
    finally:
        shop.close()
