"""One worker as a process: started, frozen, killed, and what it says of itself."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import orjson
from prometheus_client.parser import text_string_to_metric_families as families

from flows.runtime.retry import is_unavailable
from tests.faults.worker import Record, read_record
from tests.patience import PATIENCE_S
from tests.servers.kafka import bound_to_us, free_ports

START_S = STOP_S = PATIENCE_S
POLL_S = 0.05

Answer = TypeVar("Answer")


class Worker:
    """One process that runs a flow."""

    def __init__(self, command: list[str], folder: Path, env: Mapping[str, str], name: str) -> None:
        self.name = name
        self.record_path = folder / f"{name}.record"
        self.log_path = folder / f"{name}.log"
        (self._port,) = free_ports(1)
        self._seen: dict[str, float] = {}
        words = ["--record", str(self.record_path), *command]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*bound_to_us(), sys.executable, "-m", "tests.faults.worker", *words],
                cwd=folder, env={**env, "PENSTOCK_METRICS": f"127.0.0.1:{self._port}"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it has not ended, though it may be frozen."""
        return self._process.poll() is None

    @property
    def record(self) -> Record:
        """What it has in hand, as it recorded itself; also after its end."""
        return read_record(self.record_path) if self.record_path.exists() else Record()

    def ready(self, within_s: float = START_S) -> Self:
        """Wait until it serves its metrics."""
        until(lambda: not self.lives or self.metrics(), f"{self.name} that answers", within_s)
        if not self.lives:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {self.words()}")
        return self

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it not run until `wake`; what it has in hand stays there."""
        self._process.send_signal(signal.SIGSTOP)
        until(lambda: _is_stopped(self.pid), f"{self.name} that is frozen")

    def wake(self) -> None:
        """Let it run again."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to stop, once it has begun; it must then end in good order."""
        self.wake()
        self.ready()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_S)
        if code != 0:
            raise RuntimeError(f"{self.name} ended with {code}: {self.words()}")

    def metrics(self) -> dict[str, float]:
        """Return its figures by name, summed over labels; the last ones seen when it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except (URLError, OSError):
            return self._seen
        found: Counter[str] = Counter()
        for family in families(text):
            for sample in family.samples:
                found[sample.name] += sample.value  # type: ignore[assignment]  # a Counter of floats
        self._seen = dict(found)
        return self._seen

    def logs(self) -> list[dict[str, Any]]:
        """Return what it logged, line by line. A line that is still being written is left for later."""
        *lines, _ = self.log_path.read_bytes().split(b"\n")
        return [orjson.loads(line) for line in lines if line.startswith(b"{")]

    def words(self) -> str:
        """Return the end of what it printed."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-2000:]


def asked(call: Callable[[], Answer], within_s: float = PATIENCE_S) -> Answer:
    """Return the answer of a server, which may be away for a while."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return call()
        except Exception as error:
            if not is_unavailable(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def until(condition: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds; a server that is away counts as not yet."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except Exception as error:
            if not is_unavailable(error):
                raise
            time.sleep(POLL_S)
        time.sleep(0.002)
    raise TimeoutError(f"expected within {within_s:g} s: {what}")


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
