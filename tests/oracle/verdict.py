"""One comparison's outcome, and the report that a run is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

_EXAMPLES_MAX = 20


@dataclass(slots=True)
class Check:
    """How many things were compared, how many differ, and the first of those in words."""

    name: str
    compared: int = 0
    differ: int = 0
    examples: list[str] = field(default_factory=list)

    def found(self, text: str) -> None:
        """Count one difference, and keep its line for the reader if there is room."""
        self.differ += 1
        if len(self.examples) < _EXAMPLES_MAX:
            self.examples.append(f"{self.name}: {text}")


@dataclass(frozen=True, slots=True)
class Counters:
    """Messages that the player appended; of these applied, and dropped as sent again."""

    appended: int
    applied: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What was planted, and what of it was found."""

    good: int
    planted_duplicates: int
    planted_dead: int
    dead: int
    pauses: int
    resumes: int
    updates: int
    units_missing: int
    units_surplus: int


def report(totals: Totals, counters: Counters, checks: Sequence[Check]) -> dict[str, Any]:
    """The object to print.

    `lost` and `doubled` are each the largest of several accounts of the same events: what the
    generator made, the player appended, the engine applied, dropped or rejected, and the units.
    """
    dumped = totals.good + totals.planted_duplicates + totals.planted_dead
    accounted = counters.applied + counters.duplicates + totals.dead
    gaps = (
        totals.good - counters.applied,
        dumped - counters.appended,
        counters.appended - accounted,
    )
    return {
        "lost": max(0, totals.units_missing, *gaps),
        "doubled": max(0, totals.units_surplus, *(-gap for gap in gaps)),
        "mismatched": sum(check.differ for check in checks if check.name != "units"),
        "dead": totals.dead,
        "planted_dead": totals.planted_dead,
        "duplicates": counters.duplicates,
        "planted_duplicates": totals.planted_duplicates,
        "pauses": totals.pauses,
        "resumes": totals.resumes,
        "updates": totals.updates,
        "examples": _fair_share([check.examples for check in checks]),
        "checks": {
            check.name: {"compared": check.compared, "differ": check.differ} for check in checks
        },
    }


def is_clean(outcome: dict[str, Any]) -> bool:
    """Nothing lost, doubled or mismatched, and all that was planted was found."""
    return (
        not (outcome["lost"] or outcome["doubled"] or outcome["mismatched"])
        and outcome["dead"] == outcome["planted_dead"]
        and outcome["duplicates"] == outcome["planted_duplicates"]
    )


def _fair_share(examples: list[list[str]]) -> list[str]:
    """One of each check in turn, so that a flood in one does not hide the others."""
    turns = chain.from_iterable(zip_longest(*examples))
    return [text for text in turns if text is not None][:_EXAMPLES_MAX]
