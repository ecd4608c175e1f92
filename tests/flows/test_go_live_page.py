"""The page about going live: each of its commands is run, in their order, on an engine at work."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.redis.embedded import EmbeddedError, embedded
from tests.patience import PATIENCE_S
from tests.test_readme import Terminal

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "go-live.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIFFERENT = 1

CONFIG = """
version: 1
locations:
  - {id: wh-ec, kind: warehouse}
  - {id: s001, kind: store, silent_after_s: 1800, hours: "mon-fri 09:00-21:30, sat-sun 10:00-22:00"}
policies: {zero_guard_pct: 20}
channels: [{id: shopee, opening: counted}, {id: shop, mode: shadow}]
"""
TODAY = "channel,sku,quantity\nshopee,A1,500\nshop,A1,0\n"


def commands() -> list[str]:
    emitted = [line for block in CONSOLE.findall(PAGE.read_text()) for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in emitted)
    return [line[2:] for line in emitted]


def positions() -> str:
    """The file that the page shows."""
    page = PAGE.read_text()
    begin = page.index("location,sku,on_hand,unavailable\n")
    return page[begin : page.index("```", begin)]


@pytest.fixture
def terminal(tmp_path: Path, missing: Callable[[str], None]) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    (made.folder / "penstock.yaml").write_text(CONFIG)
    (made.folder / "positions.csv").write_text(positions())
    (made.folder / "today.csv").write_text(TODAY)
    try:
        with embedded(made.folder / ".penstock"):
            yield made
    except EmbeddedError as error:
        missing(str(error))


@pytest.mark.slow
def test_every_command_of_the_page_runs(terminal: Terminal) -> None:
    run = [sys.executable, "-m", "flows.cli", "run"]
    with subprocess.Popen(run, cwd=terminal.folder, env=terminal.env) as flows:
        try:
            for command in commands():
                differs = command.startswith("penstock shadow-report")
                terminal.says(f"{command}; test $? -eq {DIFFERENT if differs else 0}")
                if command.startswith("penstock import"):
                    terminal.says("penstock wait --idle --timeout 40")
        finally:
            flows.terminate()
        assert flows.wait(PATIENCE_S) == 0
    differences = (terminal.folder / "differences.csv").read_text().splitlines()
    assert differences[1:] == ["shopee,A1,500,121,121,379,0", "shop,A1,0,121,121,0,121"]
