"""What is accepted, and the exact reason for what is not."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.events import validation
from state.events.messages import TYPES, Line, OrderCancelled, PosSale
from state.events.rejection import Rejection
from state.events.validation import DEPTH_MAX, decode

SALE = b'{"location":"s1","receipt":"r1","lines":[{"sku":"A","quantity":%s}]}'
LINE = {"sku": "A", "quantity": 1}
BIG = str(2**63)


def reason(type_name: str, data: object) -> str:
    result = decode(type_name, data if isinstance(data, bytes) else json.dumps(data).encode())
    assert isinstance(result, Rejection), result
    return result.reason


def sale(**changes: Any) -> dict[str, Any]:
    whole = {"location": "s1", "receipt": "r1", "lines": [LINE], **changes}
    return {name: value for name, value in whole.items() if value is not Ellipsis}


def test_a_sale_is_decoded_into_its_type() -> None:
    assert decode("pos.sale", SALE % b"3") == PosSale("s1", "r1", (Line("A", 3),))


def test_raw_json_out_of_an_envelope_is_decoded_without_a_detour() -> None:
    assert decode("pos.sale", msgspec.Raw(SALE % b"3")) == PosSale("s1", "r1", (Line("A", 3),))


@pytest.mark.parametrize(
    ("quantity", "tail"),
    [
        ("0", "integer >= 1, got 0"),
        ("-1", "integer >= 1, got -1"),
        ("-0", "integer >= 1, got 0"),
        ("1.0", "integer >= 1, got 1.0"),
        ("1e2", "integer >= 1, got 1e2"),
        ("1e400", "integer >= 1, got 1e400"),
        ('"1"', 'integer >= 1, got "1"'),
        ("true", "integer >= 1, got true"),
        ("null", "integer >= 1, got null"),
        ("[1]", "integer >= 1, got [1]"),
        ("1000000001", "integer <= 1000000000, got 1000000001"),
        (BIG, f"integer <= 1000000000, got {BIG}"),
        ("-" + BIG, f"integer >= 1, got -{BIG}"),
        ("9" * 5000, "integer <= 1000000000, got " + "9" * 77 + "..."),
        ("-" + "9" * 5000, "integer >= 1, got -" + "9" * 76 + "..."),
    ],
)
def test_a_quantity_is_a_plain_positive_integer(quantity: str, tail: str) -> None:
    assert reason("pos.sale", SALE % quantity.encode()) == f"lines[0].quantity: expected {tail}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (sale(location=...), "location: expected text of 1 to 128 characters, got nothing"),
        (sale(location=""), 'location: expected text of 1 to 128 characters, got ""'),
        (sale(location=None), "location: expected text of 1 to 128 characters, got null"),
        (sale(order=None), "order: expected text of 1 to 128 characters, got null"),
        (
            sale(receipt="x" * 129),
            'receipt: expected text of 1 to 128 characters, got "' + "x" * 76 + "...",
        ),
        (sale(lines=[]), "lines: expected 1 to 1000 lines, got 0"),
        (sale(lines=[LINE] * 10_000), "lines: expected 1 to 1000 lines, got 10000"),
        (sale(lines={}), "lines: expected array of 1 to 1000 lines, got {}"),
        (sale(lines=[LINE, 7]), "lines[1]: expected object, got 7"),
        (
            sale(lines=[LINE, {"sku": "A", "quantty": 1}]),
            "lines[1]: unknown field 'quantty'; did you mean 'quantity'?",
        ),
        (sale(zebra=1), "data: unknown field 'zebra'"),
        (sale(**{"a\n\x7f'": 1}), "data: unknown field 'a\\n\\u007f''"),
        ([], "data: expected object, got []"),
        (None, "data: expected object, got null"),
    ],
)
def test_a_reason_names_the_field_what_was_expected_and_what_came(
    data: object, expected: str
) -> None:
    assert reason("pos.sale", data) == expected


@pytest.mark.parametrize(
    ("type_name", "data", "expected"),
    [
        (
            "wms.adjustment",
            {
                "location": "s1",
                "reason": "r",
                "actor": "a",
                "lines": [LINE, {"sku": "B", "quantity": 0}],
            },
            "lines[1].quantity: expected integer other than 0, got 0",
        ),
        (
            "wms.count",
            {"location": "s1", "counted_at": "2026-12-01T00:00:00", "lines": [LINE]},
            'counted_at: expected RFC 3339 time with an offset, got "2026-12-01T00:00:00"',
        ),
        (
            "supplier.stock",
            {"location": "s1", "as_of": "2026-12-01T00:00:00Z", "lines": [LINE, LINE]},
            'lines[1].sku: expected each sku once in an absolute message, got "A" also on lines[0]',
        ),
        (
            "wms.transfer",
            {"transfer": "t", "from": "wh", "to": "wh", "stage": "shipped", "lines": [LINE]},
            'to: expected another location than from, got "wh"',
        ),
        (
            "wms.quality",
            {"location": "wh", "stage": "hodl", "lines": [LINE]},
            "stage: expected one of 'hold', 'release', 'scrap', got \"hodl\"",
        ),
        (
            "pos.return",
            {"location": "s1", "receipt": "r", "lines": [{**LINE, "condition": ["sellable"]}]},
            "lines[0].condition: expected one of 'damaged', 'sellable', got [\"sellable\"]",
        ),
        (
            "order.placed",
            {"order": "o", "channel": "c", "lines": [LINE], "ship_to": {"latitude": 90.5}},
            "ship_to.latitude: expected number from -90 to 90, got 90.5",
        ),
        (
            "order.cancelled",
            {"order": "o", "lines": None},
            "lines: expected array of 1 to 1000 lines, got null",
        ),
    ],
)
def test_the_rules_of_the_other_types_have_their_reasons(
    type_name: str, data: object, expected: str
) -> None:
    assert reason(type_name, data) == expected


def test_an_unknown_type_is_told_the_known_ones() -> None:
    text = reason("pos.sail", b"{}")
    assert text.startswith("type: expected one of order.cancelled, ")
    assert text.endswith(', got "pos.sail"')


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "data: expected JSON, got at character 0: Expecting value"),
        (b'{"order":"o"', "data: expected JSON, got at character 12: Expecting ',' delimiter"),
        (SALE % b"NaN", "data: expected JSON, got NaN"),
        (b'{"order":"\xff"}', "data: expected UTF-8, got byte 0xff"),
        (b"[" * 100_000, f"data: expected at most {DEPTH_MAX} levels of nesting, got more"),
        (b'{"order":"\\ud800"}', "order: expected Unicode text, got half of a surrogate pair"),
    ],
)
def test_text_that_is_not_json_is_refused(raw: bytes, expected: str) -> None:
    assert reason("order.cancelled", raw) == expected


@pytest.mark.parametrize("raw", [b'"\\u0000"', b'"\\u009F"', b'"\\n"', b'"\x7f"', b'"\xc2\x80"'])
def test_control_characters_in_ids_are_refused_however_they_are_written(raw: bytes) -> None:
    text = reason("order.cancelled", b'{"order":%s}' % raw)
    assert re.fullmatch(r'order: expected no control characters, got "\\\S+"', text), text


@pytest.mark.parametrize("order", ["{7}", "\\u0000", "é", "訂單", "😀", "a b", "\u00a0", "'\""])
def test_other_characters_in_ids_are_taken_as_they_are(order: str) -> None:
    for text in (json.dumps({"order": order}), json.dumps({"order": order}, ensure_ascii=False)):
        assert decode("order.cancelled", text.encode()) == OrderCancelled(order)


def test_a_note_may_hold_line_breaks() -> None:
    data = {"location": "s1", "reason": "r", "actor": "a", "note": "1\n2", "lines": [LINE]}
    assert not isinstance(decode("wms.adjustment", json.dumps(data).encode()), Rejection)


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert decode("order.cancelled", b'{"order":"a","order":"b"}') == OrderCancelled("b")
    assert decode("order.cancelled", b'{"order":1,"order":"b"}') == OrderCancelled("b")
    assert reason("order.cancelled", b'{"order":"b","order":1}').endswith("got 1")


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 2)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["A", "shipped", "damaged", "2026-12-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
_MOMENT = "2026-12-01T00:00:00Z"
_MEMBERS = {
    **dict.fromkeys(["location", "receipt", "order", "hold", "channel", "reference"], "x"),
    **dict.fromkeys(["reason", "actor", "note", "transfer", "from", "pickup"], "y"),
    **dict.fromkeys(["expected_at", "counted_at", "as_of"], _MOMENT),
    "to": "z",
    "ship_to": {"region": "n", "latitude": 1, "longitude": 1.5},
}


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A message of some type with members left out, replaced, misspelt, or bytes changed."""
    name = draw(st.sampled_from(sorted(TYPES)))
    fields = [field.encode_name for field in msgspec.structs.fields(TYPES[name])]
    data: dict[str, Any] = {field: _MEMBERS[field] for field in fields if field in _MEMBERS}
    if "stage" in fields:
        data["stage"] = draw(st.sampled_from(["shipped", "hold"]))
    line = {"sku": "A", "quantity": 2}
    if name.endswith(("return", "returned")):
        line["condition"] = "damaged"
    data["lines"] = [line, {**line, "sku": "B"}][: draw(st.integers(1, 2))]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from([data, data["lines"][0] if data.get("lines") else data]))
        if not isinstance(place, dict):
            continue
        key = draw(st.sampled_from(sorted(place))) if place else "lines"
        match draw(st.sampled_from(["drop", "replace", "misspell"])):
            case "drop":
                place.pop(key, None)
            case "replace":
                place[key] = draw(_JSON)
            case _:
                place[key + "x"] = 1
        if not isinstance(data.get("lines"), list):
            break
    raw = json.dumps(data, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 2)) :]
    return name, raw


@given(_mutated())
def test_whatever_comes_is_data_or_a_reason_and_both_paths_agree(
    message: tuple[str, bytes],
) -> None:
    name, raw = message
    result = decode(name, raw)
    slow = validation._decode_slowly(name, validation._DECODERS[name], raw)
    assert result == slow
    if isinstance(result, Rejection):
        assert ": " in result.reason
        assert "\n" not in result.reason
        assert len(result.reason) < 400
    else:
        again = msgspec.json.encode(result)
        assert decode(name, again) == result


@given(st.sampled_from(sorted(TYPES)), st.binary(max_size=50))
def test_any_bytes_are_data_or_a_reason(name: str, raw: bytes) -> None:
    assert isinstance(decode(name, raw), Rejection)
