"""The command line of what people do by hand: adjust, audit, reconcile, export, codes."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.command import Json, do
from state.events.adjustment_reasons import AdjustReason

app = typer.Typer()
codes_app = typer.Typer(help="Other systems' codes for our SKUs.")
app.add_typer(codes_app, name="codes")

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")]
By = Annotated[str, typer.Option("--by", metavar="WHO", help="Who decided it.")]
Timeout = Annotated[float, typer.Option(min=0.0, help="Seconds to wait until it is applied.")]


class What(StrEnum):
    """What can be exported."""

    positions = "positions"
    levels = "levels"
    sales = "sales"
    oversold = "oversold"


@app.command(context_settings={"ignore_unknown_options": True})
def adjust(
    sku: Sku,
    location: Annotated[str, typer.Argument(help="Where.")],
    delta: Annotated[int, typer.Argument(help="The change: any integer but 0.")],
    *,
    reason: Annotated[AdjustReason, typer.Option(help="Why, one of a closed list.")],
    by: By,
    note: Annotated[str, typer.Option(help="Anything more, up to 1,000 characters.")] = "",
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Correct the books by an event in the log; tell the figures before and after.

    Example: `penstock adjust A1 s001 -3 --reason damaged --by y.lin --note "pallet fell"`
    """
    from flows.cli.adjust import adjust as work

    do("adjust", lambda: work(sku, location, delta, reason, by, note, timeout, as_json=as_json))


@app.command()
def audit(
    sku: Sku,
    *,
    limit: Annotated[int, typer.Option(min=0, help="How many events to list, the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Hold the figures of a SKU against each other and against the log; exit 1 on a finding.

    Example: `penstock audit A1 --limit 50`
    """
    from flows.cli.audit import audit_sku

    do("audit", lambda: audit_sku(sku, limit, as_json=as_json))


@app.command()
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="location,sku,on_hand.")],
    *,
    source: Annotated[str, typer.Option(help="The CloudEvents source that its codes belong to.")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="When it lay there; now if absent."),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Adjust what differs.")] = False,
    reason: Annotated[AdjustReason | None, typer.Option(help="With --apply: why.")] = None,
    by: By = "",
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Tell where a list of another system and the pool differ; exit 1 if they do and nothing is mended.

    Example: `penstock reconcile wms.csv --source wms --as-of 2026-12-01T06:00:00+08:00`
    """
    from flows.cli.reconcile import reconcile as work

    do(
        "reconcile",
        lambda: work(file, source, as_of, reason, by, timeout, apply=apply, as_json=as_json),
    )


@app.command()
def export(
    what: Annotated[What, typer.Argument(help="Which rows.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV with a header.")] = False,
    as_json: Json = False,
) -> None:
    """Write out positions, levels, what is oversold, or the sales that the log still holds.

    Examples: `penstock export positions --csv > positions.csv`, `penstock export oversold`
    """
    from flows.cli.export import export as work

    do("export", lambda: work(what.value, as_csv=as_csv, as_json=as_json))


@codes_app.command("add")
def codes_add(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="system,code,sku,units.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be new.")] = False,
    as_json: Json = False,
) -> None:
    """Add codes, and change what they stand for from now on; running processes follow by themselves.

    Example: `penstock codes add codes.csv --dry-run`
    """
    from flows.cli.codes import add

    do("codes add", lambda: add(file, dry_run=dry_run, as_json=as_json))


@codes_app.command("list")
def codes_list(*, as_json: Json = False) -> None:
    """List every code, with what it stood for and since when.

    Example: `penstock codes list`
    """
    from flows.cli.codes import show

    do("codes list", lambda: show(None, as_json=as_json))


@codes_app.command("show")
def codes_show(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A code, or a SKU.")],
    *,
    as_json: Json = False,
) -> None:
    """Show what a code stands for, or which codes stand for a SKU; exit 1 if nothing is known.

    Example: `penstock codes show 4711`
    """
    from flows.cli.codes import show

    do("codes show", lambda: show(code, as_json=as_json))
