"""Usage, configuration and the state of the machine, as the command line tells them."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.flows.shop import ROOT, Shop, event, lines, rows

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


def test_a_configuration_without_problems_is_ok(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    good = shop.penstock("config", "check")
    assert (good.returncode, good.stdout) == (0, "penstock.yaml: ok\n")
    missing = shop.penstock("config", "check", "other.yaml")
    assert missing.returncode == 2
    assert missing.stderr == "penstock config check: other.yaml: expected a file, got none\n"


def test_init_makes_everything_once_and_tells_what_is_there(shop: Shop) -> None:
    (first,) = rows(shop.penstock("init", PENSTOCK_PARTITIONS="2"))
    assert first["topics"]["pos.sales"] == 2
    assert "penstock_apply" in first["functions"]
    assert (first["shards"], first["begun"]) == (16, {})
    (second,) = rows(shop.penstock("init", PENSTOCK_PARTITIONS="3"))
    assert second == first
    mismatch = shop.penstock("init", PENSTOCK_SHARDS="8")
    assert mismatch.returncode == 2
    assert "PENSTOCK_SHARDS: expected 16" in mismatch.stderr


def test_reading_can_begin_at_the_end_of_what_is_there(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=10)))
    (told,) = rows(shop.penstock("init", "--from", "latest"))
    assert len(told["begun"]) == 12
    assert shop.penstock("wait", "--idle", "--timeout", "5").returncode == 0
    assert shop.penstock("stock", "A").returncode == 1


def test_doctor_finds_a_sound_store_sound(shop: Shop) -> None:
    before = shop.penstock("doctor")
    assert before.returncode == 1
    assert "run `penstock init`" in before.stdout
    shop.penstock("init")
    found = {row["check"]: row["status"] for row in rows(shop.penstock("doctor"))}
    assert found == dict.fromkeys(
        ("python", "settings", "config", "server", "shards", "append-only", "clock", "functions", "topics",
         "policy", "lag", "due"),
        "ok",
    )  # fmt: skip


def test_doctor_tells_what_is_wrong(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=10)))
    shop.config.write_text("version: 2\n")
    done = shop.penstock("doctor", PENSTOCK_TICK="20", PENSTOCK_REDIS="redis://127.0.0.1:1")
    assert done.returncode == 1
    found = {row["check"]: row for row in map(orjson.loads, done.stdout.splitlines())}
    assert [name for name, row in found.items() if row["status"] == "fail"] == [
        "settings", "config", "server",
    ]  # fmt: skip
    assert "did you mean PENSTOCK_TICK_MS?" in found["settings"]["detail"]
