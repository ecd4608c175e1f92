"""What a scenario is, what it has to show, and how it may fail."""

from dataclasses import dataclass
from typing import Any, Protocol

from tests.faults.check import Verdict


class NotIdle(Exception):
    """Work was left over when time ran out."""

    def __init__(self, words: str, lag: int, due: int) -> None:
        super().__init__(words)
        self.lag = lag
        self.due = due


class Wrong(Exception):
    """The check found something."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("; ".join(verdict.examples))
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Proof:
    """That the fault really happened, in words and figures. `name` is the scenario's."""

    name: str
    words: str
    kills: int = 0
    events: int = 0
    rewinds: int = 0
    refused: int = 0
    recoveries: int = 0


class Scenario(Protocol):
    """One kind of fault.

    `run` builds its stages, does harm, and returns the proof; it leaves workers running that can finish
    the work, and the check is made when it has returned. It raises `NoProof` when nothing was harmed.
    """

    name: str
    short: bool
    """Whether the short form has it."""

    def run(self, maker: Any, rng: Any, scale: float) -> Proof:
        """Do it. `scale` 1 is the whole form; smaller ones send fewer events and do less harm."""


class NotRun(Exception):
    """This machine does not allow the fault: the scenario is told, and never counted."""


class NoProof(Exception):
    """The fault did not happen: the scenario has shown nothing."""
