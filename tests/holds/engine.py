"""The processes of the fight: engine and claimers, started, killed and started again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from tests.servers.kafka import bound_to_us

ROOT: Final = Path(__file__).parents[2]
ENDED_WITHIN_S: Final = 600.0
"""A bound on what hangs: on a machine that does other things the last claims, and the last levels, come late."""

Process = subprocess.Popen[bytes]


class Engine:
    """Processes of one store, in one folder. What they say goes to `said` there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kills = 0
        self._row = 0
        self._said = (folder / "said").open("ab")
        self._flows: dict[str, Process] = {}
        self._claimers: list[Process] = []
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        self.env = inherited | {
            "PENSTOCK_DATA": str(folder / "data"),
            "PENSTOCK_CONFIG": str(folder / "penstock.yaml"),
            "PENSTOCK_METRICS": "off",
            "PYTHONPATH": str(ROOT),
        }

    def start_flows(self) -> None:
        """Start ingest and publish, those that do not run.

        Raises:
            RuntimeError: one has ended by itself.
        """
        for role in ("ingest", "publish"):
            process = self._flows.get(role)
            if process is None or process.poll() is not None:
                if process is not None and process.returncode != -signal.SIGKILL:
                    raise RuntimeError(f"{role} ended with {process.returncode}: {self.said()}")
                self._flows[role] = self._start("flows.cli", "run", role)

    def idle(self) -> None:
        """Wait until all that is in the log is applied and emitted.

        Raises:
            RuntimeError: it did not come to that.
        """
        self.start_flows()
        self.command("wait", "--idle", "--timeout", f"{ENDED_WITHIN_S:g}")

    def start_claimers(self, number: int, seed: int, *more: str) -> None:
        """Start claimers until so many run. Each has a row of the board of its own.

        Raises:
            RuntimeError: one has ended by itself.
        """
        ended = [each.returncode for each in self._claimers if each.poll() is not None]
        if any(code != -signal.SIGKILL for code in ended):
            raise RuntimeError(f"claimers ended with {ended}: {self.said()}")
        self._claimers = [each for each in self._claimers if each.returncode is None]
        while len(self._claimers) < number:
            self._row += 1
            args = (str(self.folder), str(self._row), str(seed + self._row), *more)
            self._claimers.append(self._start("tests.holds.claimer", *args))

    @property
    def rows(self) -> int:
        """Claimers started so far."""
        return self._row

    def kill_one(self, chance: Random) -> None:
        """Kill a process: a claimer, or one of the flows."""
        claimers = [each for each in self._claimers if each.poll() is None]
        victims = claimers * 2 + [each for each in self._flows.values() if each.poll() is None]
        chance.choice(victims).kill()
        self.kills += 1

    def stop_claimers(self) -> None:
        """Ask all claimers to end, and wait for them."""
        for each in self._claimers:
            each.send_signal(signal.SIGTERM)
        self.wait_for_claimers()

    def wait_for_claimers(self) -> None:
        """Wait until all claimers have ended.

        Raises:
            RuntimeError: one ended with an error.
        """
        for each in self._claimers:
            code = each.wait(ENDED_WITHIN_S)
            # One that had only just been started may be asked to end before it listens.
            if code not in {0, -signal.SIGKILL, -signal.SIGTERM}:
                raise RuntimeError(f"a claimer ended with {code}: {self.said()}")
        self._claimers = []

    def command(self, *args: str, given: bytes = b"") -> str:
        """Run a command to its end. Return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *args],
            cwd=self.folder, env=self.env, input=given, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"penstock {args[0]}: {done.stderr.decode()}")
        return done.stdout.decode()

    def said(self) -> str:
        """Return the end of what the processes said."""
        return (self.folder / "said").read_text()[-2000:]

    def close(self) -> None:
        """End whatever still runs."""
        for each in (*self._claimers, *self._flows.values()):
            each.kill()
            each.wait()
        self._said.close()

    def _start(self, module: str, *args: str) -> Process:
        return subprocess.Popen(
            [*bound_to_us(), sys.executable, "-m", module, *args],
            cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=self._said,
            stderr=self._said,
        )  # fmt: skip


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """An engine whose processes end with the block."""
    engine = Engine(folder)
    try:
        yield engine
    finally:
        engine.close()


def every(seconds: float, until_s: float) -> Iterator[float]:
    """Yield the time, so often, until what is waited for has come.

    Raises:
        TimeoutError: it has not come by a time.
    """
    while (now_s := time.monotonic()) < until_s:
        yield now_s
        time.sleep(seconds)
    raise TimeoutError("waited in vain")
