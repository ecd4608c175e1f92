"""Run the simulation: many seeds with all rules kept, then each rule taken out until a seed finds it missing.

Exit 1 when a run ends wrong, or when a rule is not missed by any seed.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from tests.simulation.draw import draw
from tests.simulation.find import Found, find
from tests.simulation.rules import ALL_KEPT, BY_NAME, RULES, Rule
from tests.simulation.run import simulate
from tests.simulation.shrink import shrink

Item = TypeVar("Item")


def main() -> int:
    options = _options()
    rule = BY_NAME[options.without] if options.without else ALL_KEPT
    if options.seed is not None:
        return _one(options.seed, rule, trace=options.trace)
    events, violations = _all_kept(range(1, options.seeds + 1))
    found = [find(rule, options.seeds) for rule in _watched(RULES, "rules taken out")]
    _table(found)
    missed = sum(each.seed is not None for each in found)
    print(
        f"sim: seeds={options.seeds} events={events} violations={violations} rules_found={missed}/{len(found)}"
    )
    return 1 if violations or missed < len(found) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many runs")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument(
        "--break", dest="without", choices=sorted(BY_NAME), help="take this rule out"
    )
    parser.add_argument("--trace", action="store_true", help="tell the run whole, not shrunk")
    return parser.parse_args()


def _one(seed: int, rule: Rule, *, trace: bool) -> int:
    outcome = simulate(draw(seed), rule, tracing=trace)
    if trace:
        print("\n".join(outcome.trace))
    elif outcome.violation:
        _tell(seed, rule)
    ended = outcome.violation or f"{outcome.events} messages, all exact"
    print(f"seed {seed}: {ended}")
    return 1 if outcome.violation else 0


def _all_kept(seeds: Iterable[int]) -> tuple[int, int]:
    """Return the number of messages that were sent, and of runs that ended wrong."""
    events = violations = 0
    for seed in _watched(list(seeds), "all rules kept"):
        outcome = simulate(draw(seed))
        events += outcome.events
        if outcome.violation:
            violations += 1
            print(f"seed {seed}: {outcome.violation}")
            if violations == 1:
                _tell(seed, ALL_KEPT)
    return events, violations


def _tell(seed: int, rule: Rule) -> None:
    """Print the least of a run that still fails."""
    scenario, outcome = shrink(draw(seed), rule)
    for machine in scenario.machines:
        print(f"  {machine.name}: {machine.role}, its clock is off by {machine.skew_ms} ms")
    for line in outcome.trace:
        print(f"  {line}")


def _table(found: list[Found]) -> None:
    for each in found:
        where = (
            f"seed {each.seed}, of {each.runs} runs"
            if each.seed is not None
            else f"NOT FOUND in {each.runs} runs"
        )
        print(f"{each.rule.name:8} {each.rule.says:52} {where:26} {each.violation[:100]}")


def _watched(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield the items, behind a bar if somebody looks."""
    every = list(items)
    yield from track(
        every,
        description=what,
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


if __name__ == "__main__":
    sys.exit(main())
