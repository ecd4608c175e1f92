"""The peer of agents and tables: Faust, as it is kept up by its community (`faust_app.py`)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.benchmarks.filling import make_topic
from tests.benchmarks.peer_environment import PYTHON, without
from tests.benchmarks.processes import processes
from tests.benchmarks.system import Running, Site, Work
from tests.benchmarks.totals import TotalsRunning, told_in_file

TUNED: Mapping[str, Any] = {
    "stream_buffer_maxsize": 32_768,
    "consumer_max_fetch_size": 8_388_608,
    "producer_linger": 0.02,
    "producer_max_batch_size": 1_000_000,
    "broker_commit_interval": 0.5,
}


class Setting(NamedTuple):
    """What a configuration sets."""

    application: Mapping[str, Any]
    store: str = "memory://"
    take: int = 1_000
    within_s: float = 0.1


SETTINGS = {
    "tables in memory, batches of 100, else as it comes": Setting({}, take=100),
    "tables in memory, batches of 1,000, large fetches": Setting(TUNED),
    "tables in memory, batches of 5,000, large fetches": Setting(TUNED, take=5_000, within_s=0.3),
    # Its store on disk asks for the event in hand, of which there is none within a batch.
    "tables in RocksDB, one by one, large fetches": Setting(TUNED, store="rocksdb://", take=1),
}


class Faust:
    """Faust-streaming: ids in memory, positions in a table with its changelog, totals to Redis for each batch."""

    name = "faust"
    configurations: Sequence[str] = tuple(SETTINGS)

    def missing(self) -> str:
        return without("faust")

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        setting = SETTINGS[configuration]
        known = told_in_file(
            site,
            work,
            application=dict(setting.application),
            store=setting.store,
            take=setting.take,
            within_s=setting.within_s,
        )
        # It asks for its topics when it starts, and passes over those that are not there.
        make_topic(site.kafka, f"{site.run}-movements", work.partitions)
        program = [str(PYTHON), "-m", "tests.benchmarks.systems.faust_app", str(known)]
        with processes(site.folder) as made:
            made.start("app", program)
            yield TotalsRunning(site, made)
