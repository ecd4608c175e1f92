"""The page on bad input, walked: each kind it names is sent, and ends as the page says."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.log.base import Record
from connectors.messages.cloudevents import Malformed, parse
from state.events.messages import Event
from state.events.normalise import effects
from state.events.ops import Op
from state.events.rejection import Rejection
from state.events.timestamps import rfc3339_ms
from state.events.validation import decode
from state.policy.compiled import Compiled
from state.policy.document import Channel, Location, Policy

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "bad-input.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+?) \| (refused|accepted) \| (.+?) \|$", PAGE, re.MULTILINE)

NOW_MS = rfc3339_ms("2026-12-01T08:00:00Z")
POLICY = Compiled(
    Policy(
        locations=(Location("s001", "store"), Location("wh-ec", "warehouse")),
        channels=(Channel("shopee"),),
    )
)
LINE: dict[str, Any] = {"sku": "A1", "quantity": 2}
SALE = {"location": "s001", "receipt": "r1", "lines": [LINE]}
CE = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_source", b"/pos"),
    ("ce_type", b"pos.sale"),
)
BINARY = (*CE, ("ce_time", b"2026-12-01T08:00:00Z"), ("content-type", b"application/json"))
STRUCTURED = ("content-type", b"application/cloudevents+json")


def event(data: object = SALE, **attributes: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "e1",
        "source": "/pos",
        "type": "pos.sale",
        "time": "2026-12-01T08:00:00Z",
        "data": data,
        **attributes,
    }


def record(value: object, *headers: tuple[str, bytes]) -> Record:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record("pos.sales", 0, 1, NOW_MS, None, headers, raw)


def quantity(number: str) -> Record:
    return record(json.dumps(event()).replace('"quantity": 2', f'"quantity": {number}').encode())


def without(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key != name}


def sale(**changes: Any) -> Record:
    return record(event({**SALE, **changes}))


def sku(text: str) -> Record:
    return sale(lines=[{**LINE, "sku": text}])


TWICE = [LINE, LINE]
COUNT = {"location": "s001", "counted_at": "2026-12-01T07:00:00Z", "lines": [LINE]}
ORDER = {"order": "o1", "channel": "shopee", "lines": [LINE]}
DEEP = b"[" * 100_000 + b"]" * 100_000

KINDS: dict[str, Record] = {
    "a tombstone": record(None),
    "an empty value": record(b""),
    "not JSON": record(b"sku=A1"),
    "JSON, but no object": record([1]),
    "not UTF-8": record(json.dumps(event()).encode().replace(b"A1", b"\xff1")),
    "10 MB": record(event({**SALE, "receipt": "x" * 10_000_000})),
    "nested 100,000 deep": record(b'{"data": ' + DEEP + b"}"),
    "an attribute missing": record(without(event(), "id")),
    "`time` without an offset": record(event(time="2026-12-01T08:00:00")),
    "`time` more than 24 h after the log timestamp": record(event(time="2099-01-01T00:00:00Z")),
    "an unknown type": record(event(type="pos.sail")),
    "both CloudEvents modes at once": record(event(), *CE, STRUCTURED),
    "NUL in the id of an event": record(event(id="e\0")),
    "binary mode without a value": record(None, *BINARY),
    "`data_base64`": record({**without(event(), "data"), "data_base64": "e30="}),
    "a field missing": record(event(without(SALE, "location"))),
    "a misspelt field": sale(lines=[{"sku": "A1", "quantty": 2}]),
    "an optional field that is null": sale(order=None),
    "quantity 0": quantity("0"),
    "quantity negative": quantity("-2"),
    "quantity a float": quantity("2.5"),
    "quantity 2.0": quantity("2.0"),
    "quantity a string": quantity('"2"'),
    "quantity 2^63": quantity(str(2**63)),
    "quantity 1e400": quantity("1e400"),
    "quantity 0 in an adjustment": record(
        event(
            {"location": "s001", "reason": "x", "actor": "y", "lines": [{**LINE, "quantity": 0}]},
            type="wms.adjustment",
        )
    ),
    "no lines": sale(lines=[]),
    "10,000 lines": sale(lines=[LINE] * 10_000),
    "an unknown location": sale(location="s999"),
    "an unknown channel": record(event({**ORDER, "channel": "ebay"}, type="order.placed")),
    "a transfer from a location to itself": record(
        event(
            {"transfer": "t", "from": "wh-ec", "to": "wh-ec", "stage": "shipped", "lines": [LINE]},
            type="wms.transfer",
        )
    ),
    "a count of the far future": record(
        event({**COUNT, "counted_at": "2099-01-01T00:00:00Z"}, type="wms.count")
    ),
    "the same SKU twice, absolute": record(event({**COUNT, "lines": TWICE}, type="wms.count")),
    "the same SKU twice": sale(lines=TWICE),
    "NUL in an id": sku("A\0"),
    "a line break in an id": sku("A\n1"),
    "DEL in an id": sku("A\x7f"),
    "an id of 129 characters": sku("A" * 129),
    "an empty id": sku(""),
    "half of a surrogate pair": sku("\ud800"),
    "a hash tag brace in a SKU": sku("{7}"),
    "a letter beyond ASCII, a space or a quote in an id": sku("米 '1\""),
    "the same JSON key twice": record(
        json.dumps(event()).replace('"quantity": 2', '"quantity": 0, "quantity": 2').encode()
    ),
    "an order cancelled that nobody placed": record(
        event({"order": "never"}, type="order.cancelled")
    ),
}


def outcome(message: Record) -> tuple[Op, ...] | str:
    envelope = parse(message)
    if isinstance(envelope, Malformed):
        return envelope.reason
    data = decode(envelope.type, envelope.data)
    if isinstance(data, Rejection):
        return data.reason
    result = effects(
        Event(envelope.id, envelope.source, envelope.type, envelope.time_ms, data),
        message.timestamp_ms,
        POLICY,
    )
    return result.reason if isinstance(result, Rejection) else result


def test_the_page_and_the_messages_sent_here_name_the_same_kinds() -> None:
    assert [kind for kind, _, _ in ROWS] == list(KINDS)


@pytest.mark.parametrize(("kind", "verdict", "text"), ROWS, ids=[kind for kind, _, _ in ROWS])
def test_bad_input_ends_as_the_page_says(kind: str, verdict: str, text: str) -> None:
    result = outcome(KINDS[kind])
    if verdict == "refused":
        assert f"`{result}`" == text
    else:
        assert isinstance(result, tuple)
        assert result
