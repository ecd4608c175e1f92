"""What a load is run on: servers, topics, an opening stock, a generator and a consumer of updates."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.messages.cloudevents import structured
from tests.benchmarks.open_loop import Load, Sent, sku_name
from tests.benchmarks.system import RECEIPTS, SALES, Site
from tests.benchmarks.watch import Ages
from tests.servers.fixtures import AT_ONCE
from tests.servers.kafka import Kafka, bound_to_us, running_kafka
from tests.servers.redis_servers import RedisServer

PARTITIONS = 4
LINES = 100
OPENING = 100_000
"""Pieces of each SKU at each location before the first sale."""
READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Servers:
    """What the runs take place on. Redis is emptied for each run; topics have a namespace of their own."""

    kafka: Kafka
    redis: RedisServer
    folder: Path


@contextmanager
def servers() -> Iterator[Servers]:
    """Run a broker and a Redis of their own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        redis = RedisServer(folder / "redis")
        for kafka in running_kafka(folder / "kafka", AT_ONCE):
            redis.start()
            try:
                yield Servers(kafka, redis, folder)
            finally:
                redis.stop()


def site_of(servers: Servers) -> Site:
    """Return a place for a run: Redis is emptied, the namespace is new."""
    run = f"bench{time.time_ns():x}"
    folder = servers.folder / run
    folder.mkdir(parents=True)
    servers.redis.do("FLUSHALL")
    servers.redis.do("FUNCTION FLUSH")
    return Site(
        servers.kafka.bootstrap, servers.redis.url, run, f"{run}.stock.updates", folder, run
    )


def make_topics(site: Site) -> None:
    """Make inputs that keep the time which the producer sets, and the topic of updates."""
    admin = AdminClient({"bootstrap.servers": site.kafka, "log_level": 0})
    kept = {"message.timestamp.type": "CreateTime"}
    names = [f"{site.namespace}.{topic}" for topic in (SALES, RECEIPTS)]
    wanted = [NewTopic(name, PARTITIONS, 1, config=kept) for name in names]
    wanted.append(NewTopic(site.updates, PARTITIONS, 1))
    for made in admin.create_topics(wanted).values():
        made.result(30)


def open_stock(site: Site, skus: int, places: Sequence[str]) -> None:
    """Receive the opening stock of every SKU at every location."""
    producer: Any = Producer(
        {"bootstrap.servers": site.kafka, "enable.idempotence": True, "log_level": 0}
    )
    now_ms = time.time_ns() // 1_000_000
    for location in places:
        for first in range(0, skus, LINES):
            some = range(first, min(first + LINES, skus))
            lines = [{"sku": sku_name(sku), "quantity": OPENING} for sku in some]
            data = {"location": location, "reference": "opening", "lines": lines}
            value = structured(f"o{location}-{first}", "/wms", "wms.receipt", now_ms, data)
            producer.produce(f"{site.namespace}.{RECEIPTS}", value, location)
    if producer.flush(60):
        raise RuntimeError("the broker did not take the opening stock")


def generate(load: Load) -> Sent:
    """Send a load from a process of its own."""
    told = json.dumps(asdict(load))
    done = subprocess.run(
        [*bound_to_us(), sys.executable, "-m", "tests.benchmarks.open_loop", told],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Sent)


class Watcher:
    """The consumer's process."""

    def __init__(self, process: "subprocess.Popen[str]", site: Site) -> None:
        self._process, self._folder = process, site.folder
        self._asked = 0

    def wait(self, available: dict[str, int], seconds: float) -> str:
        """Return its answer to what every SKU must come to."""
        self._asked += 1
        path = self._folder / f"expected-{self._asked}.json"
        path.write_bytes(msgspec.json.encode(available))
        return self.ask(f"await {path} {seconds}")

    def stop(self) -> Ages:
        """End it; return what it took down."""
        self.ask("stop")
        return Ages.load(self._folder / "ages.bin")

    def ask(self, words: str = "") -> str:
        """Send a line, if any, and return the next answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if words:
            self._process.stdin.write(words + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the consumer of updates ended: {self._process.wait()}")
        return answer

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid


@contextmanager
def watching(site: Site, channels: int) -> Iterator[Watcher]:
    """Follow the updates of a site, from their start."""
    words = ["--kafka", site.kafka, "--topic", site.updates, "--channels", str(channels)]
    with subprocess.Popen(
        [*bound_to_us(), sys.executable, "-m", "tests.benchmarks.watch", *words,
         "--out", str(site.folder / "ages.bin")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        watcher = Watcher(process, site)
        try:
            watcher.ask()
            yield watcher
        finally:
            process.terminate()
