"""The map of commands: each is imported when it runs, under its name; until then its line of help is enough."""

import re
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.app import COMMANDS, Commands, app
from tests.flows.shop import ROOT

HEAVY = {"bytewax", "confluent_kafka", "prometheus_client", "redis", "structlog", "yaml"}
DEMO = "demo"
"""The one whose options are made of what it runs."""
EXECUTED = """
import sys, types
print(*(name for name, module in sys.modules.items() if type(module) is types.ModuleType))
"""
ALL_HELP = f"""
from typer.testing import CliRunner
from flows.cli.app import COMMANDS, app
for name in COMMANDS.keys() - {{{DEMO!r}}}:
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0, name
"""


def executed(code: str) -> set[str]:
    """The modules that a fresh process has executed after this; not those that wait for their first use."""
    done = subprocess.run(
        [sys.executable, "-c", code + EXECUTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def loaded(name: str) -> Any:
    return Commands().load(name)


def paths() -> set[str]:
    """Every command that runs: `stock`, `hold confirm`."""
    found: set[str] = set()
    for name in COMMANDS:
        subs = getattr(loaded(name), "commands", ())
        found |= {f"{name} {sub}" for sub in subs} or {name}
    return found


def command_modules() -> dict[str, str]:
    """The text of each module of the command line that has a command, by its name."""
    texts = {
        f"flows.cli.{path.stem}": path.read_text() for path in (ROOT / "flows/cli").glob("*.py")
    }
    return {name: text for name, text in texts.items() if "@app.command(" in text}


def test_the_root_imports_no_command_and_nothing_of_the_engine() -> None:
    names = executed("import flows.cli.app")
    ours = {name for name in names if name.split(".")[0] in {"flows", "connectors", "state"}}
    assert ours == {"flows", "flows.cli", "flows.cli.app", "flows.cli.lazy"}
    assert not HEAVY & names


def test_the_help_of_a_command_executes_no_service_and_no_client() -> None:
    names = executed(ALL_HELP)
    assert "flows.cli.hold" in names
    assert not HEAVY & names
    assert not {name for name in names if name.startswith(("flows.runtime.", "connectors.redis."))}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_name_of_the_map_has_a_command_with_help(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 0
    assert f"Usage: penstock {name}" in done.output
    assert "-h" in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_help_on_the_map_is_the_first_of_the_command(name: str) -> None:
    assert loaded(name).help.split("\n\n")[0] == COMMANDS[name].help


def test_every_command_of_the_folder_is_on_the_map() -> None:
    assert command_modules().keys() == {entry.module for entry in COMMANDS.values()} - {
        "flows.demo.command"
    }


def test_a_command_reports_faults_under_the_name_that_it_is_called_by() -> None:
    named = {
        name
        for text in command_modules().values()
        for name in re.findall(r'^@command\("(.+)"\)$', text, re.MULTILINE)
    }
    assert named == paths() - {DEMO}


def test_an_unknown_command_names_the_nearest() -> None:
    done = CliRunner().invoke(app, ["stcok"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert done.exit_code == 2
    assert "Did you mean 'stock'?" in done.output + done.stderr
