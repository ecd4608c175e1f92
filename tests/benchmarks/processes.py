"""The processes of a system under measure: started with a log each, ended in good order."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.system import Site
from tests.patience import PATIENCE_S
from tests.servers.kafka import ROOT, bound_to_us

END_S = PATIENCE_S


class Processes:
    """Processes by role. Python programs find the project's packages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_role: dict[str, list[subprocess.Popen[bytes]]] = defaultdict(list)

    def python(self, role: str, *words: str, env: Mapping[str, str] | None = None) -> None:
        """Start a Python program of this environment: `words` follow `python`."""
        self.start(role, [sys.executable, *words], env)

    def start(
        self, role: str, command: Sequence[str], env: Mapping[str, str] | None = None
    ) -> None:
        """Start a program in a role; it ends with us, however that comes about (on Linux)."""
        with self._log(role, len(self._by_role[role])).open("ab") as log:
            process = subprocess.Popen(
                [*bound_to_us(), *command],
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._by_role[role].append(process)

    def pids(self) -> dict[str, list[int]]:
        """Return the processes by role."""
        return {role: [p.pid for p in mine] for role, mine in self._by_role.items()}

    def stop(self) -> None:
        """Ask all of them to end, and wait; end those that do not."""
        everyone = [process for mine in self._by_role.values() for process in mine]
        for process in everyone:
            process.send_signal(signal.SIGTERM)
        for process in everyone:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def words(self) -> str:
        """Return the end of what each of them printed."""
        found = []
        for role, mine in self._by_role.items():
            for number in range(len(mine)):
                text = self._log(role, number).read_text(encoding="utf-8", errors="replace")
                found += [f"{role}: {text[-1000:]}"] if text.strip() else []
        return "\n".join(found)

    def _log(self, role: str, number: int) -> Path:
        return self._folder / f"{role}-{number}.log"


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Yield what starts processes; those that are still there when the block ends are ended."""
    made = Processes(folder)
    try:
        yield made
    finally:
        made.stop()


class AtWork:
    """A system at work, as far as it is processes."""

    def __init__(self, site: Site, processes: Processes) -> None:
        self._site = site
        self._processes = processes

    def pids(self) -> Mapping[str, Sequence[int]]:
        return self._processes.pids()

    def words(self) -> str:
        """Return what its processes printed."""
        return self._processes.words()
