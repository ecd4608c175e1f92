"""The engine, as its users run it: `penstock init`, then `penstock run ingest` and `penstock run publish`."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tests.benchmarks.processes import processes
from tests.benchmarks.stock_store import SHARDS, StoreRunning
from tests.benchmarks.system import Running, Site, Work
from tests.benchmarks.work import places_of
from tests.servers.kafka import ROOT

BATCH_BYTES = 4 << 20


class Setting(NamedTuple):
    """What a configuration sets."""

    tick_ms: int
    batch_events: int
    ingests: int = 1


SETTINGS = {
    "as installed: tick 20 ms, batches of 1,000": Setting(20, 1_000),
    "tick 200 ms, batches of 1,000": Setting(200, 1_000),
    "tick 200 ms, batches of 4,000": Setting(200, 4_000),
    "tick 500 ms, batches of 1,000": Setting(500, 1_000),
    "tick 500 ms, batches of 4,000": Setting(500, 4_000),
    "tick 500 ms, batches of 4,000, two ingests": Setting(500, 4_000, 2),
}


class Engine:
    """Penstock, with these settings to choose from."""

    name = "engine"

    def __init__(self, settings: Mapping[str, Setting] = SETTINGS) -> None:
        self._settings = settings
        self.configurations: Sequence[str] = tuple(settings)

    def missing(self) -> str:
        return ""

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        setting = self._settings[configuration]
        env = environment(site, work, setting)
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "init"],
            env=env, cwd=site.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"penstock init: {done.stdout}{done.stderr}")
        with processes(site.folder) as made:
            made.python("publish", "-m", "flows.cli", "run", "publish", env=env)
            for _ in range(setting.ingests):
                made.python("ingest", "-m", "flows.cli", "run", "ingest", env=env)
            yield StoreRunning(site, made)


def environment(site: Site, work: Work, setting: Setting) -> dict[str, str]:
    """Return the environment of the processes; the policy they name is written."""
    config = site.folder / "penstock.yaml"
    config.write_text(policy(work))
    inherited: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")
    }
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "PENSTOCK_CONFIG": str(config),
        "PENSTOCK_KAFKA": site.kafka,
        "PENSTOCK_REDIS": site.redis,
        "PENSTOCK_NAMESPACE": site.namespace,
        "PENSTOCK_PARTITIONS": str(work.partitions),
        "PENSTOCK_SHARDS": str(SHARDS),
        "PENSTOCK_METRICS": "off",
        "PENSTOCK_TICK_MS": str(setting.tick_ms),
        "PENSTOCK_BATCH_EVENTS": str(setting.batch_events),
        # As installed, a batch ends at 256 KiB: about a thousand events.
        **({"PENSTOCK_BATCH_BYTES": str(BATCH_BYTES)} if setting.batch_events > 1_000 else {}),
    }


def policy(work: Work) -> str:
    """Return the policy under which channel i is told the stock less a buffer of i units."""
    locations = "".join(f"  - {{id: {x}, kind: store}}\n" for x in places_of(work))
    channels = "".join(f"  - {{id: c{i}, buffer: {{units: {i}}}}}\n" for i in range(work.channels))
    return f"version: 1\nlocations:\n{locations}channels:\n{channels}"
