"""What an event does to a SKU, in a few words for people."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from state.events.ops import (
    CANCEL,
    CLOSE,
    CONSUME,
    COUNT,
    INCOMING,
    MOVE,
    NETTED,
    ORDER,
    RETURN,
    SHIP,
    VOID,
    Op,
)
from state.events.timestamps import ms_rfc3339


def summary(ops: tuple[Op, ...]) -> str:
    """Return what the ops of one SKU do, as `s001: on_hand -2; order o1: 2 shipped from s001`."""
    return "; ".join(filter(None, (_TEXTS[op[0]](op) for op in ops)))


def _moved(op: Any) -> str:
    changes = (("on_hand", op[3]), ("unavailable", op[4]))
    told = ", ".join(f"{name} {change:+d}" for name, change in changes if change)
    return f"{op[2]}: {told}" if told else ""


_TEXTS: Final[Mapping[int, Callable[[Any], str]]] = {
    MOVE: _moved,
    COUNT: lambda op: f"{op[2]}: {op[4]} counted as of {ms_rfc3339(op[3])}",
    INCOMING: lambda op: f"{op[2]}: incoming {op[4]:+d} under {op[3]}",
    CLOSE: lambda op: f"{op[2]}: nothing more incoming under {op[3]}",
    ORDER: lambda op: f"order {op[2]}: {op[4]} asked for",
    CANCEL: lambda op: f"order {op[2]}: {op[4]} given up",
    VOID: lambda op: f"order {op[2]}: given up",
    SHIP: lambda op: f"order {op[2]}: {op[4]} shipped from {op[5]}",
    NETTED: lambda op: f"order {op[2]}: {op[4]} shipped from {op[5]}, whose figures are net",
    RETURN: lambda op: f"order {op[2]}: {op[3]} sellable, {op[4]} damaged back at {op[5]}",
    CONSUME: lambda op: f"hold {op[2]}: used up",
}
