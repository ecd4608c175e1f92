"""Every kind of odd message that an upstream can send, one function each.

Most are refused and end in `dead.letters`. Three look odd and are accepted, as docs/guides/bad-input.md
says: they are counted as good, and move stock of SKUs of their own.
"""

from collections.abc import Callable
from typing import Any

import orjson

from flows.demo.events import (
    ORDERS,
    RECEIPTS,
    SALES,
    Fact,
    Kind,
    StreamEvent,
    time_text,
)

MESSAGE_BYTES_MAX = 1_048_576
_HUGE_BYTES = 10_000_000
_DEPTH = 5_000
_LINES = 10_000
ODD_SKU = "odd"
BRACE_SKU = "{odd}:7"

# A malformed message as (topic, key, headers, value).
_Raw = tuple[str, str, tuple[tuple[str, bytes], ...], bytes | None]
_Make = Callable[[int, Fact], _Raw]
_HEADERS = (("content-type", b"application/cloudevents+json"),)


def odd_message(ordinal: int, neighbour: Fact) -> StreamEvent:
    """Return the odd message number `ordinal` of a stream, sent right after its neighbour."""
    name, kind, make = KINDS[ordinal % len(KINDS)]
    topic, key, headers, value = make(ordinal, neighbour)
    return StreamEvent(
        business_ms=neighbour.business_ms,
        topic=topic,
        key=key.encode(),
        headers=headers,
        value=value,
        kind=kind,
        event_type=name,
        lines=len(orjson.loads(value or b"")["data"]["lines"]) if kind == "good" else 0,
        phase=neighbour.phase,
    )


def _sale_data(ordinal: int) -> dict[str, Any]:
    lines = [{"sku": ODD_SKU, "quantity": 1}]
    return {"location": "dc", "receipt": f"odd-{ordinal}", "lines": lines}


def _sale(ordinal: int, neighbour: Fact, **changed: Any) -> _Raw:
    """Return a sale of one unit with some members of its data changed (None: left out)."""
    whole = {**_sale_data(ordinal), **changed}
    data = {name: value for name, value in whole.items() if value is not None}
    return _envelope(ordinal, neighbour, SALES, "pos.sale", data)


def _line(ordinal: int, neighbour: Fact, quantity: Any) -> _Raw:
    return _sale(ordinal, neighbour, lines=[{"sku": ODD_SKU, "quantity": quantity}])


def _envelope(
    ordinal: int, neighbour: Fact, topic: str, type_: str, data: dict[str, Any], **changed: Any
) -> _Raw:
    """Return a structured CloudEvent with some of its attributes changed (None: left out)."""
    event = {
        "specversion": "1.0",
        "id": f"odd-{ordinal}",
        "source": "/pos/odd" if topic == SALES else "/wms/odd",
        "type": type_,
        "time": time_text(neighbour.business_ms),
        "datacontenttype": "application/json",
        "data": data,
        **changed,
    }
    event = {name: value for name, value in event.items() if value is not None}
    key = str(data.get("order") or data.get("location") or "dc")
    return topic, key, _HEADERS, orjson.dumps(event)


def _with_value(raw: _Raw, old: bytes, new: bytes) -> _Raw:
    """Return a message with bytes in it that no JSON writer would write."""
    topic, key, headers, value = raw
    return topic, key, headers, (value or b"").replace(old, new, 1)


def _count(ordinal: int, neighbour: Fact, lines: list[dict[str, Any]]) -> _Raw:
    counted_at = time_text(neighbour.business_ms)
    data = {"location": "dc", "counted_at": counted_at, "lines": lines}
    return _envelope(ordinal, neighbour, RECEIPTS, "wms.count", data)


def _order(ordinal: int, neighbour: Fact, **changed: Any) -> _Raw:
    data = {
        "order": f"odd-{ordinal}",
        "channel": "shop",
        "lines": [{"sku": ODD_SKU, "quantity": 1}],
        **changed,
    }
    return _envelope(ordinal, neighbour, ORDERS, "order.placed", data)


def _receipt(ordinal: int, neighbour: Fact, lines: list[dict[str, Any]]) -> _Raw:
    data = {"location": "dc", "reference": f"odd-{ordinal}", "lines": lines}
    return _envelope(ordinal, neighbour, RECEIPTS, "wms.receipt", data)


def _not_json(ordinal: int, neighbour: Fact) -> _Raw:
    topic, key, headers, value = _sale(ordinal, neighbour)
    return topic, key, headers, (value or b"")[:-2]


def _not_utf8(ordinal: int, neighbour: Fact) -> _Raw:
    return _with_value(_sale(ordinal, neighbour), b'"odd"', b'"odd\xff\xfe"')


def _deep(ordinal: int, neighbour: Fact) -> _Raw:
    deep = b"[" * _DEPTH + b"]" * _DEPTH
    return _with_value(_sale(ordinal, neighbour, lines=0), b'"lines":0', b'"lines":' + deep)


def _too_large(ordinal: int, neighbour: Fact) -> _Raw:
    # One of 10 MB is enough; the others are just over the limit.
    length = _HUGE_BYTES if ordinal < len(KINDS) else MESSAGE_BYTES_MAX
    return _sale(ordinal, neighbour, receipt="x" * length)


def _far_future(ordinal: int, neighbour: Fact) -> _Raw:
    far = "2999-01-01T00:00:00Z"
    return _envelope(ordinal, neighbour, SALES, "pos.sale", _sale_data(ordinal), time=far)


def _misspelt(ordinal: int, neighbour: Fact) -> _Raw:
    return _sale(ordinal, neighbour, lines=[{"sku": ODD_SKU, "quantty": 1}])


def _tombstone(_ordinal: int, _neighbour: Fact) -> _Raw:
    return SALES, "dc", (), None


def _both_modes(ordinal: int, neighbour: Fact) -> _Raw:
    topic, key, headers, value = _sale(ordinal, neighbour)
    return topic, key, (*headers, ("ce_id", b"odd"), ("ce_specversion", b"1.0")), value


def _many_lines(ordinal: int, neighbour: Fact) -> _Raw:
    lines = [{"sku": f"odd-{i}", "quantity": 1} for i in range(_LINES)]
    return _sale(ordinal, neighbour, lines=lines)


def _duplicate_keys(ordinal: int, neighbour: Fact) -> _Raw:
    raw = _receipt(ordinal, neighbour, [{"sku": ODD_SKU, "quantity": 1}])
    return _with_value(raw, b'"location":"dc"', b'"location":"nowhere","location":"dc"')


_TWICE = [{"sku": ODD_SKU, "quantity": 1}, {"sku": ODD_SKU, "quantity": 2}]

KINDS: tuple[tuple[str, Kind, _Make], ...] = (
    ("not_json", "bad", _not_json),
    ("not_utf8", "bad", _not_utf8),
    ("deep_nesting", "bad", _deep),
    ("too_large", "bad", _too_large),
    ("missing_field", "bad", lambda n, fact: _sale(n, fact, location=None)),
    (
        "missing_attribute",
        "bad",
        lambda n, fact: _envelope(n, fact, SALES, "pos.sale", {}, id=None),
    ),
    ("misspelt_field", "bad", _misspelt),
    ("quantity_zero", "bad", lambda n, fact: _line(n, fact, 0)),
    ("quantity_negative", "bad", lambda n, fact: _line(n, fact, -1)),
    ("quantity_float", "bad", lambda n, fact: _line(n, fact, 1.0)),
    ("quantity_text", "bad", lambda n, fact: _line(n, fact, "1")),
    ("quantity_beyond_64_bits", "bad", lambda n, fact: _line(n, fact, 2**63)),
    ("unknown_type", "bad", lambda n, fact: _envelope(n, fact, SALES, "pos.sold", {})),
    ("unknown_location", "bad", lambda n, fact: _sale(n, fact, location="nowhere")),
    ("unknown_channel", "bad", lambda n, fact: _order(n, fact, channel="nowhere")),
    ("time_in_future", "bad", _far_future),
    ("no_lines", "bad", lambda n, fact: _sale(n, fact, lines=[])),
    ("too_many_lines", "bad", _many_lines),
    ("same_sku_counted_twice", "bad", lambda n, fact: _count(n, fact, _TWICE)),
    ("tombstone", "bad", _tombstone),
    ("both_modes", "bad", _both_modes),
    ("nul_in_sku", "bad", lambda n, fact: _sale(n, fact, lines=[{"sku": "a\0b", "quantity": 1}])),
    ("control_character_in_order", "bad", lambda n, fact: _order(n, fact, order="a\x07b")),
    ("duplicate_json_keys", "good", _duplicate_keys),
    ("same_sku_received_twice", "good", lambda n, fact: _receipt(n, fact, _TWICE)),
    (
        "brace_in_sku",
        "good",
        lambda n, fact: _receipt(n, fact, [{"sku": BRACE_SKU, "quantity": 1}]),
    ),
)
