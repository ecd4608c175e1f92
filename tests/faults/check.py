"""What must be true after every fault: the checks of `tests.oracle` on the events that lie in the log, in three counts.

lost     confirmed events that the log or the stock does not hold
doubled  events that took effect more than once, and copies that were not told apart
stale    SKUs whose last update is not the truth, or whose versions contradict each other, or that are left open
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Self

from tests.oracle.case import case_of
from tests.oracle.compare import (
    check_claims,
    check_contents,
    check_last_messages,
    check_positions,
    check_skus,
    check_versions,
)
from tests.oracle.lost import Counted, blame, check_events
from tests.oracle.policy import Policy
from tests.oracle.stream import Sent
from tests.oracle.topics import Updates
from tests.oracle.verdict import examples

EXAMPLES_MAX = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What a scenario left behind."""

    sent: Iterable[Sent]
    """The inputs as they lie in the log; read once."""
    policy: Policy
    confirmed: AbstractSet[str]
    """Ids of the events that the log confirmed."""
    applied: int
    duplicates: int
    dead: int
    stock: Sequence[dict[str, Any]]
    """Each SKU as `tests.evidence` shows it."""
    consumer: Updates
    """All of stock.updates."""


@dataclass(slots=True)
class Verdict:
    """How much is wrong, and the first of it in words."""

    lost: int = 0
    doubled: int = 0
    stale: int = 0
    events: int = 0
    copies: int = 0
    examples: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Say whether all is right."""
        return not (self.lost or self.doubled or self.stale)

    def __iadd__(self, other: "Verdict") -> Self:
        self.lost += other.lost
        self.doubled += other.doubled
        self.stale += other.stale
        self.events += other.events
        self.copies += other.copies
        for text in other.examples:
            self.say(text)
        return self

    def say(self, text: str) -> None:
        """Keep an example if there is room."""
        if len(self.examples) < EXAMPLES_MAX and text not in self.examples:
            self.examples.append(text)


def judge(found: Found) -> Verdict:
    """Compare what was left behind with the truth."""
    present = set[str]()
    case = case_of(_noted(found.sent, present), found.policy, found.stock)
    stream, expected, snapshot = case.stream, case.expected, case.snapshot
    missing = len(found.confirmed - present)
    counted = Counted(found.applied, found.duplicates, found.dead, missing)
    events, lost, doubled = check_events(stream, counted)
    positions = check_positions(expected, snapshot.positions)
    skus = check_skus(expected, snapshot.figures)
    # Several publishers emit, and what one of them had in hand while it was frozen comes late.
    of_consumers = [
        check_last_messages(expected, found.consumer, found.policy),
        check_contents(found.consumer),
        check_versions(expected, found.consumer, snapshot.figures, one_emits=False),
        check_claims(snapshot),
    ]
    wrong = [*positions.findings, *(each for each in skus.findings if each.units)]
    more_lost, more_doubled = blame(case, wrong, too_many=found.applied > stream.good)
    stale = {each.sku for each in skus.findings if not each.units}
    return Verdict(
        lost=lost + more_lost,
        doubled=doubled + more_doubled,
        stale=len(stale.union(*(check.skus for check in of_consumers))),
        events=stream.good,
        copies=stream.duplicates,
        examples=examples([events, positions, skus, *of_consumers])[:EXAMPLES_MAX],
    )


def _noted(sent: Iterable[Sent], present: set[str]) -> Iterator[Sent]:
    for each in sent:
        present.add(each.event["id"])
        yield each


def left_open(verdict: Verdict, lag: int, due: int, words: str) -> None:
    """Count what did not become idle: messages that were never applied, SKUs that were never told."""
    verdict.lost += lag
    verdict.stale += due
    verdict.say(f"not idle: {words}")
