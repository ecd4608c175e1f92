"""The levels of a SKU under a policy, from all that the store knows of it: what a look-up answers.

The hot path derives them in `flows/publish/steps.py` from what a claim returns.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from state.protocol.figures import SkuState
from state.rules.exclusions import closed_gates, counted_at, figures_of, without_closed
from state.rules.levels import Figures, derive


class AsOf(NamedTuple):
    """What levels depend on beside the SKU and the policy."""

    business_ms: int
    lags: Mapping[str, int]
    """How long channels take to show a level (ms), where that was measured."""


def moment(run: Runtime) -> AsOf:
    """Look up what holds now."""
    return AsOf(run.business_now_ms(), run.shared.push_lags.measured())


def levels_now(state: SkuState, policy: ActivePolicy, now: AsOf) -> dict[str, int]:
    """Return the level of each channel that is open for the SKU."""
    last: dict[str, int] = orjson.loads(state.levels) if state.levels else {}
    figures = figures_now(state, policy)
    _, levels = derive(
        policy.compiled, figures, state.sku, now.business_ms, last, state.demand, now.lags
    )
    if not policy.gates:
        return levels
    closed = closed_gates(policy.gates, counted_at(state.positions), last)
    return without_closed(levels, closed, [channel for channel, _ in policy.gates])


def figures_now(state: SkuState, policy: ActivePolicy) -> Figures:
    """Return the figures that levels are derived from, without stock at silent locations."""
    return figures_of(
        state.sku, state.positions, policy.locate, len(policy.compiled.classes),
        silent=policy.silent, unrouted=state.unrouted, held=state.held,
    )  # fmt: skip
