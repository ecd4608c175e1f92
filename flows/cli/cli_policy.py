"""Commands for the policy in force."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.command import Json, do

app = typer.Typer(help="The policy in force: apply, history, show.")


@app.command()
def apply(
    file: Annotated[
        Path | None, typer.Argument(help="Default: PENSTOCK_CONFIG, or penstock.yaml.")
    ] = None,
    *,
    by: Annotated[
        str, typer.Option("--by", metavar="WHO", help="Who decides; kept in the history.")
    ] = "",
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="Why; kept in the history.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which levels would move, and change nothing.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="With --dry-run: every level that would move, as CSV.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the policy of a file in force for all running processes; a file with problems changes nothing.

    Examples: `penstock policy apply --by ann --why "more for shops"`, `penstock policy apply new.yaml --dry-run`
    """
    from flows.cli import policy as work
    from state.store.policy_history import By

    if as_csv and not dry_run:
        raise typer.BadParameter("expected --dry-run beside --csv")
    if dry_run:
        do("policy apply", lambda: work.dry_run(file, as_json=as_json, as_csv=as_csv))
    if not (by and why):
        raise typer.BadParameter("expected --by WHO and --why TEXT")
    do("policy apply", lambda: work.apply(file, By(by, why), as_json=as_json))


@app.command()
def history(*, as_json: Json = False) -> None:
    """List who brought which policy in force, when and why, the newest first.

    Example: `penstock policy history`
    """
    from flows.cli import policy as work

    do("policy history", lambda: work.history(as_json=as_json))


@app.command()
def show(
    *,
    revision: Annotated[
        int | None, typer.Option(help="One of `history`. Default: the one in force.")
    ] = None,
) -> None:
    """Print the policy in force, or that of an earlier revision, as JSON.

    Examples: `penstock policy show`, `penstock policy show --revision 1796054400000`
    """
    from flows.cli import policy as work

    do("policy show", lambda: work.show(revision))
