"""Other systems' codes for our SKUs: a CSV file `system,code,sku,units`, and the table made of it.

The table only grows. A row is valid from a moment of the log, so a message that is replayed finds
the row it found the first time, whatever the file says today. A code that left the file keeps its
row.
"""

import csv
import io
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from connectors.lint import Lint, shortened
from state.policy.compiled import Compiled

HEADER = ("system", "code", "sku", "units")
ROWS_MAX = 1_000_000
UNITS_MAX = 1_000_000
ID_MAX = 128


class Mapping(msgspec.Struct, frozen=True):
    """One line of the file: one `code` of `system` is `units` pieces of `sku`."""

    system: str
    code: str
    sku: str
    units: int


class CodeRow(msgspec.Struct, frozen=True, array_like=True):
    """A mapping and the log timestamp (ms) from which it holds."""

    system: str
    code: str
    sku: str
    units: int
    valid_from_ms: int


class CodeTable:
    """Append-only rows, looked up by system, code and log timestamp."""

    __slots__ = ("_newest_ms", "_rows", "_skus")

    def __init__(self, rows: Iterable[CodeRow] = ()) -> None:
        """Take the rows in the order in which they were appended."""
        self._rows: dict[tuple[str, str], list[CodeRow]] = {}
        self._skus: dict[str, int] = {}
        self._newest_ms = 0
        for row in rows:
            self._rows.setdefault((row.system, row.code), []).append(row)
            first_ms = self._skus.get(row.sku, row.valid_from_ms)
            self._skus[row.sku] = min(first_ms, row.valid_from_ms)
            self._newest_ms = max(self._newest_ms, row.valid_from_ms)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    @property
    def newest_ms(self) -> int:
        """Return the latest `valid_from_ms` of all rows, 0 if there are none."""
        return self._newest_ms

    def look_up(self, system: str, code: str, timestamp_ms: int) -> tuple[str, int] | None:
        """Return `(sku, units)` as it held at a log timestamp; None = the code was not known."""
        rows = self._rows.get((system, code))
        if rows is None:
            return None
        index = bisect_right(rows, timestamp_ms, key=_valid_from_ms) - 1
        return None if index < 0 else (rows[index].sku, rows[index].units)

    def knows_sku(self, sku: str, timestamp_ms: int) -> bool:
        """Say whether any code stood for this SKU at or before a log timestamp."""
        first_ms = self._skus.get(sku)
        return first_ms is not None and first_ms <= timestamp_ms

    def codes_of(self, sku: str) -> set[str]:
        """Return every code that ever stood for a SKU."""
        return {row.code for rows in self._rows.values() for row in rows if row.sku == sku}

    def rows(self) -> Iterator[CodeRow]:
        """Yield every row, those of a code in the order in which they were appended."""
        for rows in self._rows.values():
            yield from rows

    def newest(self, system: str, code: str) -> CodeRow | None:
        """Return the row that holds for messages to come."""
        rows = self._rows.get((system, code))
        return rows[-1] if rows else None


def additions(table: CodeTable, mappings: Iterable[Mapping], now_ms: int) -> list[CodeRow]:
    """Return the rows to append so that the table says what the file says.

    Into an empty table every row holds from 0: also for what was in the log before. Later a new or
    changed code holds from `now_ms` (system time). Readers must have the rows before they read
    messages of that time, so pass a `now_ms` that lies ahead by the time it takes to tell them.
    """
    valid_from_ms = max(now_ms, table.newest_ms) if len(table) else 0
    rows = []
    for mapping in mappings:
        row = table.newest(mapping.system, mapping.code)
        if row is None or (row.sku, row.units) != (mapping.sku, mapping.units):
            rows.append(
                CodeRow(mapping.system, mapping.code, mapping.sku, mapping.units, valid_from_ms)
            )
    return rows


def codes(
    policy: Compiled, table: CodeTable
) -> Callable[[str, str, int], tuple[str, int] | None] | None:
    """Return what maps `(source, code, log timestamp in ms)` to `(sku, units)`, or to None.

    A source with a table is looked up in it. Any other names SKUs itself, one unit each; where
    `unknown.sku` is `reject`, only such as a table knows. None = there is nothing to map or refuse.
    """
    only_known = policy.policy.unknown.sku == "reject"
    if not only_known and not any(source.has_codes for source in policy.policy.sources):
        return None

    def look_up(source: str, code: str, timestamp_ms: int) -> tuple[str, int] | None:
        entry = policy.source(source)
        if entry is not None and entry.has_codes:
            return table.look_up(entry.system, code, timestamp_ms)
        return None if only_known and not table.knows_sku(code, timestamp_ms) else (code, 1)

    return look_up


def read_csv(text: str, lint: Lint) -> list[Mapping]:
    """Return the mappings of a CSV file; every line that is wrong is a problem in `lint`.

    The first line is the header `system,code,sku,units`. Empty units mean 1.
    """
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    mappings: list[Mapping] = []
    first_line: dict[tuple[str, str], int] = {}
    try:
        header = tuple(cell.strip() for cell in next(lines, []))
        if header != HEADER:
            lint.add(1, "", f"expected the header {','.join(HEADER)}, got {_shown(header)}")
            return []
        for cells in lines:
            line = lines.line_num
            mapping = _mapping(cells, line, lint) if cells else None
            if mapping is None:
                continue
            key = (mapping.system, mapping.code)
            if key in first_line:
                told = f"expected each code once, got {mapping.code!r} again"
                lint.add(line, "code", f"{told} (first in line {first_line[key]})")
            first_line.setdefault(key, line)
            mappings.append(mapping)
    except csv.Error as error:
        lint.add(lines.line_num, "", f"expected CSV, got a syntax error: {error}")
    if len(mappings) > ROWS_MAX:
        lint.add(1, "", f"expected at most {ROWS_MAX} rows, got {len(mappings)}")
    return mappings


def id_problem(text: str) -> str:
    """Return why a text is no id, in the words of an error; "" when it is one."""
    if not 1 <= len(text) <= ID_MAX:
        return f"expected 1..{ID_MAX} characters, got {len(text)}"
    if any(unicodedata.category(character) == "Cc" for character in text):
        return f"expected no control characters, got {shortened(text)!r}"
    return ""


def _valid_from_ms(row: CodeRow) -> int:
    return row.valid_from_ms


def _mapping(cells: Sequence[str], line: int, lint: Lint) -> Mapping | None:
    if len(cells) not in {len(HEADER) - 1, len(HEADER)}:
        lint.add(line, "", f"expected {len(HEADER)} cells, got {len(cells)}")
        return None
    system, code, sku, units_text = (cell.strip() for cell in (*cells, "")[: len(HEADER)])
    sound = True
    for name, text in (("system", system), ("code", code), ("sku", sku)):
        problem = id_problem(text)
        if problem:
            lint.add(line, name, problem)
            sound = False
    units = int(units_text or "1") if re.fullmatch(r"[0-9]{0,7}", units_text, re.ASCII) else 0
    if not 1 <= units <= UNITS_MAX:
        lint.add(line, "units", f"expected integer 1..{UNITS_MAX}, got {shortened(units_text)!r}")
        return None
    return Mapping(system, code, sku, units) if sound else None


def _shown(header: Sequence[str]) -> str:
    return shortened(",".join(header)) or "nothing"
