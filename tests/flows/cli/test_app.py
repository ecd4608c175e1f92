"""Usage, help and failures, as the command line reports them."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.flows.shop import ROOT, Shop

AWAY = {"PENSTOCK_REDIS": "redis://127.0.0.1:1"}


def test_the_command_line_starts_without_engine_or_client() -> None:
    heavy = "{'bytewax', 'redis', 'pandas', 'pydantic', 'structlog'}"
    code = f"import sys, flows.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_help_tells_of_every_command(tmp_path: Path) -> None:
    done = Shop(tmp_path).penstock("--help")
    assert done.returncode == 0
    commands = ("init", "run", "wait", "doctor", "config", "emit", "tail", "stock", "demo")
    for command in (*commands, "import", "shadow-report", "channel"):
        assert f" {command} " in done.stdout
    assert Shop(tmp_path).penstock("--version").stdout.startswith("penstock ")


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("wat",),
        ("run", "everything"),
        ("emit",),
        ("wait",),
        ("wait", "--idle", "--timeout", "soon"),
        ("tail",),
        ("stock",),
        ("stock", "A", "--all"),
        ("explain",),
        ("explain", "A", "--all"),
        ("config",),
        ("dead-letters", "replay"),
        ("init", "--from", "tomorrow"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = Shop(tmp_path).penstock(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("penstock")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [("init",), ("emit", "-"), ("tail", "pos.sales"), ("stock", "A"), ("explain", "A"), ("run", "ingest"),
     ("wait", "--idle"), ("dead-letters", "list")],
)  # fmt: skip
def test_a_server_that_is_away_is_exit_3(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = Shop(tmp_path).penstock(*args, **AWAY)
    assert (done.returncode, done.stdout) == (3, "")
    assert "PENSTOCK_REDIS: no answer from the server" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_setting_and_a_wrong_configuration_are_told_in_exact_words(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    wrong = shop.penstock("run", PENSTOCK_TICK_MS="x")
    assert (wrong.returncode, wrong.stderr) == (
        2, "penstock run: PENSTOCK_TICK_MS: expected integer 1..10000, got 'x'\n",
    )  # fmt: skip
    shop.config.write_text("version: 1\nchannels:\n  - {id: shopee, share_bp: 20000}\n")
    problem = "penstock.yaml:3: channels[0].share_bp: expected integer 0..10000, got 20000\n"
    run = shop.penstock("run")
    assert (run.returncode, run.stderr) == (2, f"penstock run: {problem}")
    check = shop.penstock("config", "check")
    assert (check.returncode, check.stdout) == (1, problem)
    as_json = shop.penstock("config", "check", str(shop.config), "--json")
    assert orjson.loads(as_json.stdout) == {"problems": [problem.strip()], "warnings": []}
