"""The facts of the year, in time order, one at a time.

`timetable` says what happens when; here each row becomes a fact with its ids and its lines. Only
the table is in memory, never the facts.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from flows.demo.events import CLOSING_ID, ORDERS, RECEIPTS, SALES, Fact, Phase, time_text
from flows.demo.orders import CHANNELS
from flows.demo.sales import Sales, digest, number
from flows.demo.timetable import CHUNKS_MAX, DC, RECEIPT_AFTER_MS, RowKind, Timetable, timetable_of
from state.durations import DAY_MS

DC_ID = "dc"
REGIONS = ("north", "south", "east", "west")
# Every 8th message is a CloudEvent in binary mode.
_BINARY_ONE_IN = 8
# The south-western corner of each region, in thousandths of a degree of latitude and longitude.
_CORNERS = {
    "north": (24_700, 121_200),
    "south": (22_500, 120_300),
    "east": (23_500, 121_200),
    "west": (23_900, 120_400),
}
_REGION_WIDTH = 400

Lines = list[dict[str, Any]]


class TimetableRow(NamedTuple):
    """A row of the timetable; its columns are described there."""

    time_ms: int
    what: int
    number: int
    place: int
    about: int
    first: int
    last: int


class FactColumns(NamedTuple):
    """What a fact adds to its row."""

    topic: str
    key: str
    source: str
    id: str
    type: str
    data: dict[str, Any]


def place_id(place: int) -> str:
    """Return the location id of a row's place: `dc`, or `s` and the store number."""
    return DC_ID if place == DC else f"s{place}"


def region_of(store: int) -> str:
    """Return the region of a shop, in which the customers of its online orders live too."""
    return REGIONS[store % len(REGIONS)]


class Story:
    """Everything that happens in a chain that sells `sales`."""

    def __init__(self, sales: Sales) -> None:
        self._table: Timetable = timetable_of(sales)
        self._skus = [str(product) for product in self._table.products.tolist()]

    def __len__(self) -> int:
        return len(self._table.rows)

    def facts(self) -> Iterator[Fact]:
        """Yield the facts, oldest first."""
        tell = {
            RowKind.OPENED: self._opened,
            RowKind.SOLD: self._sold,
            RowKind.CANCELLED: self._cancelled,
            RowKind.SHIPPED: self._shipped,
            RowKind.RETURNED: self._returned,
            RowKind.TRANSFER_SHIPPED: self._transferred,
            RowKind.TRANSFER_RECEIVED: self._transferred,
            RowKind.ANNOUNCED: self._announced,
            RowKind.RECEIVED: self._received,
            RowKind.CLOSED: self._closed,
        }
        for ordinal, columns in enumerate(self._table.rows):
            row = TimetableRow(*columns.tolist())
            fact = tell[RowKind(row.what)](row)
            phase: Phase = "opening" if row.what == RowKind.OPENED else "year"
            binary = ordinal % _BINARY_ONE_IN == _BINARY_ONE_IN - 1
            yield Fact(row.time_ms, *fact, phase=phase, binary=binary)

    def _lines(self, row: TimetableRow) -> Lines:
        skus = self._skus
        product = self._table.product[row.first : row.last].tolist()
        quantity = self._table.quantity[row.first : row.last].tolist()
        return [{"sku": skus[p], "quantity": q} for p, q in zip(product, quantity, strict=True)]

    def _channel(self, row: TimetableRow) -> int:
        return int(self._table.baskets.channel[row.about])

    def _opened(self, row: TimetableRow) -> FactColumns:
        place = place_id(row.place)
        lines = self._lines(row)
        data = {"location": place, "counted_at": time_text(row.time_ms), "lines": lines}
        id_ = f"opening-{place}{_part(row)}"
        return FactColumns(RECEIPTS, place, f"/wms/{place}", id_, "wms.count", data)

    def _sold(self, row: TimetableRow) -> FactColumns:
        channel, lines = self._channel(row), self._lines(row)
        if channel < 0:
            receipt, shop = f"b{row.number}", place_id(row.place)
            data: dict[str, Any] = {"location": shop, "receipt": receipt, "lines": lines}
            return FactColumns(SALES, shop, f"/pos/{shop}", receipt, "pos.sale", data)
        order = f"o{row.number}"
        data = {
            "order": order,
            "channel": CHANNELS[channel],
            "ship_to": _ship_to(row),
            "lines": lines,
        }
        return FactColumns(ORDERS, order, _market(channel), f"{order}-placed", "order.placed", data)

    def _cancelled(self, row: TimetableRow) -> FactColumns:
        order = f"o{row.number}"
        data: dict[str, Any] = {"order": order}
        if self._table.baskets.cancelled_by_line[row.about]:
            data["lines"] = self._lines(row)
        source = _market(self._channel(row))
        return FactColumns(ORDERS, order, source, f"{order}-cancelled", "order.cancelled", data)

    def _shipped(self, row: TimetableRow) -> FactColumns:
        order, shop = f"o{row.number}", place_id(row.place)
        data = {"location": shop, "order": order, "lines": self._lines(row)}
        return FactColumns(RECEIPTS, shop, f"/wms/{shop}", f"{order}-shipped", "wms.shipment", data)

    def _returned(self, row: TimetableRow) -> FactColumns:
        order = f"o{row.number}"
        condition = "damaged" if self._table.baskets.damaged[row.about] else "sellable"
        lines = [{**line, "condition": condition} for line in self._lines(row)]
        data = {"order": order, "location": place_id(row.place), "lines": lines}
        source = _market(self._channel(row))
        return FactColumns(ORDERS, order, source, f"{order}-returned", "order.returned", data)

    def _transferred(self, row: TimetableRow) -> FactColumns:
        stage = "shipped" if row.what == RowKind.TRANSFER_SHIPPED else "received"
        shop = place_id(row.place)
        transfer = f"t{_date(row.about)}-{shop}{_part(row)}"
        data = {
            "transfer": transfer,
            "from": DC_ID,
            "to": shop,
            "stage": stage,
            "lines": self._lines(row),
        }
        where = DC_ID if stage == "shipped" else shop
        # Keyed by the shop at both ends: 400 transfers of one Monday spread over the partitions.
        return FactColumns(
            RECEIPTS, shop, f"/wms/{where}", f"{transfer}-{stage}", "wms.transfer", data
        )

    def _announced(self, row: TimetableRow) -> FactColumns:
        reference = f"po{_date(row.about)}{_part(row)}"
        data = {
            "location": DC_ID,
            "reference": reference,
            "expected_at": time_text(row.about + RECEIPT_AFTER_MS),
            "lines": self._lines(row),
        }
        id_ = f"{reference}-announced"
        return FactColumns(RECEIPTS, DC_ID, f"/wms/{DC_ID}", id_, "wms.announced", data)

    def _received(self, row: TimetableRow) -> FactColumns:
        reference = f"po{_date(row.about)}{_part(row)}"
        data = {"location": DC_ID, "reference": reference, "lines": self._lines(row)}
        id_ = f"{reference}-received"
        return FactColumns(RECEIPTS, DC_ID, f"/wms/{DC_ID}", id_, "wms.receipt", data)

    def _closed(self, row: TimetableRow) -> FactColumns:
        """One unit announced, long after all else: it carries business time past every dwell."""
        data = {
            "location": DC_ID,
            "reference": CLOSING_ID,
            "expected_at": time_text(row.time_ms + DAY_MS),
            "lines": [{"sku": self._skus[0], "quantity": 1}],
        }
        return FactColumns(RECEIPTS, DC_ID, f"/wms/{DC_ID}", CLOSING_ID, "wms.announced", data)


def _part(row: TimetableRow) -> str:
    """Return what distinguishes the second and later pieces of 500 lines from the first."""
    piece = row.number % CHUNKS_MAX
    return f"-{piece + 1}" if piece else ""


def _market(channel: int) -> str:
    return f"/marketplace/{CHANNELS[channel]}"


def _date(time_ms: int) -> str:
    return time_text(time_ms)[:10].replace("-", "")


def _ship_to(row: TimetableRow) -> dict[str, Any]:
    region, some = region_of(row.place), digest(row.number)
    latitude, longitude = (
        (corner + number(some, draw) % _REGION_WIDTH) / 1000
        for draw, corner in zip((5, 6), _CORNERS[region], strict=True)
    )
    return {"region": region, "latitude": latitude, "longitude": longitude}
