"""The declared log lines, their page and the calls of the loggers agree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from monitoring.logs import LINES

ROOT = Path(__file__).parents[2]
LEVELS = {"warning", "error", "exception", "info", "debug", "critical"}

Line = tuple[str, str, frozenset[str]]


def logged() -> Iterator[Line]:
    """Event, level and fields of every line that the code can log."""
    for folder in ("flows", "connectors", "monitoring"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            if "structlog.get_logger" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "_log"
                    and node.func.attr in LEVELS
                ):
                    yield line_of(node, node.func.attr, path)


def line_of(call: ast.Call, level: str, path: Path) -> Line:
    (event,) = call.args
    assert isinstance(event, ast.Constant), f"{path}:{call.lineno}: the event is not a constant"
    fields = {each.arg or "**" for each in call.keywords}
    assert "**" not in fields, f"{path}:{call.lineno}: the fields are not told one by one"
    if level == "exception" or "exc_info" in fields:
        fields = (fields - {"exc_info"}) | {"exception"}
    return str(event.value), "error" if level == "exception" else level, frozenset(fields)


def declared() -> list[Line]:
    return [(line.event, line.level, frozenset(line.fields)) for line in LINES]


def documented() -> list[Line]:
    page = (ROOT / "docs" / "logs.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*?) \| (.+) \|$", page, re.MULTILINE)
    return [
        (event, level, frozenset(re.findall(r"`(\w+)`: ", fields)))
        for event, level, fields, _ in rows
    ]


def test_each_line_that_can_be_logged_is_declared_and_no_other_is() -> None:
    lines = declared()
    assert len(lines) == len(set(lines)) > 5
    assert set(lines) == set(logged())


def test_each_line_that_can_be_logged_is_on_the_page_and_the_page_has_no_other() -> None:
    page = documented()
    assert page == declared()
    assert set(page) == set(logged())


def test_each_line_says_what_its_fields_are_and_what_to_do() -> None:
    for line in LINES:
        assert all(line.fields.values()), line.event
        assert line.action.endswith("."), line.event
