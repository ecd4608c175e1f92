"""`penstock hold`: what a checkout or a till does with holds, by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes, session
from flows.services.holds import service, values
from flows.services.holds.values import TTL_S
from state.events import order_key
from state.events.timestamps import ms_rfc3339
from state.protocol.holds import HeldLine, HoldState

app = typer.Typer(add_completion=False, help="Short reservations, before there is an order.")

Hold = Annotated[str, typer.Argument(metavar="HOLD", help="Its name, given by who creates it.")]


@app.command()
@command("hold create")
def create(
    hold: Hold,
    lines: Annotated[list[str], typer.Argument(metavar="SKU[=QUANTITY]...", help="What to hold.")],
    *,
    channel: Annotated[str, typer.Option(help="Out of what this channel may sell.")] = "",
    location: Annotated[str, typer.Option(help="At this location: a till.")] = "",
    ttl: Annotated[int, typer.Option(metavar="SECONDS", help="How long it lives.")] = TTL_S,
    partial: Annotated[bool, typer.Option("--partial", help="As much as there is.")] = False,
    as_json: Json = False,
) -> int:
    """Hold units: all of them or none. The same request has the same answer, however often it comes.

    Examples: `penstock hold create cart-17 A1=2 B7 --channel shop`, `penstock hold create t3 A1 --location s001`
    """
    try:
        wanted = values.Wanted(hold, _lines(lines), channel, location, ttl, partial)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with session.reached() as run:
        return _report(service.HoldService(run).create(wanted), as_json=as_json)


@app.command()
@command("hold extend")
def extend(
    hold: Hold,
    *,
    ttl: Annotated[int, typer.Option(metavar="SECONDS", help="From now on.")] = TTL_S,
    as_json: Json = False,
) -> int:
    """Let a hold live longer.

    Example: `penstock hold extend cart-17 --ttl 900`
    """
    with session.reached() as run:
        return _report(service.HoldService(run).extend(hold, ttl), as_json=as_json)


@app.command()
@command("hold confirm")
def confirm(
    hold: Hold,
    *,
    order: Annotated[str, typer.Option(help="Its number; the same again counts once.")],
    channel: Annotated[str, typer.Option(help="Of the order, where the hold has none.")] = "",
    region: Annotated[str, typer.Option(help="Where it goes: a region of the policy.")] = "",
    as_json: Json = False,
) -> int:
    """Turn a hold into an order, by an event in the log.

    Example: `penstock hold confirm cart-17 --order 4711`; exit 3: not known whether it was placed, ask again
    """
    with session.reached() as run:
        confirmed = service.HoldService(run).confirm(hold, order, channel, region)
    if isinstance(confirmed, values.HoldRejected):
        return _report(confirmed, as_json=as_json)
    state = "placed before" if confirmed.before else "confirmed"
    lines = _rows(confirmed.lines)
    _print({"hold": hold, "state": state, "order": order, "lines": lines}, as_json=as_json)
    return exit_codes.OK


@app.command()
@command("hold release")
def release(hold: Hold, *, as_json: Json = False) -> int:
    """Give the units of a hold back.

    Example: `penstock hold release cart-17`
    """
    with session.reached() as run:
        released = service.HoldService(run).release(hold)
    if isinstance(released, values.HoldRejected):
        return _report(released, as_json=as_json)
    _print({"hold": hold, "state": "released"}, as_json=as_json)
    return exit_codes.OK


@app.command()
@command("hold show")
def show(
    hold: Annotated[str | None, typer.Argument(metavar="HOLD", help="Its name.")] = None,
    *,
    sku: Annotated[str, typer.Option(help="All holds that keep units of this SKU.")] = "",
    as_json: Json = False,
) -> int:
    """Show what a hold keeps, or who holds a SKU.

    Examples: `penstock hold show cart-17`, `penstock hold show --sku A1`
    """
    if (hold is None) != bool(sku):
        output.fault("hold show", "expected a hold or --sku")
        return exit_codes.USAGE
    with session.reached() as run:
        holding = service.HoldService(run)
        if hold is not None:
            parts = holding.show(hold)
            if not parts:
                output.fault("hold show", f"hold: expected one that lives, got {hold!r}")
                return exit_codes.FINDING
            _print(_whole(parts), as_json=as_json)
            return exit_codes.OK
        for state in holding.holds_of(sku):
            own_lines = tuple(line for line in state.lines if line.sku == sku)
            _print(_whole([state._replace(lines=own_lines)]), as_json=as_json)
    return exit_codes.OK


def _lines(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Read `SKU=3`, or `SKU` for one unit.

    Raises:
        ValueError: the quantity is no whole number.
    """
    return tuple(map(_line, texts))


def _line(text: str) -> tuple[str, int]:
    sku, equals, quantity = text.rpartition("=")
    if not equals:
        return text, 1
    if not re.fullmatch(r"[0-9]{1,10}", quantity):
        raise ValueError(f"expected SKU or SKU=QUANTITY, got {text!r}")
    return sku, int(quantity)


def _report(answer: values.HoldCreated | values.HoldRejected, *, as_json: bool) -> int:
    if isinstance(answer, values.HoldRejected):
        return _report_refusal(answer, as_json=as_json)
    _print(
        {
            "hold": answer.hold,
            "state": "held",
            "expires_at": ms_rfc3339(answer.expiry_ms),
            "lines": _rows(answer.lines),
        },
        as_json=as_json,
    )
    return exit_codes.OK


def _report_refusal(refusal: values.HoldRejected, *, as_json: bool) -> int:
    if output.wants_json(asked=as_json):
        short = [{"sku": s, "wanted": asked, "available": n} for s, asked, n in refusal.short]
        shown = {"hold": refusal.hold, "state": refusal.reason, "reason": refusal.text}
        output.json_line({**shown, "short": short} if short else shown)
    output.fault("hold", refusal.text)
    if refusal.reason == "usage":
        return exit_codes.USAGE
    asks_again = refusal.reason in {"busy", "unknown"}
    return exit_codes.AWAY_EXIT if asks_again else exit_codes.FINDING


def _whole(parts: list[HoldState]) -> dict[str, Any]:
    first = parts[0]
    lines = sorted(line for part in parts for line in part.lines)
    shown: dict[str, Any] = {
        "hold": first.hold,
        "state": "pinned" if first.order else "held",
        "by": first.by,
        "expires_at": ms_rfc3339(min(part.expiry_ms for part in parts)),
    }
    if first.order:
        shown["order"] = order_key.parts(first.order)[-1]
    return shown | {"lines": _rows(lines)}


def _rows(lines: Iterable[HeldLine]) -> list[dict[str, Any]]:
    return [
        {"sku": line.sku, "quantity": line.units}
        | ({"location": line.location} if line.location else {})
        for line in lines
    ]


def _print(shown: dict[str, Any], *, as_json: bool) -> None:
    if output.wants_json(asked=as_json):
        output.json_line(shown)
        return
    output.fields({name: value for name, value in shown.items() if name != "lines"})
    lines = shown.get("lines", ())
    rows = [(line["sku"], line.get("location"), line["quantity"]) for line in lines]
    if rows:
        output.table("lines", ("sku", "location", "quantity"), rows)
