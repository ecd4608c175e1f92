"""`penstock import`: positions out of a file, as counts in the log; all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from flows.cli import output, progress
from flows.cli.command import By, Json, command
from flows.runtime import context, exit_codes, policy_follower, session
from flows.services import bad_file
from flows.services.corrections import import_counts, import_file

app = typer.Typer(add_completion=False)

PROBLEMS_SHOWN: Final = 20


@app.command("import")
@command("import")
def import_positions(
    file: Annotated[Path, typer.Argument(help="CSV: location,sku,on_hand,unavailable.")],
    *,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="When it was counted. Default: now."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, and send nothing.")] = False,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="What the file does not name is not at its locations."),
    ] = False,
    empty: Annotated[
        list[str] | None,
        typer.Option(metavar="LOCATION", help="There is nothing at it; may come again."),
    ] = None,
    by: By = "",
    timeout: Annotated[
        float,
        typer.Option(min=0.0, help="With --complete: seconds to wait until it is applied."),
    ] = 60.0,
    as_json: Json = False,
) -> int:
    """Load positions, as counts in the log: all of a file, or nothing if a line is wrong.

    Example: `penstock import positions.csv --as-of 2026-11-23T06:00:00+08:00 --complete`
    """
    with session.reached_or_made() as run:
        policy_follower.follow_policy(run)
        try:
            as_of_ms = import_file.as_of_ms(run, as_of)
        except ValueError as error:
            output.fault("import", f"--as-of: {error}")
            return exit_codes.USAGE
        try:
            with progress.bar("import: reading", file.stat().st_size) as advance:
                positions = import_file.read_file(run, file, empty or [], advance)
        except OSError as error:
            output.unreadable("import", file, error)
            return exit_codes.USAGE
        except bad_file.BadFile as bad:
            output.problems("import", bad.problems, PROBLEMS_SHOWN)
            output.fault("import", "nothing was sent")
            return exit_codes.USAGE
        whole = [*(empty or []), *(positions if complete else ())]
        with progress.bar("import: looking at the store") as advance:
            plan = import_counts.plan(positions, as_of_ms, run.store, whole, advance)
        appended = _appended(run, plan, dry_run=dry_run)
        output.record(_summary(plan, appended, dry_run=dry_run), as_json=as_json)
        code = _code(appended)
        if whole and code == exit_codes.OK and not dry_run:
            code = _declare(run, whole, appended, timeout, by, file.name)
    events, failed = appended.events, len(appended.failures)
    output.line(f"import: positions={plan.positions} events={events} failed={failed}")
    return code


def _appended(
    run: context.Runtime, plan: import_counts.Plan, *, dry_run: bool
) -> import_file.AppendedCounts:
    if dry_run:
        return import_file.AppendedCounts(events=sum(1 for _ in plan.events()))
    with progress.bar("import: sending", plan.positions + plan.set_aside) as advance:
        appended = import_file.append(run, plan, advance)
    for reason in appended.failures:
        output.fault("import", reason)
    return appended


def _code(appended: import_file.AppendedCounts) -> int:
    if appended.is_away:
        return exit_codes.AWAY_EXIT
    return exit_codes.FINDING if appended.failures else exit_codes.OK


def _declare(
    run: context.Runtime,
    whole: list[str],
    appended: import_file.AppendedCounts,
    timeout_s: float,
    by: str,
    why: str,
) -> int:
    if import_file.declare_complete(run, whole, appended, timeout_s, by=by, why=why):
        return exit_codes.OK
    output.fault(
        "import",
        f"sent, but not applied within {timeout_s:g} s: no location was declared complete; "
        "see `penstock run`, then import the file with the same --as-of again: it counts once",
    )
    return exit_codes.FINDING


def _summary(
    plan: import_counts.Plan, appended: import_file.AppendedCounts, *, dry_run: bool
) -> dict[str, Any]:
    return {
        "positions": plan.positions,
        "locations": len(plan.counts),
        "emptied": plan.emptied,
        "unavailable_changed": plan.set_aside,
        "units": sum(units for lines in plan.counts.values() for _, units, _ in lines),
        "events": appended.events,
        "failed": len(appended.failures),
        "dry_run": dry_run,
    }
