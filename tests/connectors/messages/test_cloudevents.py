import sys

import msgspec
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.log.base import Record
from connectors.messages.cloudevents import Envelope, Malformed, parse, structured
from connectors.messages.limits import MAX_MESSAGE_BYTES

Headers = tuple[tuple[str, bytes], ...]

DATA = b'{"location":"s001","receipt":"r1","lines":[{"sku":"A1","quantity":2}]}'
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/pos/s001",
    "type": "pos.sale",
    "time": "2026-01-01T00:00:00Z",
}
STRUCTURED = (("content-type", b"application/cloudevents+json"),)
BINARY: Headers = (
    *((f"ce_{name}", text.encode()) for name, text in ATTRIBUTES.items()),
    ("content-type", b"application/json"),
)


def record(value: bytes | None, headers: Headers = ()) -> Record:
    return Record("pos.sales", 0, 1, 0, b"s001", headers, value)


def event(data: bytes = DATA, **changes: object) -> bytes:
    """Return a structured event, with attributes changed, or left out when None."""
    members = {**ATTRIBUTES, **changes, "data": orjson.Fragment(data)}
    return orjson.dumps({name: value for name, value in members.items() if value is not None})


def envelope(value: bytes | None, headers: Headers = ()) -> Envelope:
    found = parse(record(value, headers))
    assert isinstance(found, Envelope), found
    return found


def reason(value: bytes | None, headers: Headers = ()) -> str:
    found = parse(record(value, headers))
    assert isinstance(found, Malformed), found
    return found.reason


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (event(), ()),
        (event(), (("traceparent", b"00-1-2-3"),)),
        (event(), STRUCTURED),
        (event(), (("Content-Type", b"Application/CloudEvents+JSON; charset=UTF-8"),)),
        (event(), (("content-type", b"application/cloudevents"),)),
        (event(subject=None, datacontenttype="application/json"), ()),
        (event(datacontenttype="Application/vnd.shop+json; v=1"), ()),
        (event(extension=5, other={"a": [1]}), ()),
        (DATA, BINARY),
        (DATA, BINARY[:-1]),
        (DATA, tuple((name.upper(), raw) for name, raw in BINARY)),
    ],
)
def test_an_event_reads_the_same_in_every_mode(value: bytes, headers: Headers) -> None:
    found = envelope(value, headers)
    assert (found.id, found.source, found.type) == ("e1", "/pos/s001", "pos.sale")
    assert found.time_ms == 1_767_225_600_000
    assert found.subject is None
    assert bytes(found.data) == DATA


def test_a_null_attribute_is_as_good_as_none() -> None:
    value = event()[:-1] + b',"subject":null,"data_base64":null,"datacontenttype":null}'
    assert envelope(value).subject is None


def test_of_a_key_that_comes_twice_the_last_one_counts() -> None:
    assert envelope(b'{"id":"first",' + event()[1:]).id == "e1"
    assert envelope(event()[:-1] + b',"id":"last"}').id == "last"
    # The long way round, which an event takes that is unusual in something else.
    assert envelope(event(datacontenttype="text/json")[:-1] + b',"id":"last"}').id == "last"


@pytest.mark.parametrize("subject", ["s", "Zürich\u00a0Nord", "\U0001f6d2"])
def test_attributes_may_hold_any_text_without_control_characters(subject: str) -> None:
    found = envelope(event(subject=subject, id=subject))
    assert (found.subject, found.id) == (subject, subject)


def test_data_of_any_kind_of_json_is_passed_on_unread() -> None:
    for data in (b"null", b"[]", b"1e400", b'{"a":1,"a":2}'):
        assert bytes(envelope(event(data)).data) == data
        assert bytes(envelope(data, BINARY).data) == data


TIME = "time: expected an RFC 3339 time with an offset"
TEXT = "expected text of 1 to 512 characters"
BOTH = "headers: expected one CloudEvents mode, got"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "value: expected an event, got a tombstone"),
        (b"", 'value: expected JSON, got "" (Input data was truncated)'),
        (b"nope", 'value: expected JSON, got "nope" ('),
        (event()[:-1], 'value: expected JSON, got "{\\"specversion\\"'),
        (event() + b"x", "(JSON is malformed: trailing characters"),
        (b"\xff\xfe", "value: expected UTF-8, got byte 0xff at 0"),
        (event(b'{"a":"\xc3"}'), "value: expected UTF-8, got byte 0xc3 at"),
        (b"[1]", "value: expected a JSON object, got [1]"),
        (b'"\\u0000"', 'value: expected a JSON object, got "\\u0000"'),
        (b"{}", 'specversion: expected "1.0", got nothing'),
        (event(specversion="0.3"), 'specversion: expected "1.0", got "0.3"'),
        (event(specversion=1.0), 'specversion: expected "1.0", got 1.0'),
        (event(id=None), f"id: {TEXT}, got nothing"),
        (event(id=7), f"id: {TEXT}, got 7"),
        (event(id=""), f'id: {TEXT}, got ""'),
        (event(id="x" * 513), f'id: {TEXT}, got "' + "x" * 76 + "..."),
        (event(id={"a": 1}), f'id: {TEXT}, got {{"a":1}}'),
        (event(id="a\0b"), 'id: expected no control characters, got "a\\u0000b"'),
        (event(source="a\x9fb"), 'source: expected no control characters, got "a\\u009fb"'),
        (event(source=[]), f"source: {TEXT}, got []"),
        (event(type=None), f"type: {TEXT}, got nothing"),
        (event(subject=""), f'subject: {TEXT}, got ""'),
        (event(time=None), f"{TIME}, got nothing"),
        (event(time="2026-01-01T00:00:00"), f'{TIME}, got "2026-01-01T00:00:00"'),
        (event(time="2026-02-30T00:00:00Z"), "time: expected a time that exists, got"),
        (event(time=1_767_225_600), f"{TIME}, got 1767225600"),
        (event(datacontenttype="text/xml"), "datacontenttype: expected application/json, got"),
        (event()[:-1] + b',"data_base64":"AA=="}', "data_base64: expected JSON in data, got"),
        (event().replace(b'"data"', b'"dato"'), "data: expected JSON, got nothing"),
        (b"x" * (MAX_MESSAGE_BYTES + 1), "value: expected at most 1048576 bytes, got 1048577"),
        (b"[" * 100_000, "value: expected at most 64 levels of nesting, got more"),
        (event(b"[" * 65 + b"]" * 65), "value: expected at most 64 levels of nesting, got more"),
    ],
)
def test_a_structured_message_that_is_no_event_says_why(value: bytes | None, expected: str) -> None:
    assert expected in reason(value)


@pytest.mark.parametrize(
    ("value", "headers", "expected"),
    [
        (event(), BINARY, f"{BOTH} ce_ headers and a structured value"),
        (event(), STRUCTURED + BINARY[:5], f"{BOTH} a structured content-type and ce_ headers"),
        (DATA, STRUCTURED, 'specversion: expected "1.0", got nothing'),
        (
            event(),
            (("content-type", b"application/json"),),
            'expected application/cloudevents+json or ce_ headers, got "application/json"',
        ),
        (
            b"[]",
            (("content-type", b"application/cloudevents-batch+json"),),
            'cloudevents+json, got "application/cloudevents-batch+json"',
        ),
        (b"", (("content-type", b"application/cloudevents+avro"),), "content-type: expected"),
        (event(), (("content-type", b"\xff"),), "content-type: expected UTF-8, got"),
        (None, BINARY, "value: expected data, got a tombstone"),
        (b"", BINARY, "data: expected JSON, got nothing"),
        (b"{", BINARY, 'data: expected JSON, got "{" (Input data was truncated)'),
        (b"\xff", BINARY, "value: expected UTF-8, got byte 0xff at 0"),
        (DATA, BINARY[1:], 'ce_specversion: expected "1.0", got nothing'),
        (DATA, BINARY[:4], "ce_time: expected an RFC 3339 time with an offset, got nothing"),
        (DATA, (*BINARY, ("ce_id", b"e2")), "ce_id: expected one header, got several"),
        (DATA, (("ce_id", b"\xff"),), "ce_id: expected UTF-8, got"),
        (
            DATA,
            (*BINARY[:-1], ("content-type", b"text/plain")),
            'content-type: expected application/json, got "text/plain"',
        ),
    ],
)
def test_headers_that_do_not_fit_say_why(
    value: bytes | None, headers: Headers, expected: str
) -> None:
    assert expected in reason(value, headers)


def test_the_word_specversion_inside_the_data_is_only_data() -> None:
    data = b'{"note":"specversion","deep":{"specversion":"1.0"}}'
    assert bytes(envelope(data, BINARY).data) == data


@pytest.mark.parametrize(
    "filler",
    ['"', '\\"', "[", "{", "]]", '"[{', '\\\\"', "plain", 'a" "b['],
)
def test_brackets_inside_strings_are_not_nesting(filler: str) -> None:
    flat = orjson.dumps([filler] * 200)
    assert bytes(envelope(event(flat)).data) == flat
    deep = b"[" * 62 + flat + b"]" * 62
    assert bytes(envelope(event(deep)).data) == deep
    deeper = b"[" * 63 + flat + b"]" * 63
    assert "levels of nesting" in reason(event(deeper))


def test_the_verdict_does_not_depend_on_how_deep_the_caller_stands() -> None:
    value = event(b"[" * 60 + b"]" * 60)

    def verdict(frames: int) -> Envelope | Malformed:
        return verdict(frames - 1) if frames else parse(record(value))

    # Room is left for the decoder, and no more.
    assert isinstance(verdict(sys.getrecursionlimit() - 300), Envelope)


def test_a_got_value_is_shortened() -> None:
    assert len(reason(event(id="\0" * 500))) < 160


def test_what_is_written_can_be_read() -> None:
    value = structured("e1", "/penstock", "stock.updated", 1_767_225_600_123, {"sku": "A1"})
    found = envelope(value)
    assert (found.id, found.source, found.type) == ("e1", "/penstock", "stock.updated")
    assert found.time_ms == 1_767_225_600_123
    assert orjson.loads(bytes(found.data)) == {"sku": "A1"}
    members = orjson.loads(value)
    assert members["datacontenttype"] == "application/json"
    assert members["time"] == "2026-01-01T00:00:00.123Z"


SEEDS = st.sampled_from([event(), DATA, b"{}", event(subject="ü", datacontenttype="a/json")])


@given(
    value=st.none()
    | st.binary(max_size=60)
    | st.builds(
        lambda seed, at, junk: seed[: at % len(seed)] + junk + seed[at % len(seed) + len(junk) :],
        SEEDS,
        st.integers(0, 400),
        st.binary(max_size=4) | st.sampled_from([b"null", b"[", b'"', b"\\", b"{}"]),
    ),
    headers=st.lists(
        st.sampled_from([*BINARY, *STRUCTURED])
        | st.tuples(st.text(max_size=5), st.binary(max_size=5)),
        max_size=7,
    ).map(tuple)
    | st.sampled_from([(), BINARY, STRUCTURED]),
)
@example(value="\ue000".encode(), headers=())
def test_no_message_whatsoever_raises(value: bytes | None, headers: Headers) -> None:
    found = parse(record(value, headers))
    if isinstance(found, Envelope):
        assert found.id
        assert found.time_ms >= 0
        msgspec.json.decode(found.data, type=msgspec.Raw)
    else:
        assert ": expected " in found.reason
        assert found.reason.isprintable()
        assert len(found.reason) < 250
