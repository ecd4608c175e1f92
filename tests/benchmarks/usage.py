"""What processes use while a system runs: CPU time and memory by role, looked at a few times a second."""

import os
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

EVERY_S = 0.2
CHILDREN_EVERY_S = 1.0

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

Roles = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Look:
    """One look: what each role has used so far, and how much memory it has."""

    at_ms: int
    cpu_s: Mapping[str, float]
    memory: Mapping[str, int]
    """Resident bytes."""


@dataclass(slots=True)
class Usage:
    """All looks of a run."""

    looks: list[Look] = field(default_factory=list)

    def cpu_s(self, begin_ms: int, end_ms: int) -> dict[str, float]:
        """Return the CPU seconds of each role between two times, interpolated between the looks."""
        before, after = self._at(begin_ms), self._at(end_ms)
        return {role: after[role] - before.get(role, 0.0) for role in after}

    def memory_max(self) -> dict[str, int]:
        """Return the most memory that each role had, in bytes."""
        most: dict[str, int] = defaultdict(int)
        for look in self.looks:
            for role, resident in look.memory.items():
                most[role] = max(most[role], resident)
        return dict(most)

    def _at(self, at_ms: int) -> Mapping[str, float]:
        at = bisect_left(self.looks, at_ms, key=lambda look: look.at_ms)
        if at == 0:
            return self.looks[0].cpu_s
        if at == len(self.looks):
            return self.looks[-1].cpu_s
        first, second = self.looks[at - 1], self.looks[at]
        share = (at_ms - first.at_ms) / (second.at_ms - first.at_ms)
        return {
            role: (begin := first.cpu_s.get(role, 0.0)) + share * (used - begin)
            for role, used in second.cpu_s.items()
        }


class Watching:
    """Watches the processes of `roles()`, each with its children, while the block runs.

    A child that lives for less than `children_every_s` may be missed.
    """

    def __init__(
        self,
        roles: Callable[[], Roles],
        every_s: float = EVERY_S,
        children_every_s: float = CHILDREN_EVERY_S,
    ) -> None:
        self.usage = Usage()
        self._roles = roles
        self._every_s = every_s
        self._children_every_s = children_every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)
        self._trees: dict[str, set[int]] = {}
        self._looked_s = 0.0
        self._gone: dict[str, float] = defaultdict(float)
        self._last: dict[int, float] = {}

    def __enter__(self) -> Self:
        self.look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Take one look."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= self._children_every_s:
            self._looked_s = now_s
            self._find()
        cpu: dict[str, float] = {}
        memory: dict[str, int] = {}
        for role, pids in self._trees.items():
            used, resident = self._gone[role], 0
            for pid in sorted(pids):
                found = process_usage(pid)
                if found is None:
                    # What it had used is not used any less for its end.
                    pids.discard(pid)
                    self._gone[role] += self._last.get(pid, 0.0)
                    used += self._last.get(pid, 0.0)
                    continue
                self._last[pid] = found[0]
                used += found[0]
                resident += found[1]
            cpu[role], memory[role] = used, resident
        self.usage.looks.append(Look(int(time.time() * 1000), cpu, memory))

    def _find(self) -> None:
        children = _children()
        for role, pids in self._roles().items():
            known = self._trees.setdefault(role, set())
            waiting = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
            while waiting:
                pid = waiting.pop()
                known.add(pid)
                waiting += children.get(pid, ())

    def _watch(self) -> None:
        while not self._ended.wait(self._every_s):
            self.look()


def process_usage(pid: int) -> tuple[float, int] | None:
    """Return CPU seconds of all threads and resident bytes of a process, None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE


def _children() -> dict[int, list[int]]:
    """Return the children of every process."""
    found: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(fields[1])].append(int(path.parent.name))
    return found
