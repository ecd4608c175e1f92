"""`penstock reconcile`: a list of another system against the pool; the differences, and correcting them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import output
from flows.cli.command import By, Json, Timeout, command
from flows.runtime import context, exit_codes, policy_follower, session, signals
from flows.services import bad_file
from flows.services.corrections import reconcile as reconciling
from state.events.adjustment_reasons import AdjustReason
from state.events.timestamps import ms_rfc3339, rfc3339_ms

app = typer.Typer(add_completion=False)

COLUMNS = ("location", "sku", "theirs", "ours", "delta", "counted_since")


@app.command()
@command("reconcile")
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="location,sku,on_hand.")],
    *,
    source: Annotated[str, typer.Option(help="The CloudEvents source that its codes belong to.")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="When it was so; now if absent."),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Adjust what differs.")] = False,
    reason: Annotated[AdjustReason | None, typer.Option(help="With --apply: why.")] = None,
    by: By = "",
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> int:
    """Show where a list of another system and the pool differ; exit 1 if they do and nothing is corrected.

    Example: `penstock reconcile wms.csv --source wms --as-of 2026-12-01T06:00:00+08:00`
    """
    signals.install()
    if apply and not (reason and by):
        output.fault("reconcile", "expected --reason and --by with --apply")
        return exit_codes.USAGE
    with session.reached_or_made() as run:
        policy_follower.follow_policy(run)
        try:
            as_of_ms = rfc3339_ms(as_of) if as_of else run.business_now_ms()
        except ValueError:
            expected = "expected RFC 3339 time with an offset"
            output.fault("reconcile", f"--as-of: {expected}, got {as_of!r}")
            return exit_codes.USAGE
        try:
            compared, differences = reconciling.compare(run, file, source, as_of_ms)
        except (bad_file.BadFile, OSError, UnicodeDecodeError) as error:
            output.fault("reconcile", str(error))
            return exit_codes.USAGE
        _print(differences, as_json=as_json)
        open_ = [difference for difference in differences if not difference.counted_since]
        since = len(differences) - len(open_)
        summary = f"compared={compared} differ={len(differences)} counted_since={since}"
        if not (apply and open_ and reason):
            output.fault("reconcile", f"{summary} as_of={ms_rfc3339(as_of_ms)} applied=0")
            return exit_codes.FINDING if differences else exit_codes.OK
        why = reconciling.Reason(reason, by, source)
        return _correct(run, open_, as_of_ms, why, timeout, summary)


def _correct(
    run: context.Runtime,
    differences: list[reconciling.Difference],
    as_of_ms: int,
    reason: reconciling.Reason,
    timeout_s: float,
    summary: str,
) -> int:
    corrected = reconciling.correct(run, differences, as_of_ms, reason, timeout_s)
    summary = f"{summary} events={len(corrected.sent)}"
    if corrected.refusal:
        output.fault("reconcile", f"{summary}: {corrected.refusal}")
        return exit_codes.USAGE
    if corrected.rejections is None:
        late = f"in the log, not applied within {timeout_s:g} s"
        output.fault("reconcile", f"{summary}: {late}")
        return exit_codes.AWAY_EXIT
    for rejection in corrected.rejections.values():
        output.fault("reconcile", f"rejected: {rejection}")
    applied = len(corrected.sent) - len(corrected.rejections)
    output.fault("reconcile", f"{summary} applied={applied}")
    return exit_codes.FINDING if corrected.rejections else exit_codes.OK


def _print(differences: list[reconciling.Difference], *, as_json: bool) -> None:
    rows = [
        (each.location, each.sku, each.theirs, each.ours, each.delta, each.counted_since)
        for each in differences
    ]
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(dict(zip(COLUMNS, row, strict=True)))
    elif rows:
        output.table("differences", COLUMNS, rows)
