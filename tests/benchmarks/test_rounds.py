"""Rounds: who runs when, by which configuration, and on how long a stream."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import cast

from tests.benchmarks.race import Arena, Run
from tests.benchmarks.rounds import Plan, Standing, compete
from tests.benchmarks.system import Running, Site, System, Work

WORK = Work("W1", "structured", 1, 100, 8, 5, 0)


@dataclass
class Named:
    """A system that is only ever asked for its name."""

    name: str
    configurations: Sequence[str] = ("slow", "fast", "late", "wrong")
    why: str = ""

    def missing(self) -> str:
        return self.why

    def running(
        self, site: Site, work: Work, configuration: str
    ) -> AbstractContextManager[Running]:
        raise NotImplementedError


@dataclass
class Track:
    """Stands in for the arena: every run ends as its configuration says."""

    ran: list[tuple[str, str, int]] = field(default_factory=list)

    def run(self, system: System, configuration: str, work: Work, limit_s: float) -> Run:
        assert limit_s > 0
        self.ran.append((system.name, configuration, work.events))
        rate = {"slow": 10_000, "fast": 40_000, "late": 50_000, "wrong": 90_000}[configuration]
        return Run(
            system.name, configuration, work.name, work.events,
            per_second=rate, whole_per_second=rate,
            elapsed_ms=work.events * 1000 // rate,
            overdue_ms_max=2_000 if configuration == "late" else 300,
            fault="wrong: lost=1" if configuration == "wrong" else "",
        )  # fmt: skip


def raced(plan: Plan, *systems: Named) -> tuple[Track, list[Standing], list[str]]:
    track, lines = Track(), list[str]()
    standings = compete(cast("Arena", track), list(systems), WORK, plan, lines.append)
    return track, standings, lines


def test_the_fastest_configuration_that_is_right_and_in_time_is_taken() -> None:
    _, (standing,), lines = raced(Plan(rounds=3, seconds=60), Named("a"))
    assert [run.configuration for run in standing.rounds] == ["fast"] * 3
    assert {run.configuration for run in standing.tried} == {"slow", "fast", "late", "wrong"}
    assert standing.per_second == 40_000
    assert any("LATE: a SKU waited 2,000 ms" in line for line in lines)
    assert any("NOT COUNTED: wrong: lost=1" in line for line in lines)


def test_systems_take_turns_at_going_first() -> None:
    track, _, _ = raced(Plan(rounds=3, seconds=60, events=1_000), Named("a"), Named("b"))
    assert [name for name, _, _ in track.ran[-6:]] == ["a", "b", "b", "a", "a", "b"]


def test_a_round_lasts_as_long_as_was_asked() -> None:
    track, (standing,), _ = raced(Plan(rounds=1, seconds=60), Named("a"))
    assert standing.rounds[0].elapsed_ms >= 60_000
    probe, trial, counted = track.ran[0][2], track.ran[1][2], track.ran[-1][2]
    assert probe < trial < counted == 3_000_000


def test_a_system_that_is_missing_or_never_right_does_not_hold_up_the_others() -> None:
    missing, wrong = Named("x", why="no java"), Named("y", configurations=("wrong",))
    _, standings, lines = raced(Plan(rounds=2, seconds=60), missing, wrong, Named("z"))
    assert [standing.per_second for standing in standings] == [None, None, 40_000]
    assert standings[0].missing == "no java"
    assert "W1 x: not run: no java" in lines
