"""The console: tables for people on a terminal, lines of JSON for programs, faults on standard error."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich import console, markup
from rich import table as rich_table

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def wants_json(*, asked: bool) -> bool:
    """Say whether to answer in JSON: asked for, or standard output is no terminal."""
    return asked or not sys.stdout.isatty()


def json_line(value: Any) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def line(text: str) -> None:
    """Print a line as it is."""
    sys.stdout.write(text + "\n")


def fault(command: str, text: str) -> None:
    """Print on standard error what is wrong, each line under the name of the command."""
    for part in text.splitlines():
        sys.stderr.write(f"penstock {command}: {part}\n")


def unreadable(command: str, file: object, error: OSError) -> None:
    """Print on standard error that a file cannot be opened."""
    fault(command, f"{file}: expected a readable file, got {error.strerror}")


def problems(command: str, texts: Sequence[str], shown_max: int) -> None:
    """Print the first problems of a file on standard error, and how many more there are."""
    for text in texts[:shown_max]:
        fault(command, text)
    if len(texts) > shown_max:
        fault(command, f"and {len(texts) - shown_max} more problems")


def record(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: a line of JSON, or names and values for people."""
    if wants_json(asked=as_json):
        json_line(values)
    else:
        fields(values)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table for people; a column of numbers is set to the right."""
    cells = [tuple(row) for row in rows]
    shown = rich_table.Table(title=markup.escape(title), title_justify="left")
    for at, column in enumerate(columns):
        numbers = cells and all(type(row[at]) is int for row in cells)
        justify: Any = "right" if numbers else "left"
        shown.add_column(markup.escape(column), justify=justify, overflow="fold")
    for row in cells:
        texts = ("" if cell is None else markup.escape(visible(str(cell))) for cell in row)
        shown.add_row(*texts)
    console.Console().print(shown)


def fields(rows: Mapping[str, Any]) -> None:
    """Print names and values for people, one a line."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        line(f"{name:<{width}}  {visible(str(value))}")


def visible(text: str) -> str:
    """Return a text with its control characters escaped: a terminal would obey them."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
