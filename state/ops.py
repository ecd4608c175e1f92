"""Ops: what an event does to the pool, as plain tuples.

The currency between `state.normalise`, which makes them, and the pools, which apply them. Plain
tuples, because they travel to Redis packed as msgpack and are made by the million. The first item
is the op code, the second the SKU, which names the shard (`state.shards.shard_of`). All quantities
are integers.

    (MOVE,     sku, location, d_on_hand, d_unavailable, demand)
    (COUNT,    sku, location, counted_at_ms, quantity)
    (INCOMING, sku, location, reference, delta)
    (PLACE,    sku, order, channel, quantity)
    (CANCEL,   sku, order, channel, quantity)
    (VOID,     "",  order, channel)
    (SHIP,     sku, order, channel, quantity, location)
"""

from typing import Final, Literal, TypeAlias

__all__ = [
    "CANCEL",
    "COUNT",
    "INCOMING",
    "MOVE",
    "PLACE",
    "SHIP",
    "VOID",
    "Cancel",
    "Count",
    "Incoming",
    "Move",
    "Op",
    "Place",
    "Ship",
    "Void",
]

MOVE: Final = 0
"""Signed changes of `on_hand` and `unavailable` at a location. A count that saw the movement
absorbs its on_hand part. `demand` is the units that count as sales for the velocity, 0 or more."""

COUNT: Final = 1
"""`on_hand` was `quantity` at `counted_at_ms`: absolute, the newest count wins."""

INCOMING: Final = 2
"""Signed change of what is under way to a location under a reference: + announced, - received."""

PLACE: Final = 3
"""An order asks for `quantity` units. The demand of an order is counted from here."""

CANCEL: Final = 4
"""`quantity` units of an order are given up. The channel is "" when the message names none."""

VOID: Final = 5
"""The whole order is given up. Its SKU is "": no lines are named, so every shard gets it."""

SHIP: Final = 6
"""`quantity` units of an order left `location`. The fact of the order only: the stock itself is
moved by the MOVE beside it."""

Move: TypeAlias = tuple[Literal[0], str, str, int, int, int]
Count: TypeAlias = tuple[Literal[1], str, str, int, int]
Incoming: TypeAlias = tuple[Literal[2], str, str, str, int]
Place: TypeAlias = tuple[Literal[3], str, str, str, int]
Cancel: TypeAlias = tuple[Literal[4], str, str, str, int]
Void: TypeAlias = tuple[Literal[5], str, str, str]
Ship: TypeAlias = tuple[Literal[6], str, str, str, int, str]
Op: TypeAlias = Move | Count | Incoming | Place | Cancel | Void | Ship
