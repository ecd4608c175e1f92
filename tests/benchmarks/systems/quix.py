"""The peer that is made for Kafka in Python: Quix Streams (`quix_app.py`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.benchmarks.peer_environment import PYTHON, without
from tests.benchmarks.processes import processes
from tests.benchmarks.system import Running, Site, Work
from tests.benchmarks.totals import TotalsRunning, told_in_file

LARGE_FETCHES = {
    "fetch.wait.max.ms": 50,
    "queued.min.messages": 200_000,
    "max.partition.fetch.bytes": 8_388_608,
}
LARGE_BATCHES = {"linger.ms": 20, "batch.size": 1_000_000}


class Setting(NamedTuple):
    """What a configuration sets."""

    application: Mapping[str, Any]
    processes: int = 1
    kept_h: int = 0
    """How long an id is kept; 0 = for good, which costs less at each event."""


TUNED = {
    "commit_interval": 0.5,
    "consumer_extra_config": LARGE_FETCHES,
    "producer_extra_config": LARGE_BATCHES,
}
SETTINGS = {
    "commit each 1 s, else as it comes": Setting({"commit_interval": 1.0}),
    "large fetches and batches, commit each 500 ms": Setting(TUNED),
    "large fetches and batches, ids kept for 24 h": Setting(TUNED, kept_h=24),
    "large fetches and batches, no changelog": Setting({**TUNED, "use_changelog_topics": False}),
    "large fetches and batches, no changelog, commit every 20,000 messages": Setting(
        {**TUNED, "use_changelog_topics": False, "commit_every": 20_000}
    ),
    # With the changelog: without it a partition that changes hands would begin from nothing.
    "large fetches and batches, two processes": Setting(TUNED, processes=2),
    "large fetches and batches, exactly once": Setting(
        {**TUNED, "processing_guarantee": "exactly-once"}
    ),
}


class Quix:
    """Quix Streams: ids and positions in its state (RocksDB), totals to Redis by a batching sink."""

    name = "quix"
    configurations: Sequence[str] = tuple(SETTINGS)

    def missing(self) -> str:
        return without("quixstreams")

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        setting = SETTINGS[configuration]
        known = told_in_file(
            site, work, application=dict(setting.application), kept_h=setting.kept_h
        )
        program = [str(PYTHON), "-m", "tests.benchmarks.systems.quix_app", str(known)]
        with processes(site.folder) as made:
            for number in range(setting.processes):
                made.start("app", [*program, str(number)])
            yield TotalsRunning(site, made)
