"""The SKUs of a category, from a CSV file: one column of it is named `sku`."""

import csv
import io

from connectors.config.codes_file import id_problem
from connectors.config.yaml_reader import Lint, shortened

SKUS_MAX = 200_000


def read_skus(text: str, lint: Lint) -> tuple[str, ...]:
    """Return the SKUs of a file, each once, in order; every line that is wrong is a problem in `lint`."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: dict[str, None] = {}
    try:
        header = [cell.strip() for cell in next(lines, [])]
        if "sku" not in header:
            got = shortened(",".join(header)) or "nothing"
            lint.add(1, "", f"expected a column sku in the header, got {got}")
            return ()
        at = header.index("sku")
        for cells in lines:
            if not cells:
                continue
            sku = cells[at].strip() if at < len(cells) else ""
            problem = id_problem(sku)
            if problem:
                lint.add(lines.line_num, "sku", problem)
            found[sku] = None
    except csv.Error as error:
        lint.add(lines.line_num, "", f"expected CSV, got a syntax error: {error}")
    if len(found) > SKUS_MAX:
        lint.add(1, "", f"expected at most {SKUS_MAX} SKUs, got {len(found)}")
    return tuple(found)
