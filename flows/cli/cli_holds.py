"""The command line of holds: `penstock hold`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

from typing import Annotated

import typer

from flows.cli.command import Json, do
from flows.services.holds.values import TTL_S

app = typer.Typer(help="Short promises, before there is an order.")

Hold = Annotated[str, typer.Argument(metavar="HOLD", help="Its name, given by who makes it.")]


@app.command()
def create(
    hold: Hold,
    lines: Annotated[list[str], typer.Argument(metavar="SKU[=QUANTITY]...", help="What to hold.")],
    *,
    channel: Annotated[str, typer.Option(help="Out of what this channel may sell.")] = "",
    location: Annotated[str, typer.Option(help="At this location: a till.")] = "",
    ttl: Annotated[int, typer.Option(metavar="SECONDS", help="How long it lives.")] = TTL_S,
    partial: Annotated[bool, typer.Option("--partial", help="As much as there is.")] = False,
    as_json: Json = False,
) -> None:
    """Hold units: all of them or none. The same request has the same answer, however often it comes.

    Examples: `penstock hold create cart-17 A1=2 B7 --channel shop`, `penstock hold create t3 A1 --location s001`
    """
    from flows.cli.hold import create as work
    from flows.cli.hold import lines_of
    from flows.services.holds.values import Wanted

    try:
        wanted = Wanted(hold, lines_of(lines), channel, location, ttl, partial)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    do("hold create", lambda: work(wanted, as_json=as_json))


@app.command()
def extend(
    hold: Hold,
    *,
    ttl: Annotated[int, typer.Option(metavar="SECONDS", help="From now on.")] = TTL_S,
    as_json: Json = False,
) -> None:
    """Let a hold live longer.

    Example: `penstock hold extend cart-17 --ttl 900`
    """
    from flows.cli.hold import extend as work

    do("hold extend", lambda: work(hold, ttl, as_json=as_json))


@app.command()
def confirm(
    hold: Hold,
    *,
    order: Annotated[str, typer.Option(help="Its number; the same again counts once.")],
    channel: Annotated[str, typer.Option(help="Of the order, where the hold has none.")] = "",
    region: Annotated[str, typer.Option(help="Where it goes: a region of the policy.")] = "",
    as_json: Json = False,
) -> None:
    """Turn a hold into an order, by an event in the log.

    Example: `penstock hold confirm cart-17 --order 4711`; exit 3: not known whether it was placed, ask again
    """
    from flows.cli.hold import confirm as work

    do("hold confirm", lambda: work(hold, order, channel, region, as_json=as_json))


@app.command()
def release(hold: Hold, *, as_json: Json = False) -> None:
    """Give the units of a hold back.

    Example: `penstock hold release cart-17`
    """
    from flows.cli.hold import release as work

    do("hold release", lambda: work(hold, as_json=as_json))


@app.command()
def show(
    hold: Annotated[str | None, typer.Argument(metavar="HOLD", help="Its name.")] = None,
    *,
    sku: Annotated[str, typer.Option(help="All holds that keep units of this SKU.")] = "",
    as_json: Json = False,
) -> None:
    """Show what a hold keeps, or who holds a SKU.

    Examples: `penstock hold show cart-17`, `penstock hold show --sku A1`
    """
    from flows.cli.hold import show as work

    do("hold show", lambda: work(hold, sku, as_json=as_json))
