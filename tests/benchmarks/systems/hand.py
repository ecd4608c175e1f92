"""The peer that has nothing in its way: a loop written by hand for this work alone (`hand_loop.py`)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tests.benchmarks.processes import processes
from tests.benchmarks.stock_store import StoreRunning
from tests.benchmarks.system import Running, Site, Work


class Setting(NamedTuple):
    """What a configuration sets."""

    roles: tuple[str, ...]
    batch: int
    publish_every_ms: int


SETTINGS = {
    "one process, batches of 1,000, publishing each 200 ms": Setting(("both",), 1_000, 200),
    "one process, batches of 4,000, publishing each 500 ms": Setting(("both",), 4_000, 500),
    "two processes, batches of 1,000, publishing each 200 ms": Setting(
        ("publish", "ingest"), 1_000, 200
    ),
    "two processes, batches of 1,000, publishing each 500 ms": Setting(
        ("publish", "ingest"), 1_000, 500
    ),
    "two processes, batches of 4,000, publishing each 500 ms": Setting(
        ("publish", "ingest"), 4_000, 500
    ),
    "three processes (two readers), batches of 4,000, publishing each 500 ms": Setting(
        ("publish", "ingest", "ingest"), 4_000, 500
    ),
}


class Hand:
    """A hand-written loop: confluent-kafka, orjson, the same Redis functions."""

    name = "hand"
    configurations: Sequence[str] = tuple(SETTINGS)

    def missing(self) -> str:
        return ""

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        setting = SETTINGS[configuration]
        with processes(site.folder) as made:
            for role in setting.roles:
                made.python(
                    role, "-m", "tests.benchmarks.systems.hand_loop",
                    "--role", role, "--kafka", site.kafka, "--redis", site.redis,
                    "--namespace", site.namespace, "--updates", site.updates, "--group", site.run,
                    "--mode", work.mode, "--channels", str(work.channels),
                    "--batch", str(setting.batch), "--every-ms", str(setting.publish_every_ms),
                )  # fmt: skip
            yield StoreRunning(site, made)
