"""Looking for a seed that fails without a rule, among runs of the kind in which it is missed most."""

from dataclasses import dataclass
from itertools import count, islice

from tests.simulation.draw import draw
from tests.simulation.profiles import PROFILES
from tests.simulation.rules import Rule
from tests.simulation.run import simulate


@dataclass(frozen=True, slots=True)
class Found:
    """The first seed that failed without the rule, None if none did."""

    rule: Rule
    runs: int
    seed: int | None
    violation: str


def find(rule: Rule, runs_max: int) -> Found:
    """Try so many runs at most, more for a rule that asks for patience."""
    runs_max *= rule.without.patience
    likely = (seed for seed in count(1) if PROFILES[seed % len(PROFILES)] is rule.without.likely)
    for runs, seed in enumerate(islice(likely, runs_max), 1):
        if violation := simulate(draw(seed), rule).violation:
            return Found(rule, runs, seed, violation)
    return Found(rule, runs_max, None, "")
