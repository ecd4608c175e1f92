"""Adjust: correct the books of one SKU at one location, by an event with author and reason."""

from typing import Any, Final, NamedTuple

from flows.runtime.context import Runtime
from flows.services.corrections.manual_events import rejected, send, wait_until_applied
from state.events.adjustment_reasons import AdjustReason

SOURCE: Final = "/penstock/adjust"


class AdjustmentRequest(NamedTuple):
    """A correction: `delta` units more, or less, on hand."""

    sku: str
    location: str
    delta: int
    reason: AdjustReason
    by: str
    note: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """The data of its `wms.adjustment`."""
        return {
            "location": self.location,
            "reason": self.reason.value,
            "actor": self.by,
            **({"note": self.note} if self.note else {}),
            "lines": [{"sku": self.sku, "quantity": self.delta}],
        }


class Adjusted(NamedTuple):
    """An adjustment in the log, with the units on hand before and after; `after` is None until it is applied."""

    id: str
    before: int
    after: int | None
    rejection: str = ""
    """Why it went to the dead letters; "" = it did not."""


def adjust(run: Runtime, adjustment: AdjustmentRequest, timeout_s: float) -> Adjusted:
    """Send an adjustment and wait until it is applied, for at most `timeout_s`.

    Raises:
        Refused: ingest would reject it; nothing was sent.
        LogError: the log did not confirm it.
    """
    sku, location = adjustment.sku, adjustment.location
    before = on_hand(run, sku, location)
    now_ms = run.business_now_ms()
    sent = send(run, "wms.adjustment", SOURCE, now_ms, adjustment.data, location)
    if not wait_until_applied(run, [sent], [sku], timeout_s):
        return Adjusted(sent.id, before, None)
    rejection = rejected(run, [sent]).get(sent.id, "")
    return Adjusted(sent.id, before, on_hand(run, sku, location), rejection)


def on_hand(run: Runtime, sku: str, location: str) -> int:
    """Return what the pool has of a SKU at a location."""
    state = run.store.read(sku)
    positions = state.positions if state is not None else ()
    return next((p.on_hand for p in positions if p.location == location), 0)
