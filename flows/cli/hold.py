"""`penstock hold`: what a checkout or a till does with holds, by hand."""

import re
from collections.abc import Iterable
from typing import Any

from flows.cli import output
from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK, USAGE
from flows.runtime.session import reached
from flows.services.holds.service import Holding
from flows.services.holds.values import Confirmed, Made, NotDone, Wanted
from state.events import order_key
from state.events.timestamps import ms_rfc3339
from state.protocol.holds import HeldLine, HoldState

_EXITS = {"usage": USAGE, "busy": AWAY_EXIT, "unknown": AWAY_EXIT}


def create(wanted: Wanted, *, as_json: bool) -> int:
    """Make a hold and tell until when it stands."""
    with reached() as run:
        return _tell(Holding(run).create(wanted), as_json=as_json)


def extend(hold: str, ttl_s: int, *, as_json: bool) -> int:
    """Let a hold live longer."""
    with reached() as run:
        return _tell(Holding(run).extend(hold, ttl_s), as_json=as_json)


def confirm(hold: str, order: str, channel: str, region: str, *, as_json: bool) -> int:
    """Turn a hold into an order."""
    with reached() as run:
        found = Holding(run).confirm(hold, order, channel, region)
        if not isinstance(found, Confirmed):
            return _tell(found, as_json=as_json)
        _show(
            {
                "hold": hold,
                "state": "placed before" if found.before else "confirmed",
                "order": order,
                "lines": _rows(found.lines),
            },
            as_json=as_json,
        )
        return OK


def release(hold: str, *, as_json: bool) -> int:
    """Give the units of a hold back."""
    with reached() as run:
        found = Holding(run).release(hold)
        if isinstance(found, NotDone):
            return _tell(found, as_json=as_json)
        _show({"hold": hold, "state": "released"}, as_json=as_json)
        return OK


def show(hold: str | None, sku: str, *, as_json: bool) -> int:
    """Show a hold, or all that keep units of a SKU."""
    if (hold is None) != bool(sku):
        output.fault("hold show", "expected a hold or --sku")
        return USAGE
    with reached() as run:
        holding = Holding(run)
        if hold is not None:
            parts = holding.show(hold)
            if not parts:
                output.fault("hold show", f"hold: expected one that lives, got {hold!r}")
                return FINDING
            _show(_whole(parts), as_json=as_json)
            return OK
        for state in holding.holds_of(sku):
            mine = [line for line in state.lines if line.sku == sku]
            _show(_whole([state._replace(lines=tuple(mine))]), as_json=as_json)
        return OK


def lines_of(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Read `SKU=3`, or `SKU` for one unit.

    Raises:
        ValueError: the quantity is no whole number.
    """
    return tuple(map(_line, texts))


def _line(text: str) -> tuple[str, int]:
    sku, mark, quantity = text.rpartition("=")
    if not mark:
        return text, 1
    if not re.fullmatch(r"[0-9]{1,10}", quantity):
        raise ValueError(f"expected SKU or SKU=QUANTITY, got {text!r}")
    return sku, int(quantity)


def _tell(found: Made | NotDone, *, as_json: bool) -> int:
    if isinstance(found, Made):
        _show(
            {
                "hold": found.hold,
                "state": "held",
                "expires_at": ms_rfc3339(found.expiry_ms),
                "lines": _rows(found.lines),
            },
            as_json=as_json,
        )
        return OK
    if output.wants_json(asked=as_json):
        short = [{"sku": s, "wanted": asked, "available": units} for s, asked, units in found.short]
        told: dict[str, Any] = {"hold": found.hold, "state": found.reason, "reason": found.text}
        output.json_line(told | ({"short": short} if short else {}))
    output.fault("hold", found.text)
    return _EXITS.get(found.reason, FINDING)


def _whole(parts: list[HoldState]) -> dict[str, Any]:
    first = parts[0]
    lines = sorted(line for part in parts for line in part.lines)
    told: dict[str, Any] = {
        "hold": first.hold,
        "state": "pinned" if first.order else "held",
        "by": first.by,
        "expires_at": ms_rfc3339(min(part.expiry_ms for part in parts)),
    }
    if first.order:
        told["order"] = order_key.parts(first.order)[-1]
    return told | {"lines": _rows(lines)}


def _rows(lines: Iterable[HeldLine]) -> list[dict[str, Any]]:
    return [
        {"sku": line.sku, "quantity": line.units}
        | ({"location": line.location} if line.location else {})
        for line in lines
    ]


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if output.wants_json(asked=as_json):
        output.json_line(told)
        return
    output.fields({name: value for name, value in told.items() if name != "lines"})
    rows = [(line["sku"], line.get("location"), line["quantity"]) for line in told.get("lines", ())]
    if rows:
        output.table("lines", ("sku", "location", "quantity"), rows)
