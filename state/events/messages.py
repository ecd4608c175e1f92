"""The messages that come in: one frozen type for the data of each event type.

Each rule about a single member stands once, in its annotation, with what the member means; rules that
annotations cannot say stand in `__post_init__`, which raises ValueError with the whole reason.
`state.events.validation` reads both, and docs/reference/messages.md is written from them (`python -m tools.pages`).

Unknown members are refused everywhere, so that a misspelt optional member is found. An optional member
that is absent is "", () or UNSET; null is refused: a sender with nothing to say leaves the member out.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

from state.events.rejection import shown
from state.events.timestamps import rfc3339_ms

LINES_MAX: Final = 1000
QUANTITY_MAX: Final = 1_000_000_000
NO_CONTROLS: Final = "no_controls"
"""Marks text that may not hold control characters (Unicode category Cc)."""
SAYS: Final = "says"
"""Under this stands what a reason says was expected, where the bounds alone would not show it."""
RFC3339: Final = "RFC 3339 time with an offset"

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128, extra={NO_CONTROLS: True})]
Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
Time: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, extra={SAYS: RFC3339})]
Quantity: TypeAlias = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
CountedQuantity: TypeAlias = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]
SignedQuantity: TypeAlias = Annotated[int, Meta(ge=-QUANTITY_MAX, le=QUANTITY_MAX)]
Latitude: TypeAlias = Annotated[float, Meta(ge=-90, le=90)]
Longitude: TypeAlias = Annotated[float, Meta(ge=-180, le=180)]
Condition: TypeAlias = Literal["sellable", "damaged"]


# What a member means where it stands, for the reference page.
Sku: TypeAlias = Annotated[Id, Meta(description="the SKU, or the code of the source's own system")]
Units: TypeAlias = Annotated[Quantity, Meta(description="how many units")]
Location: TypeAlias = Annotated[Id, Meta(description="where it happened")]
ReceiptNumber: TypeAlias = Annotated[Id, Meta(description="the number that the till gave it")]
Reference: TypeAlias = Annotated[
    Id, Meta(description="the number of the delivery, from announcement to arrival")
]
Order: TypeAlias = Annotated[Id, Meta(description="the number of the order")]
Channel: TypeAlias = Annotated[
    Id,
    Meta(
        description="the channel of the order; needed only where two channels use one order number"
    ),
]


class _Value(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of all message parts."""


class Line(_Value, frozen=True, gc=False):
    """A line whose direction the type of its message gives."""

    sku: Sku
    quantity: Units


class SignedLine(_Value, frozen=True, gc=False):
    """A line of an adjustment: `quantity` is the change, not 0."""

    sku: Sku
    quantity: Annotated[SignedQuantity, Meta(description="the change in units, other than 0")]


class CountLine(_Value, frozen=True, gc=False):
    """A line of an absolute message: `quantity` is what there is, 0 included."""

    sku: Sku
    quantity: Annotated[CountedQuantity, Meta(description="how many units there are")]


class ReturnLine(_Value, frozen=True, gc=False):
    """A line of goods that came back; the damaged ones are on hand but unavailable."""

    sku: Sku
    quantity: Units
    condition: Annotated[
        Condition,
        Meta(
            description="`damaged` units are on hand but `unavailable`, `sellable` ones can be sold again"
        ),
    ]


_MANY: Final = Meta(min_length=1, max_length=LINES_MAX)
_SUMMED: Final = Meta(description="which SKUs and how many; a SKU on two lines is summed")
_ONCE: Final = Meta(description="which SKUs and how many, each SKU once")
Lines: TypeAlias = Annotated[tuple[Line, ...], _MANY, _SUMMED]
SignedLines: TypeAlias = Annotated[tuple[SignedLine, ...], _MANY, _SUMMED]
CountLines: TypeAlias = Annotated[tuple[CountLine, ...], _MANY, _ONCE]
ReturnLines: TypeAlias = Annotated[tuple[ReturnLine, ...], _MANY, _SUMMED]


class PosSale(_Value, frozen=True, gc=False):
    """Goods left a shop: `on_hand` goes down.

    It may go below zero, because the shelf is right and the books are late.
    """

    location: Location
    receipt: ReceiptNumber
    lines: Lines
    order: Annotated[Id, Meta(description="the order that the sale settles")] = ""
    hold: Annotated[Id, Meta(description="the hold that the sale uses up")] = ""
    channel: Channel = ""


class PosReturn(_Value, frozen=True, gc=False):
    """Goods came back to a shop."""

    location: Location
    receipt: ReceiptNumber
    lines: ReturnLines


class Announced(_Value, frozen=True, gc=False):
    """A delivery is on its way to a location: `incoming` goes up under its reference."""

    location: Location
    reference: Reference
    expected_at: Annotated[Time, Meta(description="when it should arrive")]
    lines: Lines

    def __post_init__(self) -> None:
        _time_ms("expected_at", self.expected_at)


class Receipt(_Value, frozen=True, gc=False):
    """A delivery arrived: `on_hand` goes up, `incoming` down by what was announced under the reference.

    A `final` one closes the reference at that location: nothing more is under way there, whatever was announced or
    still will be. It may have no lines.
    """

    location: Location
    reference: Reference
    lines: Lines = ()
    final: Annotated[
        bool, Meta(description="whether nothing more is to come under the reference")
    ] = False

    def __post_init__(self) -> None:
        if not (self.lines or self.final):
            reason = f"lines: expected array of 1 to {LINES_MAX} lines, got nothing"
            raise ValueError(reason)


class Adjustment(_Value, frozen=True, gc=False):
    """Somebody corrected the books."""

    location: Location
    reason: Annotated[Id, Meta(description="why, as a short word that can be added up")]
    actor: Annotated[Id, Meta(description="who did it")]
    lines: SignedLines
    note: Annotated[Text, Meta(description="what else there is to say")] = ""

    def __post_init__(self) -> None:
        for at, line in enumerate(self.lines):
            if line.quantity == 0:
                reason = f"lines[{at}].quantity: expected integer other than 0, got 0"
                raise ValueError(reason)


class Count(_Value, frozen=True, gc=False):
    """What was on the shelf at `counted_at`: absolute, 0 included."""

    location: Location
    counted_at: Annotated[Time, Meta(description="when the shelf was counted")]
    lines: CountLines

    def __post_init__(self) -> None:
        _time_ms("counted_at", self.counted_at)
        _each_sku_once(self.lines)

    @property
    def counted_at_ms(self) -> int:
        """The moment of the count, in ms since 1970; parsed at each access."""
        return rfc3339_ms(self.counted_at)


class SupplierStock(_Value, frozen=True, gc=False):
    """What a supplier's shelf held at `as_of`: absolute, as a count, for `dropship` locations."""

    location: Location
    as_of: Annotated[Time, Meta(description="when the figures were true")]
    lines: CountLines

    def __post_init__(self) -> None:
        _time_ms("as_of", self.as_of)
        _each_sku_once(self.lines)

    @property
    def as_of_ms(self) -> int:
        """The moment of the supplier's count, in ms since 1970; parsed at each access."""
        return rfc3339_ms(self.as_of)


class Shipment(_Value, frozen=True, gc=False):
    """Goods of an order left a location: `on_hand` goes down, and so does what the order still asks for."""

    location: Location
    order: Order
    lines: Lines
    channel: Channel = ""


class Transfer(_Value, frozen=True, gc=False):
    """Goods move between two own locations, in stages under one number.

    `shipped` takes them from `from` and makes them incoming at `to`; `received` puts them on hand there; what is
    `lost` on the way is incoming no more, and on hand nowhere.
    """

    transfer: Annotated[
        Id, Meta(description="the number of the transfer, the same for all its stages")
    ]
    stage: Annotated[Literal["shipped", "received", "lost"], Meta(description="what happened")]
    lines: Lines
    origin: Annotated[Id, Meta(description="the location that they leave")] = field(name="from")
    destination: Annotated[Id, Meta(description="the location that they go to")] = field(name="to")

    def __post_init__(self) -> None:
        if self.origin == self.destination:
            reason = f"to: expected another location than from, got {shown(self.destination)}"
            raise ValueError(reason)


class Quality(_Value, frozen=True, gc=False):
    """Goods are set aside, released again, or thrown away.

    `hold`: `unavailable` goes up; `release`: it goes down; `scrap`: it goes down, and so does `on_hand`.
    """

    location: Location
    stage: Annotated[Literal["hold", "release", "scrap"], Meta(description="what happened")]
    lines: Lines


class ShipTo(_Value, frozen=True, gc=False):
    """Where an order goes, as far as the seller says."""

    region: Annotated[Id, Meta(description="a region of the policy")] = ""
    latitude: Annotated[Latitude | UnsetType, Meta(description="degrees")] = UNSET
    longitude: Annotated[Longitude | UnsetType, Meta(description="degrees")] = UNSET


class OrderPlaced(_Value, frozen=True, gc=False):
    """A customer bought on a channel: the pool goes down at once.

    The order stays unrouted until it is bound to locations.
    """

    order: Order
    channel: Annotated[Id, Meta(description="where the customer bought")]
    lines: Lines
    hold: Annotated[Id, Meta(description="the hold that the order uses up")] = ""
    ship_to: Annotated[ShipTo, Meta(description="where it goes, as far as the seller says")] = (
        ShipTo()
    )
    pickup: Annotated[Id, Meta(description="the location where the customer fetches the goods")] = (
        ""
    )


class OrderCancelled(_Value, frozen=True, gc=False):
    """An order is given up in part, or whole when `lines` is absent. Cancellations of parts add up."""

    order: Order
    lines: Lines = ()
    channel: Channel = ""


class OrderReturned(_Value, frozen=True, gc=False):
    """Goods of an order came back to a location."""

    order: Order
    location: Location
    lines: ReturnLines
    channel: Channel = ""


Data: TypeAlias = (
    PosSale
    | PosReturn
    | Announced
    | Receipt
    | Adjustment
    | Count
    | SupplierStock
    | Shipment
    | Transfer
    | Quality
    | OrderPlaced
    | OrderCancelled
    | OrderReturned
)


class Event(Struct, frozen=True, gc=False):
    """A decoded event. `source` and `id` are its identity, `time_ms` is when it happened."""

    id: str
    source: str
    type: str
    time_ms: int
    data: Data


POS_SALES: Final = "pos.sales"
WMS_RECEIPTS: Final = "wms.receipts"
MARKETPLACE_ORDERS: Final = "marketplace.orders"

_BY_TOPIC: Mapping[str, Mapping[str, type[Data]]] = {
    POS_SALES: {"pos.sale": PosSale, "pos.return": PosReturn},
    WMS_RECEIPTS: {
        "wms.announced": Announced,
        "wms.receipt": Receipt,
        "wms.adjustment": Adjustment,
        "wms.count": Count,
        "wms.shipment": Shipment,
        "wms.transfer": Transfer,
        "wms.quality": Quality,
        "supplier.stock": SupplierStock,
    },
    MARKETPLACE_ORDERS: {
        "order.placed": OrderPlaced,
        "order.cancelled": OrderCancelled,
        "order.returned": OrderReturned,
    },
}

TYPES: Final[Mapping[str, type[Data]]] = {
    name: data for types in _BY_TOPIC.values() for name, data in types.items()
}
"""Event type -> type of its data."""

TOPIC_OF: Final[Mapping[str, str]] = {
    name: topic for topic, types in _BY_TOPIC.items() for name in types
}
"""Event type -> the topic that it belongs on."""


def _time_ms(name: str, text: str) -> int:
    try:
        return rfc3339_ms(text)
    except ValueError as error:
        reason = f"{name}: expected {RFC3339}, got {shown(text)}"
        raise ValueError(reason) from error


def _each_sku_once(lines: Sequence[CountLine]) -> None:
    if len({line.sku for line in lines}) == len(lines):
        return
    first: dict[str, int] = {}
    for at, line in enumerate(lines):
        if line.sku in first:
            reason = (
                f"lines[{at}].sku: expected each sku once in an absolute message, "
                f"got {shown(line.sku)} also on lines[{first[line.sku]}]"
            )
            raise ValueError(reason)
        first[line.sku] = at
