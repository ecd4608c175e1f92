"""What becomes of what a command raises."""

import subprocess
import sys

import pytest

from tests.flows.shop import ROOT

PROGRAM = """
import sys
import typer
from flows.cli.command import command
from connectors.redis.server import ServerAway, ServerError

@command("hold confirm")
def work() -> int:
    {work}

sys.exit(work())
"""


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [
        ("return 0", 0, ""),
        ("return 1", 1, ""),
        ("raise ServerError('one\\ntwo')", 2, "penstock hold confirm: one\npenstock hold confirm: two\n"),
        ("raise ServerAway('no answer')", 3, "penstock hold confirm: no answer\n"),
        ("raise KeyError('x')", 1, "penstock hold confirm: KeyError: 'x'\n"),
    ],
)  # fmt: skip
def test_an_error_becomes_words_and_an_exit_code(work: str, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, said)


def test_an_error_of_usage_is_left_to_the_root() -> None:
    work = "raise typer.BadParameter('expected more')"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "BadParameter: expected more" in done.stderr
