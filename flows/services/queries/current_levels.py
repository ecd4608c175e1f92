"""The levels of a SKU under a policy, from all that the store knows of it: what a look-up answers.

The hot path derives them in `flows/publish/steps.py` from what a claim brings.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from flows.runtime.active_policy import PolicyInForce
from flows.runtime.context import Runtime
from state.protocol.figures import SkuState
from state.rules.exclusions import without_closed
from state.rules.levels import Figures, derive
from state.store import push_lag


class Moment(NamedTuple):
    """What levels depend on beside the SKU and the policy."""

    business_ms: int
    lags: Mapping[str, int]
    """How long channels take to show a level (ms), where that was measured."""


def moment(run: Runtime) -> Moment:
    """Look up what holds now."""
    lags = push_lag.measured(run.server.client, run.keys)
    return Moment(run.business_now_ms(), lags)


def levels_now(state: SkuState, policy: PolicyInForce, now: Moment) -> dict[str, int]:
    """Return the level of each channel that is open for the SKU."""
    last: dict[str, int] = orjson.loads(state.levels) if state.levels else {}
    figures = figures_now(state, policy)
    _, levels = derive(
        policy.compiled, figures, state.sku, now.business_ms, last, state.demand, now.lags
    )
    if not policy.gates:
        return levels
    counted = {each.location for each in state.positions if each.counted_at_ms is not None}
    closed = 0
    for bit, (channel, gate) in enumerate(policy.gates):
        if channel not in last and not counted.issuperset(gate.locations):
            closed |= 1 << bit
    return without_closed(levels, closed, [channel for channel, _ in policy.gates])


def figures_now(state: SkuState, policy: PolicyInForce) -> Figures:
    """Return the figures that levels are derived from, without what lies at silent locations.

    They are added up from the positions, so that it does not matter which policy the sums kept were made under.
    """
    sums: dict[int, int] = defaultdict(int)
    base = 0
    for position in state.positions:
        if position.location not in policy.silent:
            place = policy.locate(state.sku, position.location)
            sums[place.klass] += max(0, position.atp - place.floor)
            base += place.base * max(0, position.atp)
    by_class = [sums[index] for index in range(len(policy.compiled.classes))]
    return Figures(base, state.unrouted, state.held, by_class)
