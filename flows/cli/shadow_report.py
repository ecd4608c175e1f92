"""`penstock shadow-report`: where what today's system shows differs from the pool."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from flows.cli import output, progress
from flows.cli.command import Json, command
from flows.runtime import exit_codes, policy_follower, session
from flows.services import bad_file
from flows.services.queries import shadow_report as reporting

app = typer.Typer(add_completion=False)

SHOWN_ROWS: Final = 20
PROBLEMS_SHOWN: Final = 20


@app.command()
@command("shadow-report")
def shadow_report(
    against: Annotated[
        Path, typer.Option("--against", metavar="FILE", help="CSV: channel,sku,quantity.")
    ],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every difference as CSV.")] = False,
    as_json: Json = False,
) -> int:
    """Compare what today's system shows with the pool; exit 1 if they differ.

    Example: `penstock shadow-report --against today.csv`
    """
    with session.reached() as run:
        policy_follower.follow_policy(run)
        try:
            shown = reporting.read_file(run, against)
        except OSError as error:
            output.unreadable("shadow-report", against, error)
            return exit_codes.USAGE
        except bad_file.BadFile as bad:
            output.problems("shadow-report", bad.problems, PROBLEMS_SHOWN)
            return exit_codes.USAGE
        skus = reporting.by_sku(shown, run.store.skus())
        with progress.bar("shadow-report", len(skus)) as advance:
            report, rows = reporting.compare(run, shown, skus, advance)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(reporting.LevelDifference._fields)
        writer.writerows(rows)
    elif output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row._asdict())
        output.json_line({"totals": [asdict(total) for total in report.totals.values()]})
    else:
        _tables(report, rows)
    return exit_codes.FINDING if rows else exit_codes.OK


def _tables(report: reporting.Report, rows: list[reporting.LevelDifference]) -> None:
    totals = [tuple(asdict(total).values()) for total in report.totals.values()]
    columns = (
        "channel", "compared", "differ", "oversold SKUs", "units", "hidden SKUs", "units", "not in file",
    )  # fmt: skip
    output.table("by channel", columns, totals)
    if rows:
        output.table(
            f"the worst of {len(rows)}", reporting.LevelDifference._fields, rows[:SHOWN_ROWS]
        )
