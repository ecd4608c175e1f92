"""Rounds: every system in every round, in another order each time, each by the best of its configurations.

A first pass tries all configurations of a system once, for a shorter time; the fastest is taken whose outcome was
right and which let no SKU wait for more than a second. A system gets a stream as long as it needs to be busy for the
time asked: a slow one a shorter stream, of the same make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from tests.benchmarks.race import Arena, Run
from tests.benchmarks.system import System, Work

PROBE_EVENTS = 100_000
TRIAL_SHARE = 4
"""A trial takes a fourth of the time of a round."""
STEPS = (10, 15, 20, 30, 40, 50, 70)
ROUGH_MS = 5_000
"""A run that is shorter shows whether the outcome is right, and no rate worth telling."""
LIMIT_S, LIMIT_TIMES = 240.0, 8

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a system did on a work."""

    system: str
    work: str
    missing: str = ""
    """Why it did not run."""
    tried: tuple[Run, ...] = ()
    """The first pass, one run for each configuration."""
    rounds: tuple[Run, ...] = ()
    """The runs that count, all of one configuration."""

    @property
    def good(self) -> tuple[Run, ...]:
        """The rounds whose outcome was right."""
        return tuple(run for run in self.rounds if not run.fault)

    @property
    def is_right(self) -> bool:
        """Whether it ran, and no round was wrong."""
        return bool(self.rounds) and len(self.good) == len(self.rounds)

    @property
    def per_second(self) -> int | None:
        """The median of the rounds, None when one was wrong."""
        return int(median(run.per_second for run in self.rounds)) if self.is_right else None

    @property
    def lines_per_second(self) -> int | None:
        """The same in lines."""
        return int(median(run.lines_per_second for run in self.rounds)) if self.is_right else None

    def cpu_us(self, *roles: str) -> float | None:
        """Return the median CPU time per event, of some roles or, without any, of those of the system itself."""
        if not self.is_right:
            return None
        return median(
            sum(us for role, us in run.cpu_us.items() if _is_of(role, roles)) for run in self.rounds
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often. `events` fixes the length of every stream, for tests."""

    rounds: int = 5
    seconds: int = 60
    events: int = 0


def compete(
    arena: Arena, systems: Sequence[System], work: Work, plan: Plan, tell: Tell
) -> list[Standing]:
    """Let systems do a work in rounds. `Work.events` is chosen here."""
    standings = [Standing(each.name, work.name, each.missing()) for each in systems]
    chosen: list[tuple[int, System, str, Work]] = []
    for at, system in enumerate(systems):
        if standings[at].missing:
            tell(f"{work.name} {system.name}: not run: {standings[at].missing}")
            continue
        tried = _tried(arena, system, work, plan, tell)
        standings[at] = replace(standings[at], tried=tuple(tried))
        right = [run for run in tried if not run.fault]
        if right:
            best = max(right, key=lambda run: (not run.is_late, run.per_second))
            events = plan.events or events_for(best, plan.seconds)
            chosen.append((at, system, best.configuration, replace(work, events=events)))
    for number in range(plan.rounds):
        turn = number % max(1, len(chosen))
        for at, system, configuration, mine in chosen[turn:] + chosen[:turn]:
            run = arena.run(system, configuration, mine, _limit_s(plan))
            tell(f"{told(run)}  (round {number + 1})")
            standings[at] = replace(standings[at], rounds=(*standings[at].rounds, run))
    return standings


def events_for(run: Run, seconds: int) -> int:
    """Return how many sales keep a system busy for so long behind the warm-up, as a round figure.

    Of two rates that a short run shows, the lower one is believed.
    """
    wanted = max(1_000, min(run.per_second, run.whole_per_second) * seconds * 10 // 9)
    unit: int = 10 ** (len(str(wanted)) - 2)
    return next((step * unit for step in STEPS if step * unit >= wanted), 100 * unit)


def told(run: Run) -> str:
    """Return a line about a run."""
    if run.fault:
        return f"{run.work} {run.system}: NOT COUNTED: {run.fault}  [{run.configuration}]"
    cpu = ", ".join(f"{role} {us:.1f}" for role, us in sorted(run.cpu_us.items()))
    rough = " (a short run: rough)" if run.elapsed_ms < ROUGH_MS else ""
    late = f", LATE: a SKU waited {run.overdue_ms_max:,} ms" if run.is_late else ""
    return (
        f"{run.work} {run.system}: {run.per_second:,}/s in {run.elapsed_ms / 1000:.1f} s{rough}{late}, "
        f"us per event: {cpu}  [{run.configuration}]"
    )


def _tried(arena: Arena, system: System, work: Work, plan: Plan, tell: Tell) -> list[Run]:
    """Run every configuration once, for a fourth of the time of a round."""
    first, *others = system.configurations
    limit_s = _limit_s(plan)
    events = plan.events or PROBE_EVENTS
    probe = arena.run(system, first, replace(work, events=events), limit_s)
    tried = []
    if not plan.events and not probe.fault:
        events = max(events, events_for(probe, plan.seconds // TRIAL_SHARE))
    if events == (plan.events or PROBE_EVENTS):
        tried.append(probe)
        tell(told(probe))
    else:
        others = [first, *others]
    for configuration in others:
        tried.append(arena.run(system, configuration, replace(work, events=events), limit_s))
        tell(told(tried[-1]))
    return tried


def _limit_s(plan: Plan) -> float:
    return LIMIT_S + LIMIT_TIMES * plan.seconds


def _is_of(role: str, roles: Sequence[str]) -> bool:
    return role in roles if roles else role not in {"redis", "broker"}
