"""`penstock stock`: what the store knows of a SKU, of many, or of all."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from flows.cli import output
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING, OK, USAGE
from flows.runtime.session import reached
from flows.services.queries.current_levels import levels_now, moment
from flows.services.queries.stock_view import view
from state.protocol.figures import SkuState

CHUNK = 500


def stock(sku: str | None, *, every: bool, as_json: bool) -> int:
    """Show one SKU; with `-` those of standard input, one a line; or `every` one of the store."""
    if (sku is None) != every:
        output.fault("stock", "expected a SKU, `-` or --all")
        return USAGE
    with reached() as run:
        if every:
            return _show_many(run, sorted(set(run.store.skus())))
        if sku == "-":
            return _show_many(run, (text for text in map(_sku_of, sys.stdin.buffer) if text))
        return _show(run, sku or "", as_json=as_json)


def _show(run: Runtime, sku: str, *, as_json: bool) -> int:
    state = run.store.read(sku)
    if state is None:
        return _unknown(sku)
    found = _shown(run, state)
    if output.wants_json(asked=as_json):
        output.json_line(found)
    else:
        _tables(found)
    return OK


def _shown(run: Runtime, state: SkuState) -> dict[str, Any]:
    """Return a SKU with the levels that it has by now, under the policy in force, emitted yet or not."""
    return {**view(state, run.policy), "levels": levels_now(state, run.policy, moment(run))}


def _show_many(run: Runtime, skus: Iterable[str]) -> int:
    code, rest = OK, iter(skus)
    while chunk := list(islice(rest, CHUNK)):
        for sku, state in zip(chunk, run.store.read_many(chunk), strict=True):
            if state is None:
                code = _unknown(sku)
            else:
                output.json_line(_shown(run, state))
    return code


def _sku_of(line: bytes) -> str:
    return line.decode(errors="surrogateescape").strip("\r\n")


def _unknown(sku: str) -> int:
    output.fault("stock", f"sku: expected one that the store knows, got {sku!r}")
    return FINDING


def _tables(found: dict[str, Any]) -> None:
    output.fields(
        {name: found[name] for name in ("sku", "version", "available", "unrouted", "held")}
    )
    columns = ("location", "on_hand", "reserved", "unavailable", "incoming", "atp", "counted_at")
    rows = [[position[column] for column in columns] for position in found["positions"]]
    output.table("positions", columns, rows)
    output.table("levels", ("channel", "level"), found["levels"].items())
    output.table("ads", ("rule", "state", "since"), _ads(found["ads"]))


def _ads(ads: list[dict[str, str]]) -> Iterator[tuple[str, str, str]]:
    return ((ad["rule"], ad["state"], ad["since"]) for ad in ads)
