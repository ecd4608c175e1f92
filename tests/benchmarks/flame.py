"""Where the time of the engine goes: flame graphs of ingest and publish while they drain W1, as SVG.

    python -m tests.benchmarks.flame docs/img [--seconds 15]

Written are `flame-ingest.svg` and `flame-publish.svg`: how often each chain of calls was met, of 200 looks a second
at every thread that runs Python, from the first update on; time in C counts for the function that called it. The
profiler, py-spy, is that of the peers' environment (`make bench` makes it).
"""

import re
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.__main__ import WORKS
from tests.benchmarks.filling import ends
from tests.benchmarks.race import Arena, Run
from tests.benchmarks.rounds import told
from tests.benchmarks.system import Running, Site, Work
from tests.benchmarks.systems.engine import Engine, Setting
from tests.servers.fixtures import AT_ONCE
from tests.servers.kafka import ROOT, running_kafka

PROFILER = ROOT / ".venv-bench" / "bin" / "py-spy"
RATE_HZ = 200
EVENTS = 1_000_000
ROLES = ("ingest", "publish")
CONFIGURATION = "tick 500 ms, batches of 4,000"
LOOK_S = 0.2


class Profiled(Engine):
    """The engine, looked at while it works."""

    def __init__(self, folder: Path, seconds: int) -> None:
        super().__init__({CONFIGURATION: Setting(500, 4_000)})
        self._folder = folder
        self._seconds = seconds

    @contextmanager
    def running(self, site: Site, work: Work, configuration: str) -> Iterator[Running]:
        """Start the engine; each of its processes is looked at for a while."""
        with (
            super().running(site, work, configuration) as running,
            ThreadPoolExecutor(len(ROLES)) as threads,
        ):
            looks = [threads.submit(self._look, site, work, role, running) for role in ROLES]
            yield running
            for look in looks:
                look.result()

    def _look(self, site: Site, work: Work, role: str, running: Running) -> None:
        """Record a process, once the engine has started and is at work."""
        while not sum(ends(site.kafka, site.updates, work.partitions).values()):
            time.sleep(LOOK_S)
        (pid,) = running.pids()[role]
        path = self._folder / f"flame-{role}.svg"
        subprocess.run(
            [
                *(str(PROFILER), "record", "--pid", str(pid), "--rate", str(RATE_HZ)),
                *("--duration", str(self._seconds), "--function"),
                *("--output", str(path)),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        # It takes its own command line for a title, with places of this machine.
        picture = re.sub(r"[^<>]*py-spy record[^<>]*", f"penstock run {role}, W1", path.read_text())
        path.write_text(picture)


def record(folder: Path, seconds: int) -> Run:
    """Drain the stream once, and write a flame graph for each role."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = Path(name)
        with contextmanager(running_kafka)(place / "kafka", AT_ONCE) as kafka:
            work = replace(WORKS["W1"], events=EVENTS)
            return Arena(place / "w1", kafka).run(Profiled(folder, seconds), CONFIGURATION, work)


def main() -> int:
    """Record, and tell how the run went. Return the exit code."""
    parser = ArgumentParser(prog="python -m tests.benchmarks.flame", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=15)
    given = parser.parse_args()
    if not PROFILER.exists():
        sys.stderr.write(
            "flame: py-spy is missing: `make bench` makes the environment that holds it\n"
        )
        return 2
    run = record(given.folder, given.seconds)
    sys.stdout.write(f"{told(run)}\n")
    return 1 if run.fault else 0


if __name__ == "__main__":
    sys.exit(main())
