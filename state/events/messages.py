"""The messages that come in: one frozen type for the data of each event type.

Each rule about a single member stands once, in its annotation; rules that annotations cannot say
stand in `__post_init__`, which raises ValueError with the whole reason. `state.events.validation` reads
both. Unknown members are refused everywhere, so that a misspelt optional member is found. An
optional member that is absent is "", () or UNSET; null is refused: who has nothing to say leaves
it out.
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
"""Under this stands what a reason says was expected, where the bounds alone would not tell."""
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


class _Value(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Base of all message parts."""


class Line(_Value, frozen=True, gc=False):
    """A line whose direction the type of its message gives."""

    sku: Id
    quantity: Quantity


class SignedLine(_Value, frozen=True, gc=False):
    """A line of an adjustment: `quantity` is the change, not 0."""

    sku: Id
    quantity: SignedQuantity


class CountLine(_Value, frozen=True, gc=False):
    """A line of an absolute message: `quantity` is what there is, 0 included."""

    sku: Id
    quantity: CountedQuantity


class ReturnLine(_Value, frozen=True, gc=False):
    """A line of goods that came back; the damaged ones are on hand but unavailable."""

    sku: Id
    quantity: Quantity
    condition: Condition


Lines: TypeAlias = Annotated[tuple[Line, ...], Meta(min_length=1, max_length=LINES_MAX)]
SignedLines: TypeAlias = Annotated[tuple[SignedLine, ...], Meta(min_length=1, max_length=LINES_MAX)]
CountLines: TypeAlias = Annotated[tuple[CountLine, ...], Meta(min_length=1, max_length=LINES_MAX)]
ReturnLines: TypeAlias = Annotated[tuple[ReturnLine, ...], Meta(min_length=1, max_length=LINES_MAX)]


class PosSale(_Value, frozen=True, gc=False):
    """Goods left a shop. `order` or `hold` names the promise that the sale settles."""

    location: Id
    receipt: Id
    lines: Lines
    order: Id = ""
    hold: Id = ""
    channel: Id = ""


class PosReturn(_Value, frozen=True, gc=False):
    """Goods came back to a shop."""

    location: Id
    receipt: Id
    lines: ReturnLines


class Announced(_Value, frozen=True, gc=False):
    """A delivery is on its way to `location`."""

    location: Id
    reference: Id
    expected_at: Time
    lines: Lines

    def __post_init__(self) -> None:
        _time_ms("expected_at", self.expected_at)


class Receipt(_Value, frozen=True, gc=False):
    """A delivery arrived; it settles what was announced under the same reference.

    A `final` one says that nothing more is to come under it, and may have no lines.
    """

    location: Id
    reference: Id
    lines: Lines = ()
    final: bool = False

    def __post_init__(self) -> None:
        if not (self.lines or self.final):
            reason = f"lines: expected array of 1 to {LINES_MAX} lines, got nothing"
            raise ValueError(reason)


class Adjustment(_Value, frozen=True, gc=False):
    """Somebody corrected the books."""

    location: Id
    reason: Id
    actor: Id
    lines: SignedLines
    note: Text = ""

    def __post_init__(self) -> None:
        for at, line in enumerate(self.lines):
            if line.quantity == 0:
                reason = f"lines[{at}].quantity: expected integer other than 0, got 0"
                raise ValueError(reason)


class Count(_Value, frozen=True, gc=False):
    """What was on the shelf at `counted_at`: absolute."""

    location: Id
    counted_at: Time
    lines: CountLines

    def __post_init__(self) -> None:
        _time_ms("counted_at", self.counted_at)
        _each_sku_once(self.lines)

    @property
    def counted_at_ms(self) -> int:
        """The moment of the count, in ms since 1970; parsed at each access."""
        return rfc3339_ms(self.counted_at)


class SupplierStock(_Value, frozen=True, gc=False):
    """What a supplier's shelf held at `as_of`: absolute."""

    location: Id
    as_of: Time
    lines: CountLines

    def __post_init__(self) -> None:
        _time_ms("as_of", self.as_of)
        _each_sku_once(self.lines)

    @property
    def as_of_ms(self) -> int:
        """The moment of the supplier's count, in ms since 1970; parsed at each access."""
        return rfc3339_ms(self.as_of)


class Shipment(_Value, frozen=True, gc=False):
    """Goods of an order left a location."""

    location: Id
    order: Id
    lines: Lines
    channel: Id = ""


class Transfer(_Value, frozen=True, gc=False):
    """Goods move between two own locations, told once when shipped and once when received.

    What does not arrive is told as lost: it is under way no more, and nowhere else.
    """

    transfer: Id
    stage: Literal["shipped", "received", "lost"]
    lines: Lines
    origin: Id = field(name="from")
    destination: Id = field(name="to")

    def __post_init__(self) -> None:
        if self.origin == self.destination:
            reason = f"to: expected another location than from, got {shown(self.destination)}"
            raise ValueError(reason)


class Quality(_Value, frozen=True, gc=False):
    """Goods are set aside, released again, or thrown away."""

    location: Id
    stage: Literal["hold", "release", "scrap"]
    lines: Lines


class ShipTo(_Value, frozen=True, gc=False):
    """Where an order goes, as far as the seller tells: degrees, and a region of the policy."""

    region: Id = ""
    latitude: Latitude | UnsetType = UNSET
    longitude: Longitude | UnsetType = UNSET


class OrderPlaced(_Value, frozen=True, gc=False):
    """A customer bought on a channel. `pickup` is the location where the goods will be fetched."""

    order: Id
    channel: Id
    lines: Lines
    hold: Id = ""
    ship_to: ShipTo = ShipTo()
    pickup: Id = ""


class OrderCancelled(_Value, frozen=True, gc=False):
    """An order is given up in part, or whole when `lines` is absent."""

    order: Id
    lines: Lines = ()
    channel: Id = ""


class OrderReturned(_Value, frozen=True, gc=False):
    """Goods of an order came back to a location."""

    order: Id
    location: Id
    lines: ReturnLines
    channel: Id = ""


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
