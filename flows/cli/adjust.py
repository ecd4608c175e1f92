"""`penstock adjust`: somebody corrects the books of one SKU at one location, and leaves a trace."""

from typing import Any

from flows.cli import output
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK, USAGE
from flows.runtime.policy_follower import follow_policy
from flows.runtime.session import reached_or_made
from flows.services.corrections.manual_events import Refused, rejected, send, wait_until_applied
from state.events.adjustment_reasons import AdjustReason

SOURCE = "/penstock/adjust"


def adjust(
    sku: str,
    location: str,
    delta: int,
    reason: AdjustReason,
    by: str,
    note: str,
    timeout_s: float,
    *,
    as_json: bool,
) -> int:
    """Send a `wms.adjustment`, wait until it is applied, and tell the figures before and after."""
    stop.install()
    data: dict[str, Any] = {
        "location": location,
        "reason": reason.value,
        "actor": by,
        **({"note": note} if note else {}),
        "lines": [{"sku": sku, "quantity": delta}],
    }
    with reached_or_made() as run:
        follow_policy(run)
        if run.store.read(sku) is None:
            output.fault("adjust", f"sku: the store did not know {sku!r} before")
        before = on_hand(run, sku, location)
        try:
            sent = send(run, "wms.adjustment", SOURCE, run.business_now_ms(), data, location)
        except Refused as refused:
            output.fault("adjust", str(refused))
            return USAGE
        found: dict[str, Any] = {"id": sent.id, "sku": sku, "location": location, "delta": delta}
        if not wait_until_applied(run, [sent], [sku], timeout_s):
            _tell(found, as_json=as_json)
            output.fault(
                "adjust", f"in the log, not applied within {timeout_s:g} s: is it running?"
            )
            return AWAY_EXIT
        if dead := rejected(run, [sent]):
            output.fault("adjust", f"rejected: {dead[sent.id]}")
            return FINDING
        _tell({**found, "before": before, "after": on_hand(run, sku, location)}, as_json=as_json)
    return OK


def on_hand(run: Runtime, sku: str, location: str) -> int:
    """Return what the pool has of a SKU at a location."""
    state = run.store.read(sku)
    positions = state.positions if state is not None else ()
    return next((p.on_hand for p in positions if p.location == location), 0)


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if output.wants_json(asked=as_json):
        output.json_line(found)
    else:
        output.fields(found)
