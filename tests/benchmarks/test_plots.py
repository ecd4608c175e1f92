"""Pictures are made of whatever a result holds, and the same result makes the same ones."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import plots
from tests.servers.kafka import ROOT

BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


def standing(system: str, work: str, *rates: int) -> dict[str, Any]:
    rounds = [{"per_second": rate, "lines_per_second": 10 * rate} for rate in rates]
    return {
        "system": system,
        "work": work,
        "missing": "" if rates else "not here",
        "per_second": sorted(rates)[len(rates) // 2] if rates else None,
        "lines_per_second": 10 * sorted(rates)[len(rates) // 2] if rates else None,
        "rounds": rounds,
    }


def run(rate: int, *, counted: bool = True, held: bool = True) -> dict[str, Any]:
    figures = {"p50_ms": 9.0, "p99_ms": 20.0, "p999_ms": 31.0, "max_ms": 44.0}
    return {"rate": rate, "counted": counted, "held": held, **figures}


RESULT: dict[str, Any] = {
    "throughput": [
        standing("quix", "W1", 9, 8, 10),
        standing("engine", "W1", 60, 62, 58),
        standing("faust", "W1"),
        standing("engine", "W3", 7, 8, 6),
    ],
    "latency": [run(10_000, held=False), run(1_000), run(1_000, counted=False)],
    "scaling": {
        "skus": [
            {"skus": n, "event_us": 16.0, "python_us": 9.0, "redis_us": 7.0} for n in (10, 100)
        ],
        "locations": [{"locations": 1, "update_us": 20.0, "python_us": 11.0, "redis_us": 9.0}],
    },
    "soak": {"events": 1_000, "memory_mb": {"ingest": [80.0] * 10, "redis": [20.0] * 10}},
}


@pytest.fixture
def python() -> str:
    """A Python that has matplotlib. The environment of the peers is made by the benchmark alone."""
    if importlib.util.find_spec("matplotlib"):
        return sys.executable
    has_it = [str(BENCH_PYTHON), "-c", "import matplotlib"]
    if (
        not BENCH_PYTHON.exists()
        or subprocess.run(has_it, check=False, stderr=subprocess.DEVNULL).returncode
    ):
        pytest.skip("no .venv-bench, which has matplotlib")
    return str(BENCH_PYTHON)


def drawn(python: str, result: dict[str, Any], folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result))
    command = [python, "-m", "tests.benchmarks.plots", str(folder / "result.json"), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in folder.glob("*.svg")}


def test_bars_are_in_order_and_leave_out_who_has_no_figure() -> None:
    assert plots.bars(RESULT, "W1") == [
        plots.Bar("Penstock", 60, 58, 62, ours=True),
        plots.Bar("Quix Streams", 9, 8, 10, ours=False),
    ]
    assert plots.bars(RESULT, "W3") == [plots.Bar("Penstock", 70, 60, 80, ours=True)]
    assert plots.bars(RESULT, "W2") == []


def test_runs_that_count_are_shown_by_rate() -> None:
    assert [each["rate"] for each in plots.counted(RESULT)] == [1_000, 10_000]


def test_a_result_makes_its_pictures_and_makes_them_again(python: str, tmp_path: Path) -> None:
    first = drawn(python, RESULT, tmp_path / "a")
    assert sorted(first) == ["cost.svg", "latency.svg", "soak.svg", "throughput.svg"]
    assert all(b"<svg" in picture and b"<dc:date>" not in picture for picture in first.values())
    assert drawn(python, RESULT, tmp_path / "b") == first


def test_a_part_that_was_not_measured_makes_no_picture(python: str, tmp_path: Path) -> None:
    made = drawn(python, {"latency": RESULT["latency"]}, tmp_path / "a")
    assert sorted(made) == ["latency.svg"]
