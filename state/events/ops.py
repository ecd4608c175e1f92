"""Ops: what an event does to the pool, as plain tuples.

The currency between `state.events.normalise`, which makes them, and the pools, which apply them. Plain
tuples, because they travel to Redis packed as msgpack and are made by the million. The first item
is the op code, the second the SKU, which names the shard (`state.protocol.sharding.shard_of`). All quantities
are integers.

    (MOVE,     sku, location, d_on_hand, d_unavailable, demand)
    (COUNT,    sku, location, counted_at_ms, quantity)
    (INCOMING, sku, location, reference, delta)
    (ORDER,    sku, order, channel, quantity)
    (CANCEL,   sku, order, channel, quantity)
    (VOID,     "",  order, channel)
    (SHIP,     sku, order, channel, quantity, location)
    (CONSUME,  "",  hold, order)
    (RETURN,   sku, order, sellable, damaged, location)
    (CLOSE,    "",  location, reference)
    (NETTED,   sku, order, channel, quantity, location)
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

__all__ = [
    "CANCEL",
    "CLOSE",
    "CONSUME",
    "COUNT",
    "INCOMING",
    "MOVE",
    "NETTED",
    "OP_SIZES",
    "ORDER",
    "RETURN",
    "SHIP",
    "VOID",
    "Cancel",
    "Close",
    "Consume",
    "Count",
    "Incoming",
    "Move",
    "Netted",
    "Op",
    "Order",
    "Return",
    "Ship",
    "Void",
]

MOVE: Final = 0
"""Signed changes of `on_hand` and `unavailable` at a location. A count that saw the movement
absorbs its on_hand part. `demand` is the units that count as sales for the velocity, 0 or more."""

COUNT: Final = 1
"""`on_hand` was `quantity` at `counted_at_ms`: absolute, the newest count wins."""

INCOMING: Final = 2
"""Signed change of what is in transit to a location under a reference: + announced, - received."""

ORDER: Final = 3
"""An order asks for `quantity` units. The demand of an order is counted from here."""

CANCEL: Final = 4
"""`quantity` units of an order are given up. The channel is "" when the message names none."""

VOID: Final = 5
"""The whole order is given up. Its SKU is "": no lines are named, so every shard gets it."""

SHIP: Final = 6
"""`quantity` units of an order left `location`. The fact of the order only: the stock itself is
moved by the MOVE beside it."""

CONSUME: Final = 7
"""A hold is used up, wherever the event has lines: what it kept there goes back, in the same moment in
which the other ops of the event take it. `order` names it, as `order_key` writes it, "" for
a sale without any. A hold that is not there is passed over."""

RETURN: Final = 8
"""Units of an order came back to `location`, sellable and damaged. How many of them count follows from the
facts of the order: never more than were shipped. The stock is moved by this op."""

CLOSE: Final = 9
"""Nothing more is to come to `location` under a reference. Its SKU is "": every shard gets it."""

NETTED: Final = 10
"""`quantity` units of an order left a supplier whose figures are net of orders. A SHIP that moves the stock
itself: it counts as having happened when the order was placed, if that was earlier."""

Move: TypeAlias = tuple[Literal[0], str, str, int, int, int]
Count: TypeAlias = tuple[Literal[1], str, str, int, int]
Incoming: TypeAlias = tuple[Literal[2], str, str, str, int]
Order: TypeAlias = tuple[Literal[3], str, str, str, int]
Cancel: TypeAlias = tuple[Literal[4], str, str, str, int]
Void: TypeAlias = tuple[Literal[5], str, str, str]
Ship: TypeAlias = tuple[Literal[6], str, str, str, int, str]
Consume: TypeAlias = tuple[Literal[7], str, str, str]
Return: TypeAlias = tuple[Literal[8], str, str, int, int, str]
Close: TypeAlias = tuple[Literal[9], str, str, str]
Netted: TypeAlias = tuple[Literal[10], str, str, str, int, str]
Op: TypeAlias = (
    Move | Count | Incoming | Order | Cancel | Void | Ship | Consume | Return | Close | Netted
)

OP_SIZES: Final[Mapping[int, int]] = {
    get_args(code)[0]: 1 + len(values) for code, *values in map(get_args, get_args(Op))
}
"""Op code -> how many values such an op has."""
