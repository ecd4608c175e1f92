"""The peer that stays on the engine's own ground: Bytewax as its handbook shows it, item by item (`items_flow.py`)."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.processes import processes
from tests.benchmarks.system import Running, Site, Work
from tests.benchmarks.totals import TotalsRunning, told_in_file
from tests.servers.kafka import ROOT, free_ports

CONSUMER = {"fetch.min.bytes": "1", "fetch.wait.max.ms": "50", "queued.min.messages": "100000"}
PRODUCER = {"linger.ms": "5", "batch.size": "500000"}


class Setting(NamedTuple):
    """What a configuration sets."""

    processes: int = 1
    workers: int = 1
    batch: int = 1_000
    collect_ms: int = 0
    """How long the updates of a SKU are collected, of which only the newest is told."""
    recovery_s: int = 0
    """How often the state is kept for a restart; 0 = never."""


SETTINGS = {
    "one worker, batches of 1,000": Setting(),
    "one worker, batches of 10,000": Setting(batch=10_000),
    "one worker, batches of 1,000, updates collected for 200 ms": Setting(collect_ms=200),
    "one worker, batches of 1,000, recovery each 10 s": Setting(recovery_s=10),
    "two workers in one process, batches of 1,000": Setting(workers=2),
    "two processes, batches of 1,000": Setting(processes=2),
    "two processes, batches of 10,000": Setting(processes=2, batch=10_000),
}


class Items:
    """Bytewax, item by item: KafkaSource, keyed state, KafkaSink."""

    name = "bytewax_items"
    configurations: Sequence[str] = tuple(SETTINGS)

    def missing(self) -> str:
        return ""

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        setting = SETTINGS[configuration]
        known = told_in_file(
            site,
            work,
            batch=setting.batch,
            collect_ms=setting.collect_ms,
            consumer=CONSUMER,
            producer=PRODUCER,
        )
        flow = f"tests.benchmarks.systems.items_flow:stock_flow('{known}')"
        words = ["-m", "bytewax.run", flow]
        if setting.workers > 1:
            words += ["-w", str(setting.workers)]
        if setting.recovery_s:
            kept = _recovery_folder(site.folder)
            words += ["-r", str(kept), "-s", str(setting.recovery_s), "-b", "0"]
        ports = free_ports(setting.processes)
        together = ";".join(f"127.0.0.1:{port}" for port in ports)
        with processes(site.folder) as made:
            for number in range(setting.processes):
                many = ["-i", str(number), "-a", together] if setting.processes > 1 else []
                made.python("flow", *words, *many)
            yield TotalsRunning(site, made)


def _recovery_folder(folder: Path) -> Path:
    kept = folder / "recovery"
    kept.mkdir()
    subprocess.run([sys.executable, "-m", "bytewax.recovery", str(kept), "1"], cwd=ROOT, check=True)
    return kept
