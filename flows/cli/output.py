"""How commands answer: tables on a terminal, JSON lines when piped or asked for."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def wants_json(*, asked: bool) -> bool:
    """Say whether to answer in JSON: asked for, or nobody looks at a terminal."""
    return asked or not sys.stdout.isatty()


def json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def line(text: str) -> None:
    """Print a line as it is."""
    sys.stdout.write(text + "\n")


def fault(command: str, text: str) -> None:
    """Say on standard error what is wrong, each line under the name of the command."""
    for part in text.splitlines():
        sys.stderr.write(f"penstock {command}: {part}\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table for people; a column of numbers is set to the right."""
    from rich.console import Console  # noqa: PLC0415 - needed on a terminal only
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    cells = [tuple(row) for row in rows]
    shown = Table(title=escape(title), title_justify="left")
    for at, column in enumerate(columns):
        numbers = cells and all(type(row[at]) is int for row in cells)
        shown.add_column(escape(column), justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        shown.add_row(*("" if cell is None else escape(visible(str(cell))) for cell in row))
    Console().print(shown)


def fields(rows: Mapping[str, Any]) -> None:
    """Print names and values for people, one a line."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        line(f"{name:<{width}}  {visible(str(value))}")


def visible(text: str) -> str:
    """Return a text for a terminal, which obeys control characters: those are escaped."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
