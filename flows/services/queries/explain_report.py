"""Explanations as reports: one level with all that is behind it, a SKU in short, and every level of the store."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.services.holds.service import HoldService
from flows.services.queries.explain import EmittedLevel, LevelDivergence, LevelExplainer, Update
from flows.services.queries.sku_history import Touch, touched
from state.protocol.figures import SkuState
from state.protocol.holds import HoldState
from state.rules.explain import Explanation

CHUNK: Final = 500


class LevelReport(NamedTuple):
    """One level: how it is derived, what was emitted, who holds or ordered units, and the last events of the SKU."""

    state: SkuState
    explanation: Explanation
    emitted: EmittedLevel
    last_update: Update | None
    holds: Sequence[HoldState]
    orders: dict[str, int]
    """Open units by order."""
    touches: Sequence[Touch]


class ChannelRow(NamedTuple):
    """One channel of a SKU in short: what each rule adds or takes, in units, and what comes of it."""

    channel: str
    mode: str
    effects: dict[str, int]
    level: int
    emitted: int | None
    apart: str
    findings: tuple[str, ...]


class StoreReport(NamedTuple):
    """How many pairs of SKU and channel were checked, and those that do not add up."""

    pairs: int
    findings: Sequence[LevelDivergence]


def level_report(run: Runtime, state: SkuState, channel: str, limit: int) -> LevelReport:
    """Explain the level of a SKU at one channel, with at most `limit` of its last events."""
    explaining = LevelExplainer(run)
    explanation, emitted = explaining.explain(state, channel)
    is_held = state.held or any(position.reserved for position in state.positions)
    holds = HoldService(run).holds_of(state.sku) if is_held else []
    touches = touched(run, state.sku, limit) if limit else []
    orders = explaining.orders_of(state.sku, touches) if state.unrouted else {}
    last_update = explaining.last_update(state.sku)
    return LevelReport(state, explanation, emitted, last_update, holds, orders, touches)


def sku_report(run: Runtime, state: SkuState) -> list[ChannelRow]:
    """Explain the level of a SKU at every channel."""
    explaining = LevelExplainer(run)
    rows = []
    for channel, rules in run.policy.compiled.channels.items():
        found, emitted = explaining.explain(state, channel)
        effects = {step.rule: step.effect for step in found.steps}
        last = (emitted.level, emitted.apart, found.findings)
        rows.append(ChannelRow(channel, rules.mode, effects, found.level, *last))
    return rows


def store_report(run: Runtime, skus: Sequence[str], progress: Callable[[int], None]) -> StoreReport:
    """Check every level of these SKUs; those that do not add up are checked again under the policy of then.

    `progress` gets the number of SKUs checked since it was last called.
    """
    explaining = LevelExplainer(run)
    pairs = 0
    doubted: dict[str, None] = {}
    for at in range(0, len(skus), CHUNK):
        chunk = skus[at : at + CHUNK]
        checked = explaining.check_all(chunk)
        pairs += checked.pairs
        doubted |= dict.fromkeys(finding.sku for finding in checked.findings)
        progress(len(chunk))
    follow_policy(run)
    return StoreReport(pairs, LevelExplainer(run).check_all([*doubted]).findings)
