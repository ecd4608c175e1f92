"""The shrink guard: supplier figures that take too much away at once are quarantined until an operator accepts them.

An empty file, or one of another currency of counting, empties a shelf within a second: `shrink_guard_pct` of a
location says how much may go without asking. Only messages about such a location pay for it: a read or two.
"""

from collections.abc import Sequence
from typing import Final

from connectors.log.base import Record
from flows.ingest.read_session import ReadSession
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from state.events.messages import Event, SupplierStock
from state.events.ops import COUNT, Op
from state.protocol.figures import StoredPosition
from state.store.guard_decisions import ACCEPTED

REASON: Final = "supplier_shrink"
SKUS_MIN: Final = 10
"""With fewer SKUs that have stock, a share says little."""
PERCENT: Final = 100


def why_quarantined(
    runtime: Runtime, run: ReadSession, record: Record, event: Event, ops: Sequence[Op]
) -> str:
    """Return why a message of a guarded location is not to be applied, "" if it is; always the same answer."""
    data = event.data
    if not isinstance(data, SupplierStock) or ACCEPTED in record.headers:
        return ""
    allowed_pct = runtime.policy.compiled.guarded.get(data.location)
    if allowed_pct is None:
        return ""
    decisions = runtime.shared.decisions

    def decide() -> str:
        # The batch before this one may change the stock that these figures are compared with.
        run.wait_in_flight()
        decisions.trim(runtime.store.marks())
        counts = {op[1]: op[4] for op in ops if op[0] == COUNT}
        stored = runtime.store.positions([(sku, data.location) for sku in counts])
        return verdict(list(counts.values()), stored, data.as_of_ms, allowed_pct)

    mark = f"{run.log_ids[record.topic]}/{record.partition}"
    return retry_until_available(lambda: decisions.decide_once(mark, record.offset, decide))


def verdict(
    quantities: Sequence[int],
    stored: Sequence[StoredPosition | None],
    as_of_ms: int,
    allowed_pct: int,
) -> str:
    """Return why these figures are too little beside what is stored of the same SKUs, "" if they are not.

    Looked at are the SKUs of which there is stock there; not those counted later than `as_of_ms`.
    """
    pairs = [
        (found.position.on_hand, quantity)
        for found, quantity in zip(stored, quantities, strict=True)
        if found is not None
        and found.position.on_hand > 0
        and (found.position.counted_at_ms or 0) <= as_of_ms
    ]
    if len(pairs) < SKUS_MIN:
        return ""
    emptied = sum(quantity == 0 for _, quantity in pairs)
    before, after = (sum(column) for column in zip(*pairs, strict=True))
    if PERCENT * emptied > allowed_pct * len(pairs):
        return f"{REASON}: expected at most {allowed_pct} % of SKUs to go to 0, got {emptied} of {len(pairs)}"
    if PERCENT * (before - after) > allowed_pct * before:
        return f"{REASON}: expected at most {allowed_pct} % of units to go, got {before - after} of {before}"
    return ""
