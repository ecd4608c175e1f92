"""How soon channels learn of a new policy, with every SKU of a large store.

    python -m tests.benchmarks.bench_policy [--skus 100000] [--publishers 1] [--redis URL]

Ten channels; publishers run as processes of their own, on an embedded server. Each case brings a policy in force
as `penstock policy apply` does, waits until nothing is due, and reads from the timestamps of the log when the
last update with a level that fell was appended, and when the last update of all.

    category   the buffer of one channel rises for a fifth of the SKUs: 1 level in 50 falls
    threshold  one unit less of every SKU on every channel: all fall
    rises      the threshold is taken back: nothing falls
    floors     a floor for shops: all class sums are made anew, and all levels fall
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from connectors.config.settings import Settings
from connectors.log.base import Partition
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.process import collect_rarely
from flows.runtime.session import runtime
from flows.services.policy.activate import activate
from state.store.policy_history import By
from tests.benchmarks.bench_publish import Trade

CONFIG = """
version: 1
categories: [{{id: wine, skus: ["*0", "*1"]}}]
locations:
  - {{id: wh, kind: warehouse, region: north}}
  - {{id: s1, kind: store, region: north}}
  - {{id: s2, kind: store, region: south}}
policies:
  floors: {{store: {floor}}}
  network_threshold: {threshold}
  overrides: [{{category: wine, channel: c0, buffer: {{units: {units}}}}}]
channels:
  - {{id: c0}}
  - {{id: c1, buffer: {{units: 1}}}}
  - {{id: c2, share_bp: 8000}}
  - {{id: c3, cutoff: 2, cap: 500}}
  - {{id: c4, share_bp: 5000}}
  - {{id: c5, locations: {{regions: [north]}}}}
  - {{id: c6, locations: {{kinds: [warehouse]}}}}
  - {{id: c7, buffer: {{units: 2}}}}
  - {{id: c8, cap: 40}}
  - {{id: c9}}
"""
CASES = (
    ("opening", {"floor": 0, "threshold": 0, "units": 0}),
    ("category", {"floor": 0, "threshold": 0, "units": 3}),
    ("threshold", {"floor": 0, "threshold": 1, "units": 3}),
    ("rises", {"floor": 0, "threshold": 0, "units": 3}),
    ("floors", {"floor": 1, "threshold": 0, "units": 3}),
)
UPDATES = "stock.updates"
QUIET_S = 3.0
GRACE_S = 30.0


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Measure how soon channels learn of a policy.")
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--publishers", type=int, default=1)
    parser.add_argument("--redis")
    arguments = parser.parse_args()
    collect_rarely()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "penstock.yaml"
        config.write_text(CONFIG.format(**CASES[0][1]))
        settings = Settings(config=config, data=Path(folder) / "data", redis=arguments.redis)
        with runtime(settings) as run:
            began_s = time.monotonic()
            Trade(run, arguments.skus).open()
            print(f"filled in {time.monotonic() - began_s:.1f} s", flush=True)  # noqa: T201 - a program
            with publishing(settings, arguments.publishers):
                settle_down(run)
                note(run, dict.fromkeys(_partitions(run), 0))
                for name, figures in CASES[1:]:
                    config.write_text(CONFIG.format(**figures))
                    measure(run, name, config)


def measure(run: Runtime, name: str, config: Path) -> None:
    """Bring a policy in force, wait, and print when what fell was told."""
    ends = run.log.end_offsets(UPDATES)
    before_s, began_ms = _redis_s(run), now_ms()
    activate(run, config, By("bench", name))
    settle_down(run)
    redis_s = _redis_s(run) - before_s
    told = note(run, {partition: ends[partition.n] for partition in _partitions(run)})
    falls = [at_ms - began_ms for at_ms, fell in told if fell]
    every = [at_ms - began_ms for at_ms, _ in told]
    print(  # noqa: T201 - a program
        f"{name:10s} updates {len(every):7d}, last after {max(every, default=0) / 1000:6.2f} s; "
        f"with a fall {len(falls):7d}, last after {max(falls, default=0) / 1000:6.2f} s; "
        f"redis {redis_s:5.1f} s of CPU",
        flush=True,
    )


def note(run: Runtime, positions: dict[Partition, int]) -> list[tuple[int, bool]]:
    """Read updates from some offsets on; return the log time of each, and whether a level of it fell."""
    found = []
    while records := run.log.read(positions, wait_ms=0):
        for record in records:
            positions[Partition(record.topic, record.partition)] = record.offset + 1
            data = orjson.loads(record.value or b"")["data"]
            fell = False
            for channel in data["changed"]:
                level = data["levels"][channel]
                fell = fell or level < LAST.get((data["sku"], channel), 0)
                LAST[data["sku"], channel] = level
            found.append((record.timestamp_ms, fell))
    return found


def _partitions(run: Runtime) -> list[Partition]:
    return [Partition(UPDATES, number) for number in run.log.end_offsets(UPDATES)]


LAST: dict[tuple[str, str], int] = {}
"""The level last told, by SKU and channel."""


def settle_down(run: Runtime) -> None:
    """Wait until nothing has been due for a while: SKUs come up one after the other."""
    quiet_s = time.monotonic()
    while time.monotonic() - quiet_s < QUIET_S:
        if run.store.due_by(now_ms() + 1000, 0):
            quiet_s = time.monotonic()
        time.sleep(0.1)


@contextmanager
def publishing(settings: Settings, publishers: int) -> Iterator[None]:
    """Run publishers on the same store."""
    surroundings = dict(os.environ) | {
        "PENSTOCK_CONFIG": str(settings.config),
        "PENSTOCK_DATA": str(settings.data),
        "PENSTOCK_METRICS": "off",
        "PENSTOCK_WALK": "off",
    }
    if settings.redis:
        surroundings["PENSTOCK_REDIS"] = settings.redis
    command = [sys.executable, "-m", "flows.cli", "run", "publish"]
    children = [subprocess.Popen(command, env=surroundings) for _ in range(publishers)]
    try:
        yield
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            child.wait(GRACE_S)


def _redis_s(run: Runtime) -> float:
    cpu = run.primaries.client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


if __name__ == "__main__":
    main()
