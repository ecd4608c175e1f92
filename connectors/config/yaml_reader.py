"""YAML read against a description, every problem reported with its line, its field and its exact words.

A file is described by shapes: `Table` (named fields), `ListOf`, and `Value` (a scalar and what is
expected of it). `compose` turns text into nodes that know their lines; `read` walks nodes and
shape together, collects every `Problem`, and fills in defaults: one run shows all there is to mend.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import yaml
from yaml.reader import Reader

FILE_BYTES_MAX = 1 << 20
DEPTH_MAX = 16
GOT_MAX = 80

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend: `penstock.yaml:12: channels[0].share_bp: expected ..., got ...`."""

    file: str
    line: int
    field: str
    text: str

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {place}{self.text}"


class Mismatch(ValueError):
    """Raised by the `parse` of a `Value`: not what is expected. Its text is a hint."""


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar. `parse(text, is_string)` gets it as written, and if YAML takes it for a string."""

    expected: str
    parse: Callable[[str, bool], Any]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of at most `items_max` items of one shape; `word` is a scalar allowed in its place."""

    item: "Shape"
    items_max: int
    word: str = ""

    @property
    def expected(self) -> str:
        """Return what an error text says was expected."""
        return f"{self.word} or a list" if self.word else "a list"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table.

    `default` stands in when it is absent, unless it is `required`. `unavailable` is the text of the
    problem when it is given at all.
    """

    name: str
    shape: "Shape"
    default: Any = None
    about: str = ""
    required: bool = False
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with known fields."""

    fields: tuple[Field, ...]
    expected: str = "a mapping"


Shape = Value | ListOf | Table


@dataclass(frozen=True, slots=True)
class Row:
    """A table that was read: the values by name, and where each was written."""

    path: str
    line: int
    values: dict[str, Any]
    lines: dict[str, int]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def given(self, name: str) -> bool:
        """Say whether the file names the field, rather than leaving it to its default."""
        return name in self.lines


@dataclass(slots=True)
class Lint:
    """The problems of one file, as they are found; a warning does not keep it from being used."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, line: int, path: str, text: str) -> None:
        """Add a problem at a line, counted from 1."""
        self.problems.append(Problem(self.file, line, path, text))

    def add_at(self, row: Row, name: str, text: str) -> None:
        """Add a problem of a field of a row that was read."""
        self.problems.append(self._at(row, name, text))

    def warn_at(self, row: Row, name: str, text: str) -> None:
        """Add a warning about a field of a row that was read."""
        self.warnings.append(self._at(row, name, text))

    def _at(self, row: Row, name: str, text: str) -> Problem:
        path = f"{row.path}.{name}" if row.path else name
        return Problem(self.file, row.lines.get(name, row.line), path, text)


def compose(text: str, lint: Lint) -> yaml.Node | None:
    """Return the root node of a YAML document, or None when it is empty or has problems."""
    if len(text.encode(errors="replace")) > FILE_BYTES_MAX:
        lint.add(1, "", f"expected at most {FILE_BYTES_MAX} bytes, got more")
        return None
    unprintable = Reader.NON_PRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        lint.add(line, "", f"expected printable characters, got {unprintable.group()!r}")
        return None
    try:
        if not _is_plain(text, lint):
            return None
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.rstrip().count("\n")) + 1 if mark else 1
        what = " ".join(filter(None, (error.context, error.problem)))
        lint.add(line, "", f"expected YAML, got a syntax error: {what}")
        return None
    return root


def read(shape: Shape, node: yaml.Node, path: str, lint: Lint) -> Any:
    """Return the value of a node: a `Row`, a list, or what `parse` made of a scalar.

    None stands for what could not be read; its problem is in `lint`.
    """
    if isinstance(shape, Table):
        return _read_table(shape, node, path, lint)
    if isinstance(shape, ListOf):
        return _read_list(shape, node, path, lint)
    hint = ""
    if isinstance(node, yaml.ScalarNode) and node.tag != _NULL:
        try:
            return shape.parse(node.value, node.tag == _STR)
        except Mismatch as mismatch:
            hint = str(mismatch)
    _mismatch(shape.expected, node, path, lint, hint)
    return None


def absent(table: Table, path: str = "") -> Row:
    """Return the row of a table that is not in the file: all defaults."""
    return Row(path, 1, {item.name: _default(item, path) for item in table.fields}, {})


def got(node: yaml.Node) -> str:
    """Return a node as an error text shows it."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if node.tag == _NULL:
        return "nothing"
    return repr(shortened(node.value)) if node.tag == _STR else shortened(node.value)


def shortened(text: str) -> str:
    """Return a text cut to what an error line can carry."""
    return text if len(text) <= GOT_MAX else text[:GOT_MAX] + "..."


def did_you_mean(name: str, known: list[str], common: str = "") -> str:
    """Return `: did you mean x?`, or nothing when no known name is near.

    `common` is how all names begin: it says nothing about how near they are.
    """
    ends = [other.removeprefix(common) for other in known]
    close = get_close_matches(name.removeprefix(common), ends, n=1)
    return f": did you mean {common}{close[0]}?" if close else ""


def _is_plain(text: str, lint: Lint) -> bool:
    """Refuse what can blow up while composing: aliases, and nesting without end."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            lint.add(line, "", f"expected no YAML alias, got *{event.anchor}")
            return False
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            lint.add(line, "", f"expected at most {DEPTH_MAX} levels of nesting, got more")
            return False
    return True


def _read_table(table: Table, node: yaml.Node, path: str, lint: Lint) -> Row:
    line = node.start_mark.line + 1
    row = Row(path, line, {item.name: _default(item, path) for item in table.fields}, {})
    if not isinstance(node, yaml.MappingNode):
        _mismatch(table.expected, node, path, lint)
        return row
    known = {item.name: item for item in table.fields}
    for key, value in node.value:
        key_line = key.start_mark.line + 1
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        here = _join(path, name or "?")
        if name not in known:
            hint = did_you_mean(name, list(known))
            lint.add(key_line, here, f"expected a known field, got {got(key)}{hint}")
        elif name in row.lines:
            lint.add(key_line, here, f"expected once, got again (first in line {row.lines[name]})")
        elif known[name].unavailable:
            lint.add(key_line, here, known[name].unavailable)
        else:
            row.lines[name] = value.start_mark.line + 1
            if value.tag == _NULL and not known[name].required:
                continue
            row.values[name] = read(known[name].shape, value, here, lint)
    for item in table.fields:
        if item.required and item.name not in row.lines:
            here = _join(path, item.name)
            lint.add(line, here, f"expected {item.shape.expected}, got nothing")
    return row


def _read_list(shape: ListOf, node: yaml.Node, path: str, lint: Lint) -> Any:
    if shape.word and isinstance(node, yaml.ScalarNode) and node.value == shape.word:
        return shape.word
    if not isinstance(node, yaml.SequenceNode):
        _mismatch(shape.expected, node, path, lint)
        return []
    if len(node.value) > shape.items_max:
        line = node.start_mark.line + 1
        lint.add(line, path, f"expected at most {shape.items_max} items, got {len(node.value)}")
        return []
    return [
        read(shape.item, item, f"{path}[{index}]", lint) for index, item in enumerate(node.value)
    ]


def _mismatch(expected: str, node: yaml.Node, path: str, lint: Lint, hint: str = "") -> None:
    lint.add(node.start_mark.line + 1, path, f"expected {expected}, got {got(node)}{hint}")


def _default(item: Field, path: str) -> Any:
    if isinstance(item.shape, Table):
        return absent(item.shape, _join(path, item.name))
    return [] if isinstance(item.shape, ListOf) and item.default is None else item.default


def _join(path: str, name: str) -> str:
    name = name if re.fullmatch(r"[\w?-]{1,80}", name) else repr(shortened(name))
    return f"{path}.{name}" if path else name
