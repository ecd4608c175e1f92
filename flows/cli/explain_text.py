"""How an explanation is shown: tables for people, objects for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flows.cli import op_text, output
from flows.services.queries import explain, sku_history
from state.events.ops import MOVE
from state.events.order_key import parts
from state.events.timestamps import ms_rfc3339
from state.protocol.figures import SkuState
from state.protocol.holds import HoldState
from state.rules.explain import Contribution, Explanation

HOLDS_SHOWN: Final = 20
ORDERS_SHOWN: Final = 20
LOCATIONS_SHOWN: Final = 10

APART: Final = {
    "shadow": "the channel is in the shadow",
    "not_counted": "not every location that it may sell from was counted for this SKU",
    "emitting": "the new level is being emitted",
    "due": "the new level is due",
    "next_look": "the push lag was measured again since; the SKU is looked at with its next refresh",
    "unknown": "nothing is under way",
}
WHY: Final = {
    "unlisted": "not in the policy",
    "platform": "another channel's",
    "excluded": "excluded",
    "kind": "not of its kinds",
    "region": "not of its regions",
    "silent": "silent: until it speaks",
}


def print_bill(
    explanation: Explanation, emitted: explain.EmittedLevel, update: explain.Update | None
) -> None:
    """Print the units of each location, what each rule makes of them, and what was emitted."""
    columns = ("location", "kind", "on hand", "reserved", "unfit", "atp", "floor", "units", "")
    rows = [
        (each.location, f"{each.kind} {each.region}".strip(), *each[3:8], each.units, _remark(each))
        for each in explanation.locations
    ]
    output.table(
        f"{explanation.sku}: where it is, and what counts for {explanation.channel}", columns, rows
    )
    bill = [(step.rule, step.said, step.effect, step.result) for step in explanation.steps]
    total = ("level", "the sum", sum(step.effect for step in explanation.steps), explanation.level)
    output.table(
        f"what {explanation.channel} may show", ("rule", "", "units", "left"), [*bill, total]
    )
    if emitted.level is None:
        output.line("emitted: nothing")
    else:
        since = f" (version {update.version}, caused {update.cause_time})" if update else ""
        output.line(f"emitted: {emitted.level}{since}")
    if emitted.apart:
        output.line(f"         {APART[emitted.apart]}")
    if emitted.uncounted:
        some = emitted.uncounted[:LOCATIONS_SHOWN]
        more = len(emitted.uncounted) - len(some)
        output.line(f"         waits for {', '.join(some)}" + (f" and {more} more" if more else ""))


def _remark(location: Contribution) -> str:
    remarks = [WHY[location.why]] if location.why else []
    if location.floor_by and not location.why:
        remarks.append(location.floor_by)
    if not location.counted:
        remarks.append("never counted")
    return ", ".join(remarks)


def print_promises(state: SkuState, holds: Sequence[HoldState], orders: dict[str, int]) -> None:
    """Print who holds units of a SKU, and which orders wait for them."""
    if holds:
        rows = [
            (hold["hold"], hold["by"], hold["units"], hold["until"], hold["order"])
            for hold in (hold_json(each, state.sku) for each in holds[:HOLDS_SHOWN])
        ]
        output.table("held by", ("hold", "by", "units", "until", "order"), rows)
    if state.unrouted:
        named = list(orders.items())[:ORDERS_SHOWN]
        rest = state.unrouted - sum(units for _, units in named)
        more = [("of orders further back", rest)] if rest else []
        output.table("ordered by", ("order", "units"), [*named, *more])


def hold_json(state: HoldState, sku: str) -> dict[str, Any]:
    """Return what one hold keeps of a SKU."""
    return {
        "hold": state.hold,
        "by": state.by,
        "units": sum(line.units for line in state.lines if line.sku == sku),
        "until": ms_rfc3339(state.expiry_ms),
        "order": "/".join(parts(state.order)),
    }


def emitted_json(
    emitted: explain.EmittedLevel, update: explain.Update | None, channel: str
) -> dict[str, Any]:
    """Return what was emitted last, and why it is not the level of now where it is not."""
    last = None
    if update is not None:
        last = {
            "version": update.version,
            "cause_time": update.cause_time,
            "level": update.levels.get(channel),
            "place": f"stock.updates/{update.partition}/{update.offset}",
            "at": ms_rfc3339(update.log_ms),
        }
    return {
        "level": emitted.level,
        "apart": emitted.apart,
        "uncounted": list(emitted.uncounted),
        "last_update": last,
    }


def event_json(touch: sku_history.Touch, state: SkuState) -> dict[str, Any]:
    """Return one event of the log that touched a SKU."""
    return {
        "time": ms_rfc3339(touch.time_ms),
        "logged": ms_rfc3339(touch.log_ms),
        "place": _place(touch),
        "type": touch.type,
        "source": touch.source,
        "id": touch.id,
        "does": op_text.summary(touch.ops),
        "repeated": touch.is_repeated,
        "absorbed": _is_absorbed(touch, state),
    }


def _place(touch: sku_history.Touch) -> str:
    return f"{touch.topic}/{touch.partition}/{touch.offset}"


def _did(touch: sku_history.Touch, state: SkuState) -> str:
    if touch.is_repeated:
        return "nothing: it was sent before"
    effect = op_text.summary(touch.ops)
    return f"{effect}; the count saw it already" if _is_absorbed(touch, state) else effect


def _is_absorbed(touch: sku_history.Touch, state: SkuState) -> bool:
    """Say whether a count is newer than the event and supersedes it, so that it changed nothing on hand."""
    counted = {each.location: each.counted_at_ms or -1 for each in state.positions}
    return any(
        op[0] == MOVE and op[3] and counted.get(op[2], -1) >= touch.time_ms for op in touch.ops
    )


def print_events(touches: Sequence[sku_history.Touch], state: SkuState) -> None:
    """Print the events of the log that touched a SKU."""
    columns = ("at", "event", "place in the log", "what it did")
    rows = [(ms_rfc3339(e.time_ms), e.type, _place(e), _did(e, state)) for e in touches]
    if rows:
        output.table("the last events", columns, rows)
