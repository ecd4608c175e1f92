"""The reference of all settings, written from their declarations by `python -m tools.pages`."""

import json
from pathlib import Path
from typing import Any

from connectors.config.schema import FILE
from connectors.config.settings import Settings, expected, variable
from connectors.config.yaml_reader import Field, ListOf, Table
from state.policy.document import NO_CAP

HEAD = """\
# Settings

Written by `python -m tools.pages` from the declarations in the code.

## Environment

A wrong value stops the start with `VARIABLE: expected X, got Y`; an unknown variable that begins
with `PENSTOCK_` is a warning. An empty value counts as unset. Passwords are never printed.

| variable | default | expected | what it does | example |
|---|---|---|---|---|
"""

FILE_HEAD = """
## penstock.yaml

YAML in UTF-8, without aliases, at most 1 MiB. `penstock config check` prints every problem as
`penstock.yaml:LINE: field: expected X, got Y`. Ids have 1..128 characters, none of them a control
character; an id that YAML would take for a number, a date or a truth value needs quotes. A table or
list that is absent is empty.
"""


def page() -> str:
    """Return the whole page in Markdown."""
    rows = "".join(_variable_row(name) for name in Settings.model_fields)
    sections = "".join(_section(title, table) for title, table in _tables("", FILE))
    return HEAD + rows + FILE_HEAD + sections


def _variable_row(name: str) -> str:
    declared = Settings.model_fields[name]
    told = expected(name)
    default = told.get("default", declared.default)
    cells = (
        f"`{variable(name)}`",
        _code(default),
        _cell(told["expected"]),
        _cell(declared.description or ""),
        _code(told.get("example") or None),
    )
    return f"| {' | '.join(cells)} |\n"


def _tables(path: str, table: Table) -> list[tuple[str, Table]]:
    """Return a table and those inside it, each under its path in the file."""
    found = [(path, table)]
    for field in table.fields:
        here = f"{path}.{field.name}" if path else field.name
        if isinstance(field.shape, Table):
            found += _tables(here, field.shape)
        elif isinstance(field.shape, ListOf) and isinstance(field.shape.item, Table):
            found += _tables(f"{here}[]", field.shape.item)
    return found


def _section(path: str, table: Table) -> str:
    title = f"### `{path}`" if path else "### The file"
    head = "| field | default | expected | what it says |\n|---|---|---|---|\n"
    rows = "".join(_field_row(field) for field in table.fields if not field.unavailable)
    return f"\n{title}\n\n{head}{rows}"


def _field_row(field: Field) -> str:
    shape = field.shape
    wanted = shape.expected
    if isinstance(shape, ListOf):
        item = "" if isinstance(shape.item, Table) else f" of: {shape.item.expected}"
        wanted += f"{item}, at most {shape.items_max:,} items"
    default = "required" if field.required else _code(field.default)
    if field.default == NO_CAP:
        default = "no cap"
    return f"| `{field.name}` | {default} | {_cell(wanted)} | {_cell(field.about)} |\n"


def _code(value: Any) -> str:
    if value is None or value in ("", {}):
        return ""
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    text = value if isinstance(value, str | Path) else json.dumps(value)
    return f"`{_cell(str(text))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
