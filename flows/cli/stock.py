"""`penstock stock`: what the store knows of a SKU, of many, or of all."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import context, exit_codes, session
from flows.services.queries import stock_view

app = typer.Typer(add_completion=False)


@app.command()
@command("stock")
def stock(
    sku: Annotated[
        str | None, typer.Argument(metavar="SKU|-", help="A SKU; - reads them from stdin.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every SKU, one line of JSON each.")] = False,
    as_json: Json = False,
) -> int:
    """Show positions, levels and ad states of a SKU; exit 1 if it is unknown.

    Examples: `penstock stock A1`, `penstock stock A1 --json`, `penstock stock --all`
    """
    if (sku is None) != every:
        output.fault("stock", "expected a SKU, `-` or --all")
        return exit_codes.USAGE
    with session.reached() as run:
        if every:
            return _print_many(run, sorted(set(run.store.skus())))
        if sku == "-":
            return _print_many(run, (text for text in map(_sku_of, sys.stdin.buffer) if text))
        return _print_one(run, sku or "", as_json=as_json)


def _print_one(run: context.Runtime, sku: str, *, as_json: bool) -> int:
    ((_, view),) = stock_view.current_views(run, [sku])
    if view is None:
        return _unknown(sku)
    if output.wants_json(asked=as_json):
        output.json_line(view)
    else:
        _tables(view)
    return exit_codes.OK


def _print_many(run: context.Runtime, skus: Iterable[str]) -> int:
    code = exit_codes.OK
    for sku, view in stock_view.current_views(run, skus):
        if view is None:
            code = _unknown(sku)
        else:
            output.json_line(view)
    return code


def _sku_of(line: bytes) -> str:
    return line.decode(errors="surrogateescape").strip("\r\n")


def _unknown(sku: str) -> int:
    output.fault("stock", f"sku: expected one that the store knows, got {sku!r}")
    return exit_codes.FINDING


def _tables(view: dict[str, Any]) -> None:
    names = ("sku", "version", "available", "unrouted", "held")
    output.fields({name: view[name] for name in names})
    columns = ("location", "on_hand", "reserved", "unavailable", "incoming", "atp", "counted_at")
    rows = [[position[column] for column in columns] for position in view["positions"]]
    output.table("positions", columns, rows)
    output.table("levels", ("channel", "level"), view["levels"].items())
    ads = [(ad["rule"], ad["state"], ad["since"]) for ad in view["ads"]]
    output.table("ads", ("rule", "state", "since"), ads)
