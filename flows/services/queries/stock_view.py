"""How a SKU is shown: the JSON of `penstock stock`."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import orjson

from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.services.queries.current_levels import figures_now, levels_now, moment
from state.events.timestamps import ms_rfc3339
from state.protocol.figures import SkuState

CHUNK: Final = 500


def current_views(run: Runtime, skus: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield each SKU with its view, None where the store does not know it.

    Its levels are those under the active policy at this moment, emitted yet or not.
    """
    rest = iter(skus)
    while chunk := list(islice(rest, CHUNK)):
        now = moment(run)
        for sku, state in zip(chunk, run.store.read_many(chunk), strict=True):
            if state is None:
                yield sku, None
            else:
                yield sku, view(state, run.policy) | {"levels": levels_now(state, run.policy, now)}


def view(state: SkuState, policy: ActivePolicy) -> dict[str, Any]:
    """Return a SKU as the outside sees it. Levels and ads are those last emitted."""
    base = state.base
    if state.sums_revision != policy.sums_revision or policy.silent:
        base = figures_now(state, policy).base
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
