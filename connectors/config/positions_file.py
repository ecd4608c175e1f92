"""`location,sku,on_hand,unavailable`: a file of what stock is where, checked line by line.

`unavailable` may be left empty: then nothing is said about it. Every line that is wrong is reported with its number.
"""

import csv
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from connectors.config.codes_file import id_problem
from connectors.config.yaml_reader import Lint, did_you_mean, shortened
from state.events.messages import QUANTITY_MAX

HEADER: Final = ("location", "sku", "on_hand", "unavailable")
PROBLEMS_MAX: Final = 1_000
"""More than these are not looked for: the file is another one."""

_DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)


class Counted(NamedTuple):
    """The stock of one SKU at a location, in units, and the line that says so."""

    on_hand: int
    unavailable: int | None
    """None = nothing is said about it."""
    line: int


Positions = dict[str, dict[str, Counted]]
"""By location and SKU."""


class Names(NamedTuple):
    """What the lines of a file may name."""

    location: Callable[[str], bool]
    locations: Iterable[str]
    """Those listed, to suggest which one may be meant."""
    sku: Callable[[str], tuple[str, int] | None]
    """A code -> the SKU and its units for one, None when it is not known."""


class _FileLines:
    """The lines of one file as they are checked."""

    def __init__(self, names: Names, lint: Lint) -> None:
        self.found: Positions = {}
        self._names = names
        self._lint = lint
        self._known: dict[str, tuple[str, int] | None] = {}
        """By code: a file names each many times."""

    def add(self, cells: list[str], line: int) -> None:
        """Take a line, or add what is wrong with it."""
        if len(cells) not in {len(HEADER) - 1, len(HEADER)}:
            self._wrong(line, "", f"expected {len(HEADER)} cells, got {len(cells)}")
            return
        location, code, on_hand_text, unavailable_text = map(str.strip, (*cells, "")[: len(HEADER)])
        there = self._at(location, line)
        sku, units = self._sku(code, line)
        on_hand = self._units(line, "on_hand", on_hand_text, units)
        unavailable = None
        if unavailable_text:
            unavailable = self._units(line, "unavailable", unavailable_text, units)
        if there is None or not sku or on_hand is None:
            return
        if unavailable is not None and unavailable > on_hand:
            problem = f"expected at most on_hand ({on_hand}), got {unavailable}"
            self._wrong(line, "unavailable", problem)
        elif (first := there.get(sku)) is not None:
            problem = f"expected each SKU once at a location, got {shortened(code)!r} at {location!r} again"
            self._wrong(line, "sku", f"{problem} (first in line {first.line})")
        else:
            there[sku] = Counted(on_hand, unavailable, line)

    def _at(self, location: str, line: int) -> dict[str, Counted] | None:
        there = self.found.get(location)
        if there is not None:
            return there
        if problem := id_problem(location):
            self._wrong(line, "location", problem)
        elif not self._names.location(location):
            hint = did_you_mean(location, list(self._names.locations))
            self._wrong(line, "location", f"expected a listed location, got {location!r}{hint}")
        else:
            there = self.found[location] = {}
        return there

    def _sku(self, code: str, line: int) -> tuple[str, int]:
        if code not in self._known:
            self._known[code] = None if id_problem(code) else self._names.sku(code)
        known = self._known[code]
        if known is not None:
            return known
        problem = id_problem(code) or f"expected a known code, got {shortened(code)!r}"
        self._wrong(line, "sku", problem)
        return "", 1

    def _units(self, line: int, name: str, text: str, units: int) -> int | None:
        found = int(text) * units if _DIGITS.fullmatch(text) else -1
        if 0 <= found <= QUANTITY_MAX:
            return found
        more = f" ({units} units each)" if units > 1 else ""
        self._wrong(
            line, name, f"expected integer 0..{QUANTITY_MAX}, got {shortened(text)!r}{more}"
        )
        return None

    def _wrong(self, line: int, name: str, text: str) -> None:
        self._lint.add(line, name, text)


def read_positions(lines: Iterable[str], names: Names, lint: Lint) -> Positions:
    """Return what a file says. It is whole only if nothing was added to `lint`."""
    rows = csv.reader(lines, strict=True)
    into = _FileLines(names, lint)
    try:
        header = tuple(cell.strip().lower() for cell in next(rows, []))
        if header not in {HEADER, HEADER[:-1]}:
            found = shortened(",".join(header)) or "nothing"
            lint.add(1, "", f"expected the header {','.join(HEADER)}, got {found}")
            return {}
        for cells in rows:
            if cells:
                into.add(cells, rows.line_num)
                if len(lint.problems) > PROBLEMS_MAX:
                    break
    except (csv.Error, UnicodeDecodeError) as error:
        lint.add(rows.line_num + 1, "", f"expected CSV in UTF-8, got: {error}")
    return into.found
