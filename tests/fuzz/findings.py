"""What a run of fuzzing has seen: how many messages, and those that broke a property, kept as files."""

import hashlib
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from connectors.log.base import Record
from tests.fuzz.properties import Verdict, check
from tests.fuzz.seeds import from_text

PLANTED = (b"{7}", b"1000000000", b"xxxx", b'" "')

Check = Callable[[Record], Verdict]


@dataclass(slots=True)
class Findings:
    """The findings of one run, which ends after so many seconds."""

    engine: str
    seconds: int
    folder: Path
    check: Check = check
    counts: Counter[str] = field(default_factory=Counter)
    _places: set[str] = field(default_factory=set)
    _began_s: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._began_s >= self.seconds

    @property
    def crashes(self) -> int:
        """How many messages were kept: of those that fail at one place of the code, the first."""
        return len(self._places)

    def take(self, text: bytes) -> None:
        """Hold a message to its properties; keep it when it is the first to fail where it does."""
        self.counts["runs"] += 1
        try:
            self.counts[self.check(from_text(text))] += 1
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            if place not in self._places:
                self._places.add(place)
                self._keep(text, f"{type(error).__name__} at {place}: {error!s:.200}")

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"fuzz: engine={self.engine} seconds={self.seconds} runs={counts['runs']} "
            f"rejected={counts['rejected']} accepted={counts['accepted']} crashes={self.crashes}"
        )

    def _keep(self, text: bytes, what: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"crash-{hashlib.sha256(text).hexdigest()[:12]}"
        path.write_bytes(text)
        print(f"crash: {what!a}\n  {replay_command(path)}", flush=True)


def replay_command(path: Path) -> str:
    """Return the command that holds a kept message to its properties again."""
    return f"python -m tests.fuzz --replay {path}"


def planted(record: Record) -> Verdict:
    """Check as ever, and fail for a few accepted messages: an engine that finds none of them finds nothing."""
    verdict = check(record)
    if verdict == "accepted" and any(part in (record.value or b"") for part in PLANTED):
        raise RuntimeError("a fault that was planted")
    return verdict
