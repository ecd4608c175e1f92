"""How an explanation is told: tables for people, objects for programs."""

from collections.abc import Sequence
from typing import Any, Final

from flows.cli import output
from flows.cli.op_text import summary
from flows.services.queries.explain import Told, Update
from flows.services.queries.sku_history import Touch
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
    "next_look": "the push lag was measured anew since; the SKU is looked at with its next refresh",
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


def tell_bill(found: Explanation, told: Told, update: Update | None) -> None:
    """Print what lies where, what each rule makes of it, and what was emitted."""
    columns = ("location", "kind", "on hand", "reserved", "unfit", "atp", "floor", "units", "")
    rows = [
        (each.location, f"{each.kind} {each.region}".strip(), *each[3:8], each.units, _remark(each))
        for each in found.locations
    ]
    output.table(f"{found.sku}: what lies where, and counts for {found.channel}", columns, rows)
    bill = [(step.rule, step.said, step.effect, step.result) for step in found.steps]
    total = ("level", "the sum", sum(step.effect for step in found.steps), found.level)
    output.table(f"what {found.channel} may show", ("rule", "", "units", "left"), [*bill, total])
    if told.level is None:
        output.line("emitted: nothing")
    else:
        since = f" (version {update.version}, caused {update.cause_time})" if update else ""
        output.line(f"emitted: {told.level}{since}")
    if told.apart:
        output.line(f"         {APART[told.apart]}")
    if told.uncounted:
        some = told.uncounted[:LOCATIONS_SHOWN]
        more = len(told.uncounted) - len(some)
        output.line(f"         waits for {', '.join(some)}" + (f" and {more} more" if more else ""))


def _remark(each: Contribution) -> str:
    said = [WHY[each.why]] if each.why else []
    if each.floor_by and not each.why:
        said.append(each.floor_by)
    if not each.counted:
        said.append("never counted")
    return ", ".join(said)


def tell_promises(state: SkuState, holds: Sequence[HoldState], orders: dict[str, int]) -> None:
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


def emitted_json(told: Told, update: Update | None, channel: str) -> dict[str, Any]:
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
        "level": told.level,
        "apart": told.apart,
        "uncounted": list(told.uncounted),
        "last_update": last,
    }


def event_json(touch: Touch, state: SkuState) -> dict[str, Any]:
    """Return one event of the log that touched a SKU."""
    return {
        "time": ms_rfc3339(touch.time_ms),
        "logged": ms_rfc3339(touch.log_ms),
        "place": _place(touch),
        "type": touch.type,
        "source": touch.source,
        "id": touch.id,
        "does": summary(touch.ops),
        "repeated": touch.is_repeated,
        "absorbed": _is_absorbed(touch, state),
    }


def _place(touch: Touch) -> str:
    return f"{touch.topic}/{touch.partition}/{touch.offset}"


def _did(touch: Touch, state: SkuState) -> str:
    if touch.is_repeated:
        return "nothing: it was sent before"
    said = summary(touch.ops)
    return f"{said}; the count saw it already" if _is_absorbed(touch, state) else said


def _is_absorbed(touch: Touch, state: SkuState) -> bool:
    """Say whether a count is newer than what the event moved, so that it changed nothing on hand."""
    counted = {each.location: each.counted_at_ms or -1 for each in state.positions}
    return any(
        op[0] == MOVE and op[3] and counted.get(op[2], -1) >= touch.time_ms for op in touch.ops
    )


def tell_events(touches: Sequence[Touch], state: SkuState) -> None:
    """Print the events of the log that touched a SKU."""
    columns = ("at", "event", "place in the log", "what it did")
    rows = [(ms_rfc3339(e.time_ms), e.type, _place(e), _did(e, state)) for e in touches]
    if rows:
        output.table("the last events", columns, rows)
