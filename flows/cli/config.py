"""`penstock config check`: every problem of a `penstock.yaml`, with its line."""

from pathlib import Path
from typing import Annotated

import typer

from connectors.config import policy_file, settings
from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes
from flows.services.queries import health_checks

app = typer.Typer(add_completion=False, help="Look at the configuration.")


@app.callback()
def config() -> None:
    """Keep `check` a command of its own: without this, the only one would be the group itself."""


@app.command()
@command("config check")
def check(
    file: Annotated[
        Path | None, typer.Argument(help="Default: PENSTOCK_CONFIG, or penstock.yaml.")
    ] = None,
    *,
    as_json: Json = False,
) -> int:
    """Print every problem of a configuration with its line; exit 1 if there is one.

    Examples: `penstock config check`, `penstock config check other.yaml`
    """
    path = file or settings.load().config or policy_file.DEFAULT_PATH
    if not path.is_file():
        output.fault("config check", f"{path}: expected a file, got none")
        return exit_codes.USAGE
    problems, warnings = health_checks.problems_of(path)
    if as_json:
        output.json_line({"problems": [*map(str, problems)], "warnings": [*map(str, warnings)]})
    else:
        for problem in problems:
            output.line(str(problem))
        for warning in warnings:
            output.line(f"warning: {warning}")
        if not problems:
            output.line(f"{path.name}: ok")
    return exit_codes.FINDING if problems else exit_codes.OK
