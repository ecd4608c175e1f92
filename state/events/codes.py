"""Codes of other systems for our SKUs: an append-only table, looked up by log timestamp."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

import msgspec

from state.policy.compiled import Compiled


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
    messages of that time, so pass a `now_ms` that is ahead by the time it takes to send them the rows.
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


def _valid_from_ms(row: CodeRow) -> int:
    return row.valid_from_ms
