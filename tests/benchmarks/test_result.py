"""The result: the line that is looked for, why figures are missing, and what the file holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from tests.benchmarks.__main__ import systems
from tests.benchmarks.machine import machine
from tests.benchmarks.race import Run
from tests.benchmarks.result import Result
from tests.benchmarks.rounds import Standing

FORM = re.compile(
    r"bench: engine=\d+ hand=\d+ bytewax_items=\d+ kstreams=\d+ quix=\d+ "
    r"p99_ms_at_1k=[\d.]+ p99_ms_at_10k=[\d.]+ engine_us=[\d.]+ redis_us=[\d.]+ w3_lines=\d+"
)
CPU: Mapping[str, float] = {"ingest": 7.0, "publish": 1.5, "redis": 6.25, "broker": 2.0}


@dataclass(frozen=True, slots=True)
class Age:
    """As much of a latency as the line wants."""

    rate: int
    p99_ms: float
    held: bool = True
    counted: bool = True


def standing(system: str, work: str, *rates: int, fault: str = "") -> Standing:
    rounds = tuple(
        Run(
            system, "c", work, 100, per_second=rate, lines_per_second=10 * rate,
            elapsed_ms=60_000, cpu_us=CPU, memory_max={"ingest": 1 << 26}, fault=fault,
        )
        for rate in rates
    )  # fmt: skip
    return Standing(system, work, rounds=rounds)


def full() -> Result:
    names = ("engine", "hand", "items", "kstreams", "quix")
    found = [standing(name, "W1", 50, 70, 60) for name in names]
    found.append(standing("engine", "W3", 9))
    return Result({}, [], found, [Age(1_000, 12.345), Age(10_000, 50.0)])


def test_the_line_has_its_form_and_the_medians() -> None:
    result = full()
    line = result.line()
    assert FORM.fullmatch(line), line
    assert "engine=60 " in line
    assert "p99_ms_at_1k=12.3 " in line
    assert "engine_us=8.5 redis_us=6.2 w3_lines=90" in line
    assert result.reasons() == []


def test_what_was_not_run_is_a_dash_and_has_a_reason() -> None:
    result = Result({}, [], [Standing("quix", "W1", missing="no quixstreams")], [])
    assert result.line() == (
        "bench: engine=- hand=- bytewax_items=- kstreams=- quix=- "
        "p99_ms_at_1k=- p99_ms_at_10k=- engine_us=- redis_us=- w3_lines=-"
    )
    assert "quix: no quixstreams" in result.reasons()
    assert "engine: not asked for" in result.reasons()


def test_a_system_that_was_wrong_once_has_no_figure() -> None:
    wrong = standing("hand", "W1", 50, fault="wrong: lost=1")
    result = Result({}, [], [standing("engine", "W1", 40), wrong], [Age(1_000, 5.0, held=False)])
    assert "engine=40 hand=- " in result.line()
    assert "hand: wrong: lost=1" in result.reasons()
    assert "p99_ms_at_1k: not held" in result.reasons()


def test_the_file_holds_every_round_and_the_machine() -> None:
    result = Result(machine(), ["bench"], [standing("engine", "W1", 40, 50)], [])
    told = orjson.loads(result.as_json())
    assert [run["per_second"] for run in told["throughput"][0]["rounds"]] == [40, 50]
    assert told["throughput"][0]["per_second"] == 45
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["versions"]["bytewax"]


def test_the_table_shows_each_system_once() -> None:
    wrong = standing("hand", "W1", 50, fault="wrong: lost=1")
    missing = Standing("quix", "W1", missing="no quixstreams")
    table = Result({}, [], [standing("engine", "W1", 40), wrong, missing], []).table("W1")
    assert table.row_count == 3


def test_the_systems_are_found_by_their_modules_the_engine_first() -> None:
    names = [system.name for system in systems()]
    assert names[0] == "engine"
    assert "hand" in names
    assert len(set(names)) == len(names)
    assert all(len(system.configurations) >= 3 for system in systems())
