"""The small programs of the benchmarks, each run with little to do: they are used rarely, and must not rot."""

import re
import subprocess
import sys

import pytest

from tests.patience import PATIENCE_S

SECONDS_MAX = 2 * PATIENCE_S


def figures(*words: str) -> list[list[str]]:
    """The numbers in each line that a program prints."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [re.findall(r"\d+(?:\.\d+)?", line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("program", "size", "rows"),
    [
        ("bench_ingest", ("--lines", "500"), 3),
        ("bench_publish", ("--skus", "200", "--rounds", "1"), 6),
        ("bench_store", ("--lines", "500"), 9),
    ],
)
def test_a_program_prints_its_table(program: str, size: tuple[str, ...], rows: int) -> None:
    told = figures(f"tests.benchmarks.{program}", *size)
    assert len([row for row in told if any("." in number for number in row)]) >= rows, told


@pytest.mark.slow
def test_the_program_that_times_policies_tells_what_fell() -> None:
    told = figures("tests.benchmarks.bench_policy", "--skus", "400")
    updates = [row[0] for row in told[1:]]
    with_a_fall = [row[2] for row in told[1:]]
    assert updates == ["80", "400", "400", "400"]
    assert with_a_fall == ["80", "400", "0", "400"]
