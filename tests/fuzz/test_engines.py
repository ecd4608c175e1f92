"""The engines run for their time, tell what they saw, and find a fault that is there."""

import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(
    r"fuzz: engine=(\w+) seconds=(\d+) runs=(\d+) rejected=(\d+) accepted=(\d+) crashes=(\d+)"
)
ON_LINUX = sys.platform == "linux" and platform.machine() == "x86_64"


def fuzz(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--folder", str(folder), *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(params=["atheris", "hypothesis"])
def engine(request: pytest.FixtureRequest, missing: Callable[[str], None]) -> str:
    name: str = request.param
    if name == "atheris" and find_spec("atheris") is None:
        if not ON_LINUX:
            pytest.skip("there is no atheris for this platform")
        missing("atheris")
    return name


@pytest.mark.slow
def test_an_engine_finds_nothing_in_a_bounded_time(engine: str, tmp_path: Path) -> None:
    seconds = 20 if engine == "atheris" else 5
    done = fuzz(tmp_path, "--engine", engine, "--seconds", str(seconds))
    assert done.returncode == 0, done.stdout + done.stderr
    match = LINE.fullmatch(done.stdout.splitlines()[-1])
    assert match is not None, done.stdout
    runs, rejected, accepted, crashes = (int(n) for n in match.groups()[2:])
    assert (match[1], match[2], crashes) == (engine, str(seconds), 0)
    assert runs == rejected + accepted
    assert rejected > accepted > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_engine_finds_a_fault_that_was_planted_and_says_how_to_see_it_again(
    engine: str, tmp_path: Path
) -> None:
    done = fuzz(tmp_path, "--engine", engine, "--seconds", "12", "--planted")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("crashes=1")
    (path,) = tmp_path.iterdir()
    assert f"python -m tests.fuzz --replay {path}" in done.stdout
    again = fuzz(tmp_path, "--replay", str(path))
    assert again.stdout == "fuzz: accepted\n"
