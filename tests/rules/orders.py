"""Facts of orders and counts, in any order of arrival."""

from typing import Any

from state.memory.apply import ApplyRun
from state.memory.orders import OrderRecord
from state.memory.sku import SkuRecord
from tests.rules.means import Patch, Rule, Simulated, Traced
from tests.state import traces

AT_ONCE = ("guarantees.md#an-order-counts-at-once",)
ANY_ORDER = ("guarantees.md#any-order-any-number-of-processes",)

_place, _cancel, _void, _count = (
    OrderRecord.place,
    OrderRecord.cancel,
    OrderRecord.void,
    SkuRecord.count,
)


def _cancel_voids(self: OrderRecord, channel: str, _sku: str, _quantity: int) -> None:
    self.void(channel)


def _count_forgets_movements(self: SkuRecord, *args: Any) -> None:
    for position in self.positions.values():
        position.movements = ()
    _count(self, *args)


def _last_count_wins(self: SkuRecord, place: Any, time_ms: int, *args: int) -> None:
    position = self.positions.get(place.location)
    if position and position.counted and position.counted[0] == time_ms:
        position.counted = (time_ms - 1, 0)
    _count(self, place, time_ms, *args)


def _incoming_of_one_message(
    _self: ApplyRun, _reference: str, _sku: str, _location: str, delta: int
) -> int:
    return max(0, delta)


def _place_by_number(self: OrderRecord, _channel: str, *args: Any) -> bool:
    return _place(self, "any", *args)


def _cancel_by_number(self: OrderRecord, _channel: str, *args: Any) -> None:
    _cancel(self, "any", *args)


CANCEL_VOIDS: tuple[Patch, ...] = ((OrderRecord, "cancel", _cancel_voids),)
MOVEMENTS_BY_ARRIVAL: tuple[Patch, ...] = ((SkuRecord, "count", _count_forgets_movements),)
INCOMING_BY_MESSAGE: tuple[Patch, ...] = ((ApplyRun, "_refer", _incoming_of_one_message),)
NO_CHANNEL: tuple[Patch, ...] = (
    (OrderRecord, "place", _place_by_number),
    (OrderRecord, "cancel", _cancel_by_number),
)

RULES = (
    Rule(
        "O1",
        "a cancel of some lines voids nothing",
        AT_ONCE,
        (
            Simulated(patches=CANCEL_VOIDS),
            Traced(
                patches=CANCEL_VOIDS,
                traces=(traces.o1_partial_cancels_add_up_and_void_nothing,),
            ),
        ),
    ),
    Rule(
        "O3",
        "a late count is laid under later movements",
        ANY_ORDER,
        (
            Simulated(patches=MOVEMENTS_BY_ARRIVAL),
            Traced(
                patches=MOVEMENTS_BY_ARRIVAL,
                traces=(traces.o3_a_late_count_is_laid_under_later_movements,),
            ),
        ),
    ),
    Rule(
        "O4",
        "of two counts of one time the lower wins",
        ANY_ORDER,
        (Simulated(patches=((SkuRecord, "count", _last_count_wins),)),),
    ),
    Rule(
        "O5",
        "incoming follows what is announced less received",
        ANY_ORDER,
        (
            Simulated(patches=INCOMING_BY_MESSAGE),
            Traced(
                patches=INCOMING_BY_MESSAGE,
                traces=(traces.o5_a_receipt_before_its_announcement_leaves_nothing_incoming,),
            ),
        ),
    ),
    Rule(
        "O9",
        "two shops may use one order number",
        AT_ONCE,
        (
            Simulated(patches=NO_CHANNEL),
            Traced(patches=NO_CHANNEL, traces=(traces.o9_two_shops_may_use_one_order_number,)),
        ),
    ),
)
