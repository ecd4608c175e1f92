"""A list of another system compared with the pool: what it says is where, and what we say.

The list is of one moment. What moved since, as far as a position keeps its movements, is left out of the comparison;
a position counted since is not compared at all.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from flows.runtime.context import Runtime
from flows.services.bad_file import BadFile
from flows.services.corrections.manual_events import (
    EventRejected,
    Sent,
    rejected,
    send,
    wait_until_applied,
)
from state.events.adjustment_reasons import AdjustReason
from state.events.messages import LINES_MAX, QUANTITY_MAX
from state.protocol.figures import StoredPosition

SOURCE: Final = "/penstock/reconcile"
NOTE_MAX: Final = 1_000
HEADER = ("location", "sku", "on_hand")
CHUNK = 500


class ListedPosition(NamedTuple):
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
    """A count came after the moment of the file: left alone."""

    @property
    def delta(self) -> int:
        """What has to be added to ours."""
        return self.theirs - self.ours


class Reason(NamedTuple):
    """Why the differences are corrected: a reason of the closed list, by whom, and with which system."""

    reason: AdjustReason
    by: str
    source: str


@dataclass(slots=True)
class Corrected:
    """What became of the adjustments."""

    sent: list[Sent] = field(default_factory=list)
    refusal: str = ""
    """Why ingest would reject the next event, so that no more were sent; "" = it would not."""
    rejections: Mapping[str, str] | None = None
    """By id, why events went to the dead letters; None until all events are applied."""


def compare(
    runtime: Runtime, path: Path, source: str, as_of_ms: int
) -> tuple[int, list[Difference]]:
    """Compare a file with what the pool had at that moment; return the number of its rows, and where the two differ.

    Raises:
        BadFile: at the first line that is wrong; nothing was compared.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    chunks = list(rows_of(path, source, runtime))
    found = [each for rows in chunks for each in differences(runtime, rows, as_of_ms)]
    return sum(map(len, chunks)), found


def rows_of(path: Path, source: str, runtime: Runtime) -> Iterator[list[ListedPosition]]:
    """Yield the rows in chunks; codes of `source` become SKUs.

    Raises:
        BadFile: at the first line that is wrong.
    """
    codes, now_ms = runtime.policy.codes, runtime.clock.now_ms()
    seen: set[tuple[str, str]] = set()

    def row(line: int, cells: Sequence[str]) -> ListedPosition:
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
        return ListedPosition(line, location, mapped[0], int(text) * mapped[1])

    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header = tuple(cell.strip() for cell in next(lines, []))
        if header != HEADER:
            found = ",".join(header) or "nothing"
            raise BadFile(f"{path.name}:1: expected the header {','.join(HEADER)}, got {found}")
        rows = (row(lines.line_num, cells) for cells in lines if cells)
        while chunk := list(islice(rows, CHUNK)):
            yield chunk


def differences(
    runtime: Runtime, rows: Sequence[ListedPosition], as_of_ms: int
) -> Iterator[Difference]:
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


def correct(
    runtime: Runtime,
    open_differences: Sequence[Difference],
    as_of_ms: int,
    reason: Reason,
    timeout_s: float,
) -> Corrected:
    """Send the differences as adjustments of that moment, and wait until they are applied, for at most `timeout_s`.

    Raises:
        LogError: the log did not confirm an event.
    """
    corrected = Corrected()
    try:
        for location, data in _adjustments(open_differences, reason):
            sent = send(runtime, "wms.adjustment", SOURCE, as_of_ms, data, location)
            corrected.sent.append(sent)
    except EventRejected as refused:
        corrected.refusal = str(refused)
        return corrected
    skus = [difference.sku for difference in open_differences]
    if wait_until_applied(runtime, corrected.sent, skus, timeout_s):
        corrected.rejections = rejected(runtime, corrected.sent)
    return corrected


def _adjustments(
    open_differences: Sequence[Difference], reason: Reason
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield location and data of each event; one holds at most `LINES_MAX` lines."""
    by_location: dict[str, list[Difference]] = defaultdict(list)
    for difference in open_differences:
        by_location[difference.location].append(difference)
    for location, of_location in by_location.items():
        rest = iter(of_location)
        while some := list(islice(rest, LINES_MAX)):
            yield (
                location,
                {
                    "location": location,
                    "reason": reason.reason,
                    "actor": reason.by,
                    "note": f"reconciled with {reason.source}"[:NOTE_MAX],
                    "lines": [{"sku": each.sku, "quantity": each.delta} for each in some],
                },
            )
