"""`penstock policy`: activate a policy, preview what it would change, list the activations with author and reason."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from connectors.config import policy_file, settings
from flows.cli import output, progress
from flows.cli.command import By, Json, Why, command
from flows.runtime import exit_codes, session
from flows.services.policy import impact_report, preview, revisions
from state.events.timestamps import ms_rfc3339
from state.policy.document import to_json

app = typer.Typer(add_completion=False, help="The active policy: apply, history, show.")

NO_STORE = "expected a store, got none: see `penstock init`"


@app.command()
@command("policy apply")
def apply(
    file: Annotated[
        Path | None, typer.Argument(help="Default: PENSTOCK_CONFIG, or penstock.yaml.")
    ] = None,
    *,
    by: By = "",
    why: Why = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which levels would move, and change nothing.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="With --dry-run: every level that would move, as CSV.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Activate the policy of a file for all running processes; a file with problems changes nothing.

    Examples: `penstock policy apply --by ann --why "more for shops"`, `penstock policy apply new.yaml --dry-run`
    """
    if as_csv and not dry_run:
        raise typer.BadParameter("expected --dry-run beside --csv")
    if not dry_run and not (by and why):
        raise typer.BadParameter("expected --by WHO and --why TEXT")
    with session.reached() as run:
        if not revisions.store_exists(run):
            output.fault("policy", NO_STORE)
            return exit_codes.USAGE
        path = file or settings.load().config
        if not dry_run:
            return _print_activation(revisions.activate_file(run, path, by, why), as_json=as_json)
        policy = policy_file.load(path)
        bar = progress.bar("deriving levels", run.store.sku_count())
        with _moves(as_csv=as_csv) as moves, bar as advance:
            found = preview.preview(run, policy, advance, moves)
    if not as_csv:
        _print_preview(found, as_json=as_json)
    return exit_codes.OK


def _print_activation(activation: revisions.Activation, *, as_json: bool) -> int:
    if output.wants_json(asked=as_json):
        output.json_line(activation._asdict())
    elif not activation.changed:
        output.line(f"revision {activation.revision} says the same already")
    else:
        also = "; class sums are rebuilt, SKU by SKU" if activation.rebuilds_sums else ""
        output.line(f"revision {activation.revision} is in force{also}")
    return exit_codes.OK


@contextmanager
def _moves(*, as_csv: bool) -> Iterator[Callable[[impact_report.Move], None]]:
    """Return what takes each level that would change: a row of CSV, or nothing."""
    if not as_csv:
        yield lambda _move: None
        return
    rows = csv.writer(sys.stdout)
    rows.writerow(("sku", "channel", "before", "after"))
    yield rows.writerow


def _print_preview(found: preview.Preview, *, as_json: bool) -> None:
    total = found.comparison
    channels = {name: asdict(total.channels[name]) for name in sorted(total.channels)}
    if output.wants_json(asked=as_json):
        output.json_line(
            {
                "skus": total.skus,
                "moved_skus": total.moved_skus,
                "rebuilds_sums": found.rebuilds_sums,
                "channels": channels,
                "top": [move._asdict() for move in total.top],
            }
        )
        return
    columns = ("fall", "rise", "to_zero", "units_before", "units_after")
    rows = [[name, *(counts[column] for column in columns)] for name, counts in channels.items()]
    output.table("levels that would move", ("channel", *columns), rows)
    output.table("the largest", ("sku", "channel", "before", "after"), total.top)
    also = "; class sums would be rebuilt" if found.rebuilds_sums else ""
    moved = f"{total.moved_skus} of {total.skus} SKUs would move"
    output.line(f"{moved}{also}; nothing was changed")


@app.command()
@command("policy history")
def history(*, as_json: Json = False) -> int:
    """List who activated which policy, when and why, the newest first.

    Example: `penstock policy history`
    """
    with session.reached() as run:
        rows: list[dict[str, Any]] = [
            {
                "revision": entry.revision,
                "at": ms_rfc3339(entry.at_ms),
                "by": entry.by,
                "why": entry.why,
                "sums_revision": entry.sums_revision,
                "digest": entry.digest,
            }
            for entry in revisions.history(run)
        ]
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row)
    else:
        columns = tuple(rows[0]) if rows else ("revision",)
        output.table("policy", columns, [[*row.values()] for row in rows])
    return exit_codes.OK


@app.command()
@command("policy show")
def show(
    *,
    revision: Annotated[
        int | None, typer.Option(help="One of `history`. Default: the active one.")
    ] = None,
) -> int:
    """Print the active policy, or that of an earlier revision, as JSON.

    Examples: `penstock policy show`, `penstock policy show --revision 1796054400000`
    """
    with session.reached() as run:
        try:
            policy = revisions.document(run, revision)
        except revisions.NoSuchRevision as error:
            output.fault("policy show", f"revision: {error}")
            return exit_codes.FINDING
    document = orjson.loads(to_json(policy))
    if output.wants_json(asked=False):
        output.json_line(document)
    else:
        output.line(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    return exit_codes.OK
