"""From a typed event to the ops on the pool: a pure function of the event and append-only tables.

Whatever is read again from the log gives the same ops: the only times used are the event's own and
the log's timestamp, and a code is looked up as of that timestamp. Lines of one SKU become one op.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

from state.events.messages import (
    QUANTITY_MAX,
    Adjustment,
    Announced,
    Count,
    CountLine,
    Data,
    Event,
    Line,
    OrderCancelled,
    OrderPlaced,
    OrderReturned,
    PosReturn,
    PosSale,
    Quality,
    Receipt,
    ReturnLine,
    Shipment,
    SignedLine,
    SupplierStock,
    Transfer,
)
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
from state.events.order_key import order_key
from state.events.rejection import Rejection, named, shown
from state.events.timestamps import ms_rfc3339
from state.policy.document import Source

__all__ = ["AHEAD_MAX_MS", "Codes", "Known", "Rejection", "effects"]

AHEAD_MAX_MS: Final = 24 * 3_600_000
"""How far after its log timestamp an event, or a count in it, may claim to have happened."""

Codes: TypeAlias = Callable[[str, str, int], tuple[str, int] | None]
"""Maps (source, code, log timestamp in ms) to (sku, units per code); None: no such code."""

_AnyLine: TypeAlias = Line | SignedLine | CountLine | ReturnLine
_AtLocation: TypeAlias = (
    PosReturn | Announced | Receipt | Adjustment | Count | SupplierStock | Quality
)


class Known(Protocol):
    """What is asked of the policy; `state.policy.document.Compiled` answers it."""

    def knows_location(self, location: str, /) -> bool:
        """Say whether events may name the location."""

    def knows_channel(self, channel: str, /) -> bool:
        """Say whether orders may name the channel."""

    def nets_orders(self, location: str, /) -> bool:
        """Say whether the figures of a location's supplier are less what is ordered already."""

    def source(self, source: str, /) -> Source | None:
        """Return the declared system behind a CloudEvents source."""


class _Refused(Exception):
    """Carries a reason from a helper up to `effects`."""


def effects(
    event: Event, log_timestamp_ms: int, policy: Known, codes: Codes | None = None
) -> tuple[Op, ...] | Rejection:
    """Return what the event does to the pool, or why it makes no sense.

    Args:
        event: as `state.events.validation.decode` lets it through.
        log_timestamp_ms: when the log took the message.
        policy: says which locations and channels may be named.
        codes: maps the codes of source systems to SKUs; None takes every code as a SKU.

    An op never holds more than 10^9 units. Never raises for an event that `decode` let through.
    """
    data = event.data
    check, rule = _RULES[type(data)]
    try:
        _check_time("time", event.time_ms, log_timestamp_ms)
        check(data, policy)
        return tuple(rule(data, _Lines(event.source, log_timestamp_ms, policy, codes)))
    except _Refused as refused:
        return Rejection(str(refused))


class _Lines:
    """The lines of one event, in SKUs and single units."""

    __slots__ = ("codes", "log_timestamp_ms", "policy", "source")

    def __init__(
        self, source: str, log_timestamp_ms: int, policy: Known, codes: Codes | None
    ) -> None:
        self.source = source
        self.log_timestamp_ms = log_timestamp_ms
        self.policy = policy
        self.codes = codes

    def one(self, at: int, line: _AnyLine) -> tuple[str, int]:
        """Return (sku, quantity in units) of one line."""
        if self.codes is None:
            return line.sku, line.quantity
        found = self.codes(self.source, line.sku, self.log_timestamp_ms)
        if found is None:
            entry = self.policy.source(self.source)
            system = entry.system if entry is not None else self.source
            reason = f"lines[{at}].sku: no code {named(line.sku)} for system {named(system)}"
            raise _Refused(reason)
        sku, units = found
        return sku, _bounded(at, line.quantity * units, f"{units} units each")

    def summed(self, lines: tuple[_AnyLine, ...]) -> Iterable[tuple[str, int]]:
        """Return (SKU, quantity) over all lines, in the order of first mention."""
        if self.codes is None:
            if len(lines) == 1:
                return ((lines[0].sku, lines[0].quantity),)
            plain = {line.sku: line.quantity for line in lines}
            if len(plain) == len(lines):
                return plain.items()
        sums: dict[str, int] = {}
        for at, line in enumerate(lines):
            sku, quantity = self.one(at, line)
            if sku in sums:
                quantity = _bounded(at, sums[sku] + quantity, "summed with the lines before")
            sums[sku] = quantity
        return sums.items()

    def distinct(self, lines: tuple[CountLine, ...]) -> dict[str, int]:
        """Return SKU -> quantity; two lines of one SKU contradict each other in a count."""
        figures: dict[str, int] = {}
        for at, line in enumerate(lines):
            sku, quantity = self.one(at, line)
            if sku in figures:
                reason = (
                    f"lines[{at}].sku: expected each sku once in an absolute message, "
                    f"got {shown(line.sku)}, another code of {named(sku)}"
                )
                raise _Refused(reason)
            figures[sku] = quantity
        return figures


def _bounded(at: int, quantity: int, how: str) -> int:
    if -QUANTITY_MAX <= quantity <= QUANTITY_MAX:
        return quantity
    reason = f"lines[{at}].quantity: expected at most {QUANTITY_MAX} units, got {quantity} ({how})"
    raise _Refused(reason)


def _check_time(name: str, time_ms: int, log_timestamp_ms: int) -> None:
    if time_ms > log_timestamp_ms + AHEAD_MAX_MS:
        reason = (
            f"time_in_future: expected {name} at most 24 h after the log timestamp "
            f"{ms_rfc3339(log_timestamp_ms)}, got {ms_rfc3339(time_ms)}"
        )
        raise _Refused(reason)


def _check_location(name: str, location: str, policy: Known) -> None:
    if not policy.knows_location(location):
        reason = f"{name}: unknown location {named(location)}"
        raise _Refused(reason)


def _check_channel(channel: str, policy: Known) -> None:
    if channel and not policy.knows_channel(channel):
        reason = f"channel: unknown channel {named(channel)}"
        raise _Refused(reason)


def _placed(data: _AtLocation, policy: Known) -> None:
    _check_location("location", data.location, policy)


def _sold(data: PosSale | Shipment | OrderReturned, policy: Known) -> None:
    _check_location("location", data.location, policy)
    _check_channel(data.channel, policy)


def _moved(data: Transfer, policy: Known) -> None:
    _check_location("from", data.origin, policy)
    _check_location("to", data.destination, policy)


def _ordered(data: OrderPlaced, policy: Known) -> None:
    _check_channel(data.channel, policy)
    if data.pickup:
        _check_location("pickup", data.pickup, policy)


def _cancelled(data: OrderCancelled, policy: Known) -> None:
    _check_channel(data.channel, policy)


def _pos_sale(data: PosSale, lines: _Lines) -> Iterable[Op]:
    location, sold = data.location, lines.summed(data.lines)
    moves: list[Op]
    if data.order:
        # The demand of an order is counted where it is placed.
        moves = []
        for sku, quantity in sold:
            moves.append((MOVE, sku, location, -quantity, 0, 0))
            moves.append((SHIP, sku, data.order, data.channel, quantity, location))
    else:
        moves = [(MOVE, sku, location, -quantity, 0, quantity) for sku, quantity in sold]
    if data.hold:
        moves.append((CONSUME, "", data.hold, ""))
    return moves


def _damaged(data: PosReturn | OrderReturned, lines: _Lines) -> Iterator[tuple[str, int, int]]:
    """Yield (SKU, units, how many of them are damaged)."""
    sums = dict(lines.summed(data.lines))
    damaged = dict.fromkeys(sums, 0)
    for at, line in enumerate(data.lines):
        if line.condition == "damaged":
            sku, quantity = lines.one(at, line)
            damaged[sku] += quantity
    for sku, quantity in sums.items():
        yield sku, quantity, damaged[sku]


def _returned(data: PosReturn, lines: _Lines) -> Iterator[Op]:
    for sku, quantity, damaged in _damaged(data, lines):
        yield MOVE, sku, data.location, quantity, damaged, 0


def _order_returned(data: OrderReturned, lines: _Lines) -> Iterator[Op]:
    for sku, quantity, damaged in _damaged(data, lines):
        yield RETURN, sku, data.order, quantity - damaged, damaged, data.location


def _announced(data: Announced, lines: _Lines) -> Iterator[Op]:
    for sku, quantity in lines.summed(data.lines):
        yield INCOMING, sku, data.location, data.reference, quantity


def _receipt(data: Receipt, lines: _Lines) -> Iterator[Op]:
    for sku, quantity in lines.summed(data.lines):
        yield MOVE, sku, data.location, quantity, 0, 0
        if not data.final:
            yield INCOMING, sku, data.location, data.reference, -quantity
    if data.final:
        yield CLOSE, "", data.location, data.reference


def _adjustment(data: Adjustment, lines: _Lines) -> Iterator[Op]:
    for sku, quantity in lines.summed(data.lines):
        yield MOVE, sku, data.location, quantity, 0, 0


def _count(data: Count, lines: _Lines) -> Iterator[Op]:
    counted_at_ms = data.counted_at_ms
    _check_time("counted_at", counted_at_ms, lines.log_timestamp_ms)
    for sku, quantity in lines.distinct(data.lines).items():
        yield COUNT, sku, data.location, counted_at_ms, quantity


def _supplier_stock(data: SupplierStock, lines: _Lines) -> Iterator[Op]:
    as_of_ms = data.as_of_ms
    _check_time("as_of", as_of_ms, lines.log_timestamp_ms)
    for sku, quantity in lines.distinct(data.lines).items():
        yield COUNT, sku, data.location, as_of_ms, quantity


def _shipment(data: Shipment, lines: _Lines) -> Iterator[Op]:
    is_netted = lines.policy.nets_orders(data.location)
    for sku, quantity in lines.summed(data.lines):
        if is_netted:
            yield NETTED, sku, data.order, data.channel, quantity, data.location
            continue
        yield MOVE, sku, data.location, -quantity, 0, 0
        yield SHIP, sku, data.order, data.channel, quantity, data.location


def _transfer(data: Transfer, lines: _Lines) -> Iterator[Op]:
    reference = "transfer:" + data.transfer
    for sku, quantity in lines.summed(data.lines):
        if data.stage == "shipped":
            yield MOVE, sku, data.origin, -quantity, 0, 0
            yield INCOMING, sku, data.destination, reference, quantity
        else:
            if data.stage == "received":
                yield MOVE, sku, data.destination, quantity, 0, 0
            yield INCOMING, sku, data.destination, reference, -quantity


def _quality(data: Quality, lines: _Lines) -> Iterator[Op]:
    on_hand, unavailable = {"hold": (0, 1), "release": (0, -1), "scrap": (-1, -1)}[data.stage]
    for sku, quantity in lines.summed(data.lines):
        yield MOVE, sku, data.location, on_hand * quantity, unavailable * quantity, 0


def _order_placed(data: OrderPlaced, lines: _Lines) -> Iterator[Op]:
    for sku, quantity in lines.summed(data.lines):
        yield ORDER, sku, data.order, data.channel, quantity
    if data.hold:
        yield CONSUME, "", data.hold, order_key(data.channel, data.order)


def _order_cancelled(data: OrderCancelled, lines: _Lines) -> Iterator[Op]:
    if not data.lines:
        yield VOID, "", data.order, data.channel
    for sku, quantity in lines.summed(data.lines):
        yield CANCEL, sku, data.order, data.channel, quantity


_Rule: TypeAlias = Callable[[Any, _Lines], Iterable[Op]]
_RULES: Final[Mapping[type[Data], tuple[Callable[[Any, Known], None], _Rule]]] = {
    PosSale: (_sold, _pos_sale),
    PosReturn: (_placed, _returned),
    Announced: (_placed, _announced),
    Receipt: (_placed, _receipt),
    Adjustment: (_placed, _adjustment),
    Count: (_placed, _count),
    SupplierStock: (_placed, _supplier_stock),
    Shipment: (_sold, _shipment),
    Transfer: (_moved, _transfer),
    Quality: (_placed, _quality),
    OrderPlaced: (_ordered, _order_placed),
    OrderCancelled: (_cancelled, _order_cancelled),
    OrderReturned: (_sold, _order_returned),
}
"""For each kind of data: which of its names the policy has to know, and what it does."""
