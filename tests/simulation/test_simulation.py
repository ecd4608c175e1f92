"""The simulation itself: it repeats exactly, ends exact, and tells why in few lines. `make sim` misses every rule."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.rules.catalogue import by_id
from tests.rules.means import InWorker
from tests.simulation.draw import draw
from tests.simulation.find import find
from tests.simulation.rules import BY_NAME, RULES
from tests.simulation.run import simulate
from tests.simulation.shrink import manner, shrink

ROOT = Path(__file__).parents[2]
LINES_MAX = 60
SHRUNK = 2


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(1, 25))
def test_a_run_ends_exact_and_repeats_to_the_letter(seed: int) -> None:
    scenario = draw(seed)
    assert scenario == draw(seed)
    first, second = simulate(scenario, tracing=True), simulate(scenario, tracing=True)
    assert first.violation == ""
    assert first.trace == second.trace
    assert first.events > 0


def test_a_trace_depends_on_nothing_but_the_seed() -> None:
    told = {program("--seed", "45", "--trace", PYTHONHASHSEED=seed).stdout for seed in "12"}
    assert len(told) == 1
    assert "ROLLS BACK" in told.pop()


def test_faults_of_every_kind_happen() -> None:
    scenarios = [draw(seed) for seed in range(1, 200)]
    troubles = {trouble.kind for scenario in scenarios for trouble in scenario.troubles}
    happenings = {happening.kind for scenario in scenarios for happening in scenario.happenings}
    assert troubles == {
        "slow", "lost", "late", "unheard", "twice", "refused", "dies", "done_dies", "freezes", "done_freezes"
    }  # fmt: skip
    assert happenings == {
        "roll_back", "kill", "freeze", "policy", "remap", "overlap", "hold", "tend"
    }  # fmt: skip
    assert any(scenario.weeks for scenario in scenarios)


def test_a_rule_taken_out_is_put_back() -> None:
    rule = BY_NAME["O1"]
    assert find(rule, 10).seed is not None
    kept = replace(rule, without=replace(rule.without, patches=()))
    assert find(kept, 10).seed is None


def test_every_rule_that_a_worker_can_lack_is_among_those_taken_out() -> None:
    assert BY_NAME.keys() >= by_id(InWorker).keys()
    assert len(BY_NAME) == len(RULES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["max", "trust", "recover"])
def test_a_run_that_fails_shrinks_to_a_few_lines_and_fails_the_same_way(name: str) -> None:
    rule = BY_NAME[name]
    runs = ((draw(seed), simulate(draw(seed), rule).violation) for seed in range(1, 200))
    traces = []
    for whole, violation in islice((run for run in runs if run[1]), SHRUNK):
        scenario, outcome = shrink(whole, rule)
        assert manner(outcome.violation) == manner(violation)
        assert len(scenario.messages) < len(whole.messages)
        traces.append(outcome.trace)
    # Some need many things to come together; who looks for the cause takes the shortest.
    shortest = min(traces, key=len)
    assert len(shortest) < LINES_MAX, "\n".join(shortest)


def test_one_run_is_told_with_its_end_and_its_exit_code() -> None:
    kept = program("--seed", "2")
    assert kept.returncode == 0
    assert kept.stdout.startswith("seed 2: ")
    broken = program("--seed", "2", "--break", "guard", "--trace")
    assert broken.returncode == 1
    assert "VIOLATION" in broken.stdout


def test_a_rule_that_no_run_misses_is_an_error() -> None:
    done = program("--seeds", "1")
    assert done.returncode == 1
    assert "NOT FOUND in 1 runs" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("sim: seeds=1 events=")
    assert f"/{len(RULES)}" in last
    assert " violations=0 " in last
