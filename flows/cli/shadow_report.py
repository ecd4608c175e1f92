"""`penstock shadow-report`: where what today's system shows differs from the pool."""

import csv
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Final

from connectors.config.yaml_reader import Lint
from flows.cli import output
from flows.cli.progress import bar
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING, OK, USAGE
from flows.runtime.policy_follower import follow_policy
from flows.runtime.session import reached
from flows.services.queries.current_levels import moment
from flows.services.queries.shadow_report import (
    Report,
    Row,
    Shown,
    by_sku,
    read_shown,
    worst_first,
)

CHUNK: Final = 500
SHOWN_ROWS: Final = 20
PROBLEMS_SHOWN: Final = 20


def shadow_report(against: Path, *, as_csv: bool, as_json: bool) -> int:
    """Compare a file `channel,sku,quantity` with the pool; exit 1 if they differ anywhere."""
    with reached() as run:
        follow_policy(run)
        shown = _read(run, against)
        if shown is None:
            return USAGE
        report, rows = _compare(run, shown)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
    elif output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row._asdict())
        output.json_line({"totals": [asdict(total) for total in report.totals.values()]})
    else:
        _tables(report, rows)
    return FINDING if rows else OK


def _read(run: Runtime, against: Path) -> Shown | None:
    lint = Lint(against.name)
    try:
        with against.open(encoding="utf-8-sig", newline="") as lines:
            shown = read_shown(lines, tuple(run.policy.compiled.channels), lint)
    except OSError as error:
        text = f"{against}: expected a readable file, got {error.strerror}"
        output.fault("shadow-report", text)
        return None
    for problem in lint.problems[:PROBLEMS_SHOWN]:
        output.fault("shadow-report", str(problem))
    if len(lint.problems) > PROBLEMS_SHOWN:
        output.fault("shadow-report", f"and {len(lint.problems) - PROBLEMS_SHOWN} more problems")
    return None if lint.problems else shown


def _compare(run: Runtime, shown: Shown) -> tuple[Report, list[Row]]:
    report = Report(run.policy, shown, moment(run))
    skus = by_sku(shown, run.store.skus())
    rows: list[Row] = []
    rest = iter(skus)
    with bar("shadow-report", len(skus)) as told:
        while some := list(islice(rest, CHUNK)):
            for sku, state in zip(some, run.store.read_many(some), strict=True):
                rows.extend(report.compare(sku, state))
            told(len(some))
    return report, worst_first(rows)


def _tables(report: Report, rows: list[Row]) -> None:
    totals = [tuple(asdict(total).values()) for total in report.totals.values()]
    columns = (
        "channel", "compared", "differ", "oversold SKUs", "units", "hidden SKUs", "units", "not in file",
    )  # fmt: skip
    output.table("by channel", columns, totals)
    if rows:
        output.table(f"the worst of {len(rows)}", Row._fields, rows[:SHOWN_ROWS])
