"""`penstock explain`: why a channel may show what it shows, as a bill with a sum at its end."""

from collections.abc import Sequence
from typing import Any, Final

from flows.cli import output
from flows.cli.explain_text import (
    emitted_json,
    event_json,
    hold_json,
    tell_bill,
    tell_events,
    tell_promises,
)
from flows.cli.progress import bar
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING, OK, USAGE
from flows.runtime.session import reached
from flows.services.holds.service import Holding
from flows.services.queries.explain import Explaining
from flows.services.queries.sku_history import touched
from state.protocol.figures import SkuState

SKUS_AT_ONCE: Final = 500
FINDINGS_SHOWN: Final = 50


def explain(sku: str | None, channel: str | None, limit: int, *, every: bool, as_json: bool) -> int:
    """Explain one level, all of a SKU in short, or check `every` level of the store; exit 1 on a finding."""
    if (sku is None) != every or (every and channel is not None):
        output.fault("explain", "expected a SKU, perhaps with --channel, or --all alone")
        return USAGE
    with reached() as run:
        run.follow_policy()
        if sku is None:
            return _check(run, as_json=as_json)
        state = run.store.read(sku)
        if state is None:
            output.fault("explain", f"sku: expected one that the store knows, got {sku!r}")
            return FINDING
        known = run.policy.compiled.channels
        if channel is None:
            return _short(run, state, as_json=as_json)
        if channel not in known:
            names = ", ".join(known) or "no channel at all"
            output.fault("explain", f"--channel: expected one of {names}, got {channel!r}")
            return USAGE
        return _explain(run, state, channel, limit, as_json=as_json)


def _check(run: Runtime, *, as_json: bool) -> int:
    """Check every level; what does not add up is looked at once more, under the policy of then."""
    explaining, skus = Explaining(run), sorted(set(run.store.skus()))
    pairs = 0
    doubted: dict[str, None] = {}
    with bar("explain", len(skus)) as told:
        for at in range(0, len(skus), SKUS_AT_ONCE):
            some = skus[at : at + SKUS_AT_ONCE]
            checked = explaining.check_all(some)
            pairs += checked.pairs
            doubted |= dict.fromkeys(each.sku for each in checked.findings)
            told(len(some))
    run.follow_policy()
    found = Explaining(run).check_all([*doubted]).findings
    explained = pairs - len(found)
    if output.wants_json(asked=as_json):
        for each in found:
            output.json_line(each._asdict())
        output.json_line({"pairs": pairs, "explained": explained})
    else:
        for each in found[:FINDINGS_SHOWN]:
            output.line(f"{each.sku} on {each.channel}: {'; '.join(each.findings)}")
        if len(found) > FINDINGS_SHOWN:
            output.line(f"and {len(found) - FINDINGS_SHOWN} more; all of them with --json")
        output.line(f"explained={explained}/{pairs}")
    return OK if explained == pairs else FINDING


def _short(run: Runtime, state: SkuState, *, as_json: bool) -> int:
    explaining = Explaining(run)
    rows: list[dict[str, Any]] = []
    findings: list[str] = []
    for channel, rules in run.policy.compiled.channels.items():
        found, told = explaining.explain(state, channel)
        findings += [f"{channel}: {text}" for text in found.findings]
        effects = {step.rule: step.effect for step in found.steps}
        row = {"channel": channel, "mode": rules.mode, "steps": effects, "level": found.level}
        rows.append({**row, "emitted": told.level, "apart": told.apart})
    if output.wants_json(asked=as_json):
        output.json_line({"sku": state.sku, "channels": rows, "findings": findings})
    else:
        columns = ("channel", "mode", "why", "level", "emitted")
        cells = [
            (r["channel"], r["mode"], _sum(r["steps"]), r["level"], r["emitted"]) for r in rows
        ]
        output.table(f"{state.sku}: what its channels may show", columns, cells)
        _tell_findings(findings)
    return FINDING if findings else OK


def _sum(effects: dict[str, int]) -> str:
    first, *rest = effects.items()
    return " ".join([f"{first[0]} {first[1]}", *(f"{e:+} {rule}" for rule, e in rest if e)])


def _explain(run: Runtime, state: SkuState, channel: str, limit: int, *, as_json: bool) -> int:
    explaining = Explaining(run)
    found, told = explaining.explain(state, channel)
    holds = Holding(run).holds_of(state.sku) if state.held or _reserved(state) else []
    touches = touched(run, state.sku, limit) if limit else []
    orders = explaining.orders_of(state.sku, touches) if state.unrouted else {}
    update = explaining.last_update(state.sku)
    if output.wants_json(asked=as_json):
        mode = run.policy.compiled.channels[channel].mode
        shown = {"sku": state.sku, "channel": channel, "mode": mode, "level": found.level}
        output.json_line(
            {
                **shown,
                "locations": [each._asdict() for each in found.locations],
                "steps": [each._asdict() for each in found.steps],
                "held_by": [hold_json(each, state.sku) for each in holds],
                "unrouted": state.unrouted,
                "unrouted_by": orders,
                "emitted": emitted_json(told, update, channel),
                "events": [event_json(each, state) for each in touches],
                "findings": found.findings,
            }
        )
    else:
        tell_bill(found, told, update)
        tell_promises(state, holds, orders)
        tell_events(touches, state)
        _tell_findings(found.findings)
    return FINDING if found.findings else OK


def _reserved(state: SkuState) -> bool:
    return any(position.reserved for position in state.positions)


def _tell_findings(findings: Sequence[str]) -> None:
    for text in findings:
        output.fault("explain", text)
