"""Other systems' codes for our SKUs: a CSV file `system,code,sku,units`, and the table made of it.

The table only grows. A row is valid from a moment of the log, so a message that is replayed finds
the row it found the first time, whatever the file says today. A code that left the file keeps its
row.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence

from connectors.config.yaml_reader import Lint, shortened
from state.events.codes import Mapping

HEADER = ("system", "code", "sku", "units")
ROWS_MAX = 1_000_000
PACK_UNITS_MAX = 1_000_000
"""Units that one code may stand for."""
ID_MAX = 128


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
                problem = f"expected each code once, got {mapping.code!r} again"
                lint.add(line, "code", f"{problem} (first in line {first_line[key]})")
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
    if not 1 <= units <= PACK_UNITS_MAX:
        lint.add(
            line, "units", f"expected integer 1..{PACK_UNITS_MAX}, got {shortened(units_text)!r}"
        )
        return None
    return Mapping(system, code, sku, units) if sound else None


def _shown(header: Sequence[str]) -> str:
    return shortened(",".join(header)) or "nothing"
