"""The pool and the log as rows, one at a time: nothing is gathered, however much there is."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import orjson

from connectors.log.base import history
from connectors.messages.decode import Unread, read
from flows.runtime.context import Runtime
from flows.services.queries.stock_view import view
from state.events.messages import MARKETPLACE_ORDERS, POS_SALES, Event, OrderPlaced, PosSale
from state.events.normalise import effects
from state.events.ops import MOVE, ORDER
from state.events.rejection import Rejection
from state.events.timestamps import ms_rfc3339
from state.protocol.figures import SkuState
from state.protocol.sharding import event_hash

CHUNK = 200
REPEATS_KEPT: Final = 200_000
"""Ids of sales remembered, to leave out what was sent again."""

Row = tuple[Any, ...]

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "positions": (
        "location",
        "sku",
        "on_hand",
        "reserved",
        "unavailable",
        "incoming",
        "atp",
        "counted_at",
    ),
    "levels": ("sku", "channel", "level", "version"),
    "oversold": ("sku", "available", "unrouted", "held"),
    "sales": ("time", "type", "location", "channel", "document", "sku", "quantity", "source", "id"),
}


def rows(runtime: Runtime, what: str) -> Iterator[Row]:
    """Yield what is to be exported, in the order of `COLUMNS`."""
    if what == "sales":
        yield from _sales(runtime)
        return
    of = {"positions": _positions, "levels": _levels, "oversold": _oversold}[what]
    for state in _states(runtime):
        yield from of(runtime, state)


def _states(runtime: Runtime) -> Iterator[SkuState]:
    """Yield every SKU, in the order in which the store lists them. One that it lists twice comes twice at most."""
    skus, last = runtime.store.skus(), deque[str](maxlen=10 * CHUNK)
    while chunk := list(islice(skus, CHUNK)):
        fresh = [sku for sku in dict.fromkeys(chunk) if sku not in last]
        last.extend(fresh)
        for state in runtime.store.read_many(fresh):
            if state is not None:
                yield state


def _positions(_runtime: Runtime, state: SkuState) -> Iterator[Row]:
    for each in state.positions:
        counted = None if each.counted_at_ms is None else ms_rfc3339(each.counted_at_ms)
        yield (
            each.location, state.sku, each.on_hand, each.reserved, each.unavailable, each.incoming,
            each.atp, counted,
        )  # fmt: skip


def _levels(_runtime: Runtime, state: SkuState) -> Iterator[Row]:
    levels: dict[str, int] = orjson.loads(state.levels) if state.levels else {}
    for channel, level in levels.items():
        yield state.sku, channel, level, state.version


def _oversold(runtime: Runtime, state: SkuState) -> Iterator[Row]:
    available = view(state, runtime.policy)["available"]
    if available < 0:
        yield state.sku, available, state.unrouted, state.held


def _sales(runtime: Runtime) -> Iterator[Row]:
    """Yield the lines of sales that settle no order, and of orders, as long as the log keeps them."""
    runtime.follow_policy()
    seen: set[str] = set()
    order: deque[str] = deque()
    for topic in (POS_SALES, MARKETPLACE_ORDERS):
        for record in history(runtime.log, topic):
            event = read(record)
            if isinstance(event, Unread) or not isinstance(event.data, PosSale | OrderPlaced):
                continue
            identity = event_hash(event.source, event.id)
            if identity in seen:
                continue
            seen.add(identity)
            order.append(identity)
            if len(order) > REPEATS_KEPT:
                seen.remove(order.popleft())
            yield from _lines(runtime, event, record.timestamp_ms)


def _lines(runtime: Runtime, event: Event, log_ms: int) -> Iterator[Row]:
    ops = effects(event, log_ms, runtime.policy.compiled, runtime.policy.codes)
    if isinstance(ops, Rejection):
        return
    time, data = ms_rfc3339(event.time_ms), event.data
    for op in ops:
        if op[0] == MOVE and op[5] and isinstance(data, PosSale):
            place = (data.location, data.channel, data.receipt)
            yield time, event.type, *place, op[1], op[5], event.source, event.id
        elif op[0] == ORDER:
            yield time, event.type, "", op[3], op[2], op[1], op[4], event.source, event.id
