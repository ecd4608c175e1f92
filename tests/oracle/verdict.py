"""One comparison's outcome, and the report that a run is judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, NamedTuple

_EXAMPLES_MAX = 20


class Finding(NamedTuple):
    """Where something differs: a SKU, perhaps at a location.

    `units` are those found less those expected, on hand at the location or, without one, of open orders; 0 where
    neither differs.
    """

    sku: str
    location: str = ""
    units: int = 0


@dataclass(slots=True)
class Check:
    """How many things were compared, how many differ and where, and the first of those in words."""

    name: str
    compared: int = 0
    differ: int = 0
    examples: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """Where; a difference that concerns no SKU is left out."""

    @property
    def skus(self) -> set[str]:
        """The SKUs that differ."""
        return {finding.sku for finding in self.findings}

    def found(self, text: str, *where: Finding) -> None:
        """Count one difference, and keep its line for the reader if there is room."""
        self.differ += 1
        self.findings += where
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
        "examples": examples(checks),
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


def examples(checks: Sequence[Check]) -> list[str]:
    """One of each check in turn, so that a flood in one does not hide the others."""
    turns = chain.from_iterable(zip_longest(*(check.examples for check in checks)))
    return [text for text in turns if text is not None][:_EXAMPLES_MAX]
