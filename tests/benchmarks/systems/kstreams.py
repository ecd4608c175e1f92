"""The peer of the Java world: Kafka Streams with state stores of its own (`kstreams/`), built by Maven."""

import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.processes import processes
from tests.benchmarks.system import RECEIPTS, RESENT_WITHIN, SALES, Running, Site, Work
from tests.benchmarks.totals import TotalsRunning, key_of
from tests.servers.kafka import ROOT, ServerMissing

PROJECT = Path(__file__).with_name("kstreams")
HEAP = "-Xmx512m"
CACHE_BYTES = 64 * 1024 * 1024
NEWEST = f"lru:{2 * RESENT_WITHIN}"
DAY = "window:24"


class Setting(NamedTuple):
    """What a configuration sets."""

    store: str = "rocksdb"
    """Where positions lie: `rocksdb` or `memory`."""
    seen: str = NEWEST
    """Where ids lie: the newest ones in memory, or those of a day on disk."""
    threads: int = 1
    caching: bool = True
    """With it only the last update of a SKU in a commit interval is told."""
    commit_ms: int = 500
    guarantee: str = "at_least_once"
    logging: bool = True
    """Whether the stores can be had again from topics of changes."""


SETTINGS = {
    "RocksDB, ids of a day on disk, every update told, 1 thread": Setting(seen=DAY, caching=False),
    "RocksDB, ids of a day on disk, cache, commit 500 ms, 1 thread": Setting(seen=DAY),
    "RocksDB, cache, commit 100 ms, 1 thread": Setting(commit_ms=100),
    "RocksDB, cache, commit 500 ms, 1 thread": Setting(),
    "RocksDB, cache, commit 500 ms, 2 threads": Setting(threads=2),
    "in memory, every update told, 2 threads": Setting("memory", threads=2, caching=False),
    "in memory, cache, commit 500 ms, 1 thread": Setting("memory"),
    "in memory, cache, commit 500 ms, 2 threads": Setting("memory", threads=2),
    "in memory, cache, commit 500 ms, 2 threads, no changelog": Setting(
        "memory", threads=2, logging=False
    ),
    "in memory, cache, commit 500 ms, 2 threads, exactly once": Setting(
        "memory", threads=2, guarantee="exactly_once_v2"
    ),
}


class KStreams:
    """Kafka Streams in Java: ids and positions in its state stores, totals to Redis by Jedis."""

    name = "kstreams"
    configurations: Sequence[str] = tuple(SETTINGS)

    def missing(self) -> str:
        try:
            class_path()
        except ServerMissing as error:
            return str(error)
        return ""

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        path = site.folder / "streams.properties"
        given = properties(site, work, SETTINGS[configuration])
        path.write_text("".join(f"{key}={value}\n" for key, value in given.items()))
        java = ["java", HEAP, "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        with processes(site.folder) as made:
            made.start("streams", [*java, "-cp", class_path(), "bench.StockApp", str(path)])
            yield TotalsRunning(site, made)


def properties(site: Site, work: Work, setting: Setting) -> Mapping[str, str]:
    """Return what the program is told."""
    return {
        "application.id": site.run,
        "bootstrap.servers": site.kafka,
        "state.dir": str(site.folder / "state"),
        "auto.offset.reset": "earliest",
        "replication.factor": "1",
        "num.stream.threads": str(setting.threads),
        "processing.guarantee": setting.guarantee,
        "commit.interval.ms": str(setting.commit_ms),
        "statestore.cache.max.bytes": str(CACHE_BYTES if setting.caching else 0),
        "topology.optimization": "all",
        "consumer.max.poll.records": "5000",
        "consumer.fetch.min.bytes": "1",
        "producer.linger.ms": "20",
        "producer.batch.size": "262144",
        "producer.buffer.memory": "67108864",
        "bench.inputs": ",".join(f"{site.namespace}.{topic}" for topic in (SALES, RECEIPTS)),
        "bench.updates": site.updates,
        "bench.redis": site.redis,
        "bench.totals": key_of(site),
        "bench.channels": str(work.channels),
        "bench.seen": setting.seen,
        "bench.store": setting.store,
        "bench.caching": str(setting.caching).lower(),
        "bench.logging": str(setting.logging).lower(),
    }


@cache
def class_path() -> str:
    """Return the class path of the program, building it if its sources have changed.

    Raises:
        ServerMissing: no Java, no Maven, or no repository to bring the libraries from.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise ServerMissing(f"{program}, for Kafka Streams")
    sources = [PROJECT / "pom.xml", *sorted(PROJECT.rglob("*.java"))]
    print_of = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    folder = ROOT / ".servers" / f"bench-kstreams-{print_of[:12]}"
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
        shutil.copytree(PROJECT, draft / "project")
        command = ["mvn", "-q", "-B", "-ntp", "-f", str(draft / "project" / "pom.xml")]
        copied = ["dependency:copy-dependencies", f"-DoutputDirectory={draft / 'jars'}"]
        done = subprocess.run(
            [*command, "compile", *copied], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            shutil.rmtree(draft)
            raise ServerMissing(f"Kafka Streams: {done.stdout[-600:]}")
        (draft / "project" / "target" / "classes").rename(draft / "classes")
        # Whole or not at all: another run may do the same.
        if folder.exists():
            shutil.rmtree(draft)
        else:
            draft.rename(folder)
    return f"{folder / 'classes'}:{folder / 'jars'}/*"
