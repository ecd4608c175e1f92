"""A list of another system held against the pool: what it says lies where, and what we say.

The list is of one moment. What moved since, as far as a position keeps its movements, is left out of the comparison;
a position counted since is not compared at all.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from flows.runtime.context import Runtime
from state.events.messages import QUANTITY_MAX
from state.protocol.figures import StoredPosition

HEADER = ("location", "sku", "on_hand")
CHUNK = 500


class Row(NamedTuple):
    """A line of the file."""

    line: int
    location: str
    sku: str
    on_hand: int


class Difference(NamedTuple):
    """What a line says, and what the pool had at that moment."""

    location: str
    sku: str
    theirs: int
    ours: int
    counted_since: bool
    """Somebody counted after the moment of the file: left alone."""

    @property
    def delta(self) -> int:
        """What has to be added to ours."""
        return self.theirs - self.ours


class BadFile(Exception):
    """The file cannot be read; each line says where, what was expected, and what came."""


def rows_of(path: Path, source: str, runtime: Runtime) -> Iterator[list[Row]]:
    """Yield the rows in chunks; codes of `source` become SKUs.

    Raises:
        BadFile: at the first line that is wrong.
    """
    codes, now_ms = runtime.policy.codes, runtime.clock.now_ms()
    seen: set[tuple[str, str]] = set()

    def row(line: int, cells: Sequence[str]) -> Row:
        if len(cells) != len(HEADER):
            raise BadFile(f"{path.name}:{line}: expected {len(HEADER)} cells, got {len(cells)}")
        location, code, text = (cell.strip() for cell in cells)
        if not runtime.policy.compiled.knows_location(location):
            raise BadFile(f"{path.name}:{line}: location: expected a known one, got {location!r}")
        mapped = (code, 1) if codes is None else codes(source, code, now_ms)
        if mapped is None or not mapped[0]:
            raise BadFile(f"{path.name}:{line}: sku: expected a known code, got {code!r}")
        if not (text.lstrip("-").isdecimal() and text.isascii() and abs(int(text)) <= QUANTITY_MAX):
            raise BadFile(f"{path.name}:{line}: on_hand: expected an integer, got {text!r}")
        if (location, mapped[0]) in seen:
            raise BadFile(f"{path.name}:{line}: expected each sku once at a location, got it again")
        seen.add((location, mapped[0]))
        return Row(line, location, mapped[0], int(text) * mapped[1])

    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header = tuple(cell.strip() for cell in next(lines, []))
        if header != HEADER:
            told = ",".join(header) or "nothing"
            raise BadFile(f"{path.name}:1: expected the header {','.join(HEADER)}, got {told}")
        rows = (row(lines.line_num, cells) for cells in lines if cells)
        while chunk := list(islice(rows, CHUNK)):
            yield chunk


def differences(runtime: Runtime, rows: Sequence[Row], as_of_ms: int) -> Iterator[Difference]:
    """Yield the rows that differ from what the pool had at that moment."""
    places = [(row.sku, row.location) for row in rows]
    for row, stored in zip(rows, runtime.store.positions(places), strict=True):
        ours = had(stored, as_of_ms)
        counted = stored.position.counted_at_ms if stored is not None else None
        if row.on_hand != ours:
            since = counted is not None and counted > as_of_ms
            yield Difference(row.location, row.sku, row.on_hand, ours, since)


def had(stored: StoredPosition | None, as_of_ms: int) -> int:
    """Return what a position had on hand at a moment, by the movements that it keeps."""
    if stored is None:
        return 0
    later = sum(change for time_ms, change in stored.movements if time_ms > as_of_ms)
    return stored.position.on_hand - later
