"""`penstock export`: the pool or the log as CSV, as JSON lines, or as a table."""

import csv
import sys
from enum import StrEnum
from typing import Annotated

import typer

from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes, session
from flows.services.queries import export as exporting

app = typer.Typer(add_completion=False)


class ExportKind(StrEnum):
    """What can be exported."""

    positions = "positions"
    levels = "levels"
    sales = "sales"
    oversold = "oversold"


@app.command()
@command("export")
def export(
    what: Annotated[ExportKind, typer.Argument(help="Which rows.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV with a header.")] = False,
    as_json: Json = False,
) -> int:
    """Write out positions, levels, what is oversold, or the sales that the log still holds.

    Examples: `penstock export positions --csv > positions.csv`, `penstock export oversold`
    """
    columns = exporting.COLUMNS[what.value]
    with session.reached_or_made() as run:
        rows = exporting.rows(run, what.value)
        if as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        elif output.wants_json(asked=as_json):
            for row in rows:
                output.json_line(dict(zip(columns, row, strict=True)))
        else:
            output.table(what.value, columns, rows)
    return exit_codes.OK
