"""The command line of explaining."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

from typing import Annotated

import typer

from flows.cli.command import Json, do

app = typer.Typer()

EVENTS = 10


@app.command()
def explain(
    sku: Annotated[str | None, typer.Argument(metavar="SKU")] = None,
    *,
    channel: Annotated[
        str | None, typer.Option(help="Which level. Default: all of the SKU, in short.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=10_000, help="So many of the last events that touched it.")
    ] = EVENTS,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every level of the store; tell those that do not add up."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell why a channel may show what it shows: locations, rules, promises; exit 1 if they do not add up.

    Examples: `penstock explain A1 --channel shopee`, `penstock explain A1`, `penstock explain --all`
    """
    from flows.cli.explain import explain as work

    do("explain", lambda: work(sku, channel, limit, every=every, as_json=as_json))
