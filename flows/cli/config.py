"""`penstock config check`: every problem of a `penstock.yaml`, with its line."""

from pathlib import Path
from typing import Any

from connectors.config import policy_file as config
from connectors.config import settings as environment
from connectors.config.yaml_reader import Problem
from flows.cli import output
from flows.runtime.exit_codes import FINDING, OK, USAGE


def check(path: Path | None, *, as_json: bool) -> int:
    """Tell the problems and warnings of a file; without one, of that of the environment."""
    path = path or environment.load().config or config.DEFAULT_PATH
    if not path.is_file():
        output.fault("config check", f"{path}: expected a file, got none")
        return USAGE
    problems: list[Problem] = []
    warnings: list[Problem] = []
    try:
        config.load_with_codes(path)
        text = path.read_text(encoding="utf-8-sig")
        warnings = config.warnings(text, path.name, path.parent)
    except config.ConfigError as error:
        problems = error.problems
    if as_json:
        output.json_line({"problems": _shown(problems), "warnings": _shown(warnings)})
    else:
        for problem in problems:
            output.line(str(problem))
        for warning in warnings:
            output.line(f"warning: {warning}")
        if not problems:
            output.line(f"{path.name}: ok")
    return FINDING if problems else OK


def _shown(problems: list[Problem]) -> list[Any]:
    return [str(problem) for problem in problems]
