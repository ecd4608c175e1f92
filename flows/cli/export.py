"""`penstock export`: the pool or the log as CSV, as JSON lines, or as a table."""

import csv
import sys

from flows.cli import output
from flows.runtime.exit_codes import OK
from flows.runtime.session import reached_or_made
from flows.services.queries.export import COLUMNS, rows


def export(what: str, *, as_csv: bool, as_json: bool) -> int:
    """Write the rows as they are read: CSV if asked for, else JSON lines when piped, else a table."""
    columns = COLUMNS[what]
    with reached_or_made() as run:
        found = rows(run, what)
        if as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(found)
        elif output.wants_json(asked=as_json):
            for row in found:
                output.json_line(dict(zip(columns, row, strict=True)))
        else:
            output.table(what, columns, found)
    return OK
