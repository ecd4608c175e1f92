"""Where the lines of a stream belong."""

import orjson
import pytest

from flows.services.corrections.append_events import Unroutable, route


@pytest.mark.parametrize(
    ("kind", "data", "topic", "key"),
    [
        ("pos.sale", {"location": "s1", "order": "o1"}, "pos.sales", b"s1"),
        ("wms.receipt", {"location": "wh"}, "wms.receipts", b"wh"),
        ("supplier.stock", {"location": "sup-a"}, "wms.receipts", b"sup-a"),
        ("wms.shipment", {"location": "s1", "order": "o1"}, "wms.receipts", b"s1"),
        ("wms.transfer", {"from": "a", "to": "b", "stage": "shipped"}, "wms.receipts", b"a"),
        ("wms.transfer", {"from": "a", "to": "b", "stage": "received"}, "wms.receipts", b"b"),
        ("order.placed", {"order": "o1"}, "marketplace.orders", b"o1"),
        ("order.returned", {"order": "o1", "location": "s1"}, "marketplace.orders", b"o1"),
        ("pos.sale", {"location": 7}, "pos.sales", None),
        ("pos.sale", {}, "pos.sales", None),
    ],
)
def test_an_event_goes_where_its_type_and_data_say(
    kind: str, data: dict[str, str], topic: str, key: bytes | None
) -> None:
    assert route(orjson.dumps({"type": kind, "data": data})) == (topic, key)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"no json", "expected JSON"),
        (b'{"type": "pos.sale"', "expected JSON"),
        (b'{"type": "\xff"}', "expected JSON"),
        (b"[" * 100_000, "expected"),
        (b"[1]", "expected a CloudEvent in structured mode"),
        (b'{"type": 1}', "expected a CloudEvent in structured mode"),
        (b'{"type": "pos.sail"}', 'type: expected one of pos.sale, .*, got "pos.sail"'),
    ],
)
def test_a_line_that_belongs_nowhere_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(Unroutable, match=reason):
        route(line)
