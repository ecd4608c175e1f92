"""The command line of the fuzzers. Exit 0 when nothing was found, 1 when something was."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import FOUND, NOTHING
from tests.fuzz.findings import Findings, planted, replay_command
from tests.fuzz.mutate import mutated
from tests.fuzz.properties import check
from tests.fuzz.seeds import from_text, seeds

FOLDER = Path(".fuzz")
EXAMPLES = 2_000
OVERTIME_S = 60


def guided(seconds: int, folder: Path, number: int, *, is_planted: bool) -> int:
    """Let the engine that coverage guides run in a process of its own, and outlive it."""
    kept = set(folder.glob("*"))
    with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory() as corpus:
        words = [
            str(seconds),
            str(folder),
            str(number),
            corpus,
            *(["planted"] if is_planted else []),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", *words],
            stderr=said, timeout=seconds + OVERTIME_S, check=False,
        )  # fmt: skip
        if done.returncode in (NOTHING, FOUND):
            return int(done.returncode == FOUND)
        said.seek(0)
        print(said.read().decode("utf-8", "replace")[-4000:])
    # The process ended without a word: a message took it down, or took longer than any should.
    found = sorted(set(folder.glob("*")) - kept)
    for path in found:
        print(f"crash: the engine ended with {done.returncode}\n  {replay_command(path)}")
    print(
        f"fuzz: engine=atheris seconds={seconds} runs=0 rejected=0 accepted=0 crashes={len(found) or 1}"
    )
    return 1


def drawn(seconds: int, folder: Path, number: int, *, is_planted: bool) -> int:
    """Let hypothesis draw messages until the time is up."""
    findings = Findings("hypothesis", seconds, folder, planted if is_planted else check)
    texts = seeds()
    while not findings.is_over:

        @seed(number)
        @settings(
            max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(st.sampled_from(texts), st.integers(0, 2**63))
        def batch(text: bytes, draw: int) -> None:
            if not findings.is_over:
                chance = random.Random(draw)
                findings.take(mutated(text, chance, lambda: chance.choice(texts)))

        batch()
        number += 1
    print(findings)
    return 1 if findings.crashes else 0


def main() -> int:
    """Fuzz for a while, or replay one message."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--engine", choices=["atheris", "hypothesis"])
    parser.add_argument("--seed", type=int, default=0, help="0 for a new one")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where messages that fail are kept"
    )
    parser.add_argument(
        "--planted", action="store_true", help="plant a fault, which has to be found"
    )
    parser.add_argument("--replay", type=Path)
    given_ = parser.parse_args()
    if given_.replay:
        print(f"fuzz: {check(from_text(given_.replay.read_bytes()))}")
        return 0
    engine = given_.engine or ("atheris" if find_spec("atheris") else "hypothesis")
    number = given_.seed or int.from_bytes(os.urandom(3)) + 1
    run = guided if engine == "atheris" else drawn
    return run(given_.seconds, given_.folder, number, is_planted=given_.planted)


if __name__ == "__main__":
    sys.exit(main())
