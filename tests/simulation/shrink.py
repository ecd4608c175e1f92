"""Taking away from a scenario that fails all that it fails without: what is left tells why."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.rules import ALL_KEPT, Rule
from tests.simulation.run import Outcome, simulate
from tests.simulation.scenario import Copy, Scenario

RUNS_MAX = 1500

Item = TypeVar("Item")
Fails = Callable[[Scenario], bool]


def shrink(
    scenario: Scenario, rule: Rule = ALL_KEPT, runs_max: int = RUNS_MAX
) -> tuple[Scenario, Outcome]:
    """Return the least scenario found that fails in the same way, and how it ends."""
    kind = manner(simulate(scenario, rule).violation)
    runs = 0

    def fails(candidate: Scenario) -> bool:
        nonlocal runs
        runs += 1
        return runs <= runs_max and manner(simulate(candidate, rule).violation) == kind

    before = None
    while scenario != before and runs < runs_max:
        before = scenario
        for simpler in (_without_messages, _without_troubles, _without_happenings, _plainer):
            scenario = simpler(scenario, fails)
    return scenario, simulate(scenario, rule, tracing=True)


def manner(violation: str) -> str:
    """Return in what way a run failed, without its names and figures."""
    told = (
        "never comes to rest",
        "last_messages",
        "dead letters",
        "contents",
        "ad_states",
        "signals",
        "orders",
    )
    return next(
        (each for each in told if each in violation.split("; ", maxsplit=1)[0]),
        "stock" if violation else "",
    )


def _least(items: Sequence[Item], fails: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """Return as few of the items as still fail: chunks are taken away, ever smaller ones."""
    left, size = tuple(items), max(1, len(items) // 2)
    while left:
        at = 0
        while at < len(left):
            fewer = left[:at] + left[at + size :]
            if fails(fewer):
                left = fewer
            else:
                at += size
        if size == 1:
            break
        size = size // 2
    return left


def _without_messages(scenario: Scenario, fails: Fails) -> Scenario:
    messages = _least(scenario.messages, lambda left: fails(replace(scenario, messages=left)))
    scenario = replace(scenario, messages=messages)
    for at in range(len(messages)):
        scenario = _without_copies(scenario, at, fails)
    return scenario


def _without_copies(scenario: Scenario, at: int, fails: Fails) -> Scenario:
    """Leave out copies of a message behind its first."""
    messages = scenario.messages
    first, *others = messages[at].copies

    def with_others(left: tuple[Copy, ...]) -> Scenario:
        fewer = replace(messages[at], copies=(first, *left))
        return replace(scenario, messages=(*messages[:at], fewer, *messages[at + 1 :]))

    return (
        with_others(_least(others, lambda left: fails(with_others(left)))) if others else scenario
    )


def _without_troubles(scenario: Scenario, fails: Fails) -> Scenario:
    troubles = _least(scenario.troubles, lambda left: fails(replace(scenario, troubles=left)))
    return replace(scenario, troubles=troubles)


def _without_happenings(scenario: Scenario, fails: Fails) -> Scenario:
    happenings = _least(scenario.happenings, lambda left: fails(replace(scenario, happenings=left)))
    return replace(scenario, happenings=happenings)


def _plainer(scenario: Scenario, fails: Fails) -> Scenario:
    """Leave out machines, weeks and gaps, let clocks agree and calls take the same time."""
    for candidate in _plainer_ones(scenario):
        if fails(candidate):
            return candidate
    return scenario


def _plainer_ones(scenario: Scenario) -> Iterator[Scenario]:
    if scenario.weeks:
        yield replace(scenario, weeks=False)
    if any(scenario.gaps):
        yield replace(scenario, gaps=(0,))
    machines = scenario.machines
    if any(m.skew_ms for m in machines):
        yield replace(scenario, machines=tuple(replace(m, skew_ms=0) for m in machines))
    if any(len(m.delays_ms) > 1 for m in machines):
        yield replace(scenario, machines=tuple(replace(m, delays_ms=(5,)) for m in machines))
    # Happenings name machines by their place: only the last of a role may go.
    for at in (len(machines) - 1,):
        if [m.role for m in machines].count(machines[at].role) > 1:
            yield replace(scenario, machines=machines[:at])
