"""How a SKU is shown: the JSON of `penstock stock`."""

from typing import Any

import orjson

from flows.runtime.active_policy import PolicyInForce
from state.events.timestamps import ms_rfc3339
from state.protocol.figures import SkuState


def view(state: SkuState, policy: PolicyInForce) -> dict[str, Any]:
    """Return a SKU as the outside sees it. Levels and ads are those last emitted."""
    base = state.base
    if state.sums_revision != policy.sums_revision or policy.silent:
        base = sum(
            policy.locate(state.sku, p.location).base * max(0, p.atp)
            for p in state.positions
            if p.location not in policy.silent
        )
    ads = orjson.loads(state.ads) if state.ads else {}
    return {
        "sku": state.sku,
        "version": state.version,
        "available": base - state.unrouted - state.held,
        "unrouted": state.unrouted,
        "held": state.held,
        "positions": [
            {
                "location": p.location,
                "on_hand": p.on_hand,
                "reserved": p.reserved,
                "unavailable": p.unavailable,
                "incoming": p.incoming,
                "atp": p.atp,
                "counted_at": None if p.counted_at_ms is None else ms_rfc3339(p.counted_at_ms),
            }
            for p in state.positions
        ],
        "levels": orjson.loads(state.levels) if state.levels else {},
        "ads": [
            {"rule": rule, "state": kept[0], "since": ms_rfc3339(kept[1])}
            for rule, kept in sorted(ads.items())
        ],
    }
