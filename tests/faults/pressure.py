"""What workers do while a server holds them up: they read no further, and take no more memory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.ingest.reader import OUTSTANDING_MAX
from tests.faults.load import Feeder
from tests.faults.stage import NoProof, Stage, Worker, asked, until
from tests.patience import PATIENCE_S

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
GROWN_KB_MAX = 50 * 1024
"""The Kafka client itself may fetch 16 MiB ahead."""
NOTICED_S = PATIENCE_S
GOES_ON_S = 120.0


def resident_kb(worker: Worker) -> int:
    """Return how much memory a worker takes."""
    return int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1]) * PAGE_KB


def refusals(stage: Stage, words: str) -> int:
    """Return how often workers repeated a call because of an error with these words."""
    return sum(refusals_of(worker, words) for worker in stage.workers)


def refusals_of(worker: Worker, words: str) -> int:
    """Return how often one worker did."""
    return sum(
        words in str(line.get("error"))
        for line in worker.logs()
        if line.get("event") == "call repeated"
    )


def until_it_goes_on(stage: Stage, events: int = 1_000) -> None:
    """Wait until so many more events took effect, or all that there are."""
    counters = stage.run.store.counters
    goal = asked(counters, GOES_ON_S)["applied"] + events
    until(
        lambda: counters()["applied"] >= goal or stage.lag() == 0,
        "events that are applied again",
        GOES_ON_S,
    )


@dataclass(slots=True)
class Pressure:
    """Watches the workers of a stage through holds. `words` are those of the error that they then get."""

    stage: Stage
    words: str
    refused: int = 0
    sent_meanwhile: int = 0
    grown_kb: int = 0
    _resident_kb: dict[str, int] = field(default_factory=dict)
    _refused_before: int = 0

    def begin(self) -> None:
        """Take note of how things are before a hold."""
        self._resident_kb = {w.name: resident_kb(w) for w in self.stage.living()}
        self._refused_before = refusals(self.stage, self.words)

    def until_felt(self) -> None:
        """Wait until a worker was refused."""
        until(
            lambda: refusals(self.stage, self.words) > self._refused_before,
            f"workers that meet {self.words}",
            NOTICED_S,
        )

    def until_all_stand(self) -> None:
        """Wait until each reader is refused from now on: one call, repeated, is all that it does then."""
        readers = self.stage.living("ingest")
        before = [refusals_of(worker, self.words) for worker in readers]
        until(
            lambda: all(
                refusals_of(worker, self.words) > then
                for worker, then in zip(readers, before, strict=True)
            ),
            f"readers that all meet {self.words}",
            NOTICED_S,
        )

    def hold(self, feeder: Feeder, events: int) -> None:
        """Let so many events be sent meanwhile; none of them may be read."""
        readers = self.stage.living("ingest")
        # What was fetched when the server went may still be handed on.
        before, sent = [w.record for w in readers], feeder.sent
        feeder.until_sent(sent + events)
        self.sent_meanwhile += feeder.sent - sent
        for worker, then in zip(readers, before, strict=True):
            if worker.record.handed - then.handed > OUTSTANDING_MAX:
                raise NoProof(f"{worker.name} read on while the server held it up")

    def end(self) -> None:
        """Say what came of the hold.

        Raises:
            NoProof: a worker took more memory.
        """
        self.refused += refusals(self.stage, self.words) - self._refused_before
        grown = [
            resident_kb(w) - self._resident_kb[w.name]
            for w in self.stage.living()
            if w.name in self._resident_kb
        ]
        self.grown_kb = max(self.grown_kb, *grown)
        if self.grown_kb > GROWN_KB_MAX:
            raise NoProof(
                f"expected workers that grow by {GROWN_KB_MAX} kB at most, got {self.grown_kb}"
            )


def crew(stage: Stage, roles: Sequence[str] = ("ingest", "ingest", "publish", "publish")) -> None:
    """Start workers, and wait until each answers."""
    for role in roles:
        stage.start("ingest" if role == "ingest" else "publish")
    for worker in stage.workers:
        worker.ready()
