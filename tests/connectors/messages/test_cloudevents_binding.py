"""CloudEvents 1.0 on Kafka, rule by rule: the section, the rule in our words, a message, and what becomes of it.

`Kafka 3.2.1` is a section of the Kafka protocol binding, `JSON 2.2` of the JSON event format, `Core` a heading of the
specification itself. Rows of `STRICTER` are what the standard would allow and Penstock refuses on purpose.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.log.base import Record
from connectors.messages.cloudevents import STRUCTURED, Envelope, Malformed, parse, structured
from flows.services.corrections.append_events import Target
from state.events.rejection import Rejection
from state.events.validation import decode

Headers = tuple[tuple[str, bytes], ...]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "messages.md"
DATA = b'{"location":"s001","receipt":"r1","lines":[{"sku":"A1","quantity":2}]}'
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/pos/s001",
    "type": "pos.sale",
    "time": "2026-01-01T00:00:00Z",
}
JSON_TYPE = ("content-type", b"application/json")
EVENT_TYPE = ("content-type", b"application/cloudevents+json")


def value(data: object = orjson.Fragment(DATA), **changed: Any) -> bytes:
    """An event in structured mode; attributes changed, or left out when `...`."""
    members = {**ATTRIBUTES, **changed, "data": data}
    return orjson.dumps({name: each for name, each in members.items() if each is not ...})


def headers(
    *more: tuple[str, bytes], content_type: bytes | None = b"application/json", **changed: Any
) -> Headers:
    """The headers of an event in binary mode; attributes changed, or left out when `...`."""
    texts = {name: text for name, text in {**ATTRIBUTES, **changed}.items() if text is not ...}
    named = tuple((f"ce_{name}", text.encode()) for name, text in texts.items())
    return ((("content-type", content_type),) if content_type else ()) + named + more


def content_type(text: str) -> Headers:
    return (("content-type", text.encode()),)


def but(name: str, text: object) -> dict[str, Any]:
    return {name: text}


@dataclass(frozen=True, slots=True)
class Row:
    """One rule. `expected` is a reason, or attributes of the envelope that differ from `ATTRIBUTES`."""

    section: str
    rule: str
    value: bytes | None
    headers: Headers = ()
    expected: str | dict[str, object] | None = None

    def __str__(self) -> str:
        return f"{self.section}: {self.rule}".replace(" ", "_")


STRUCTURED_ONLY = "expected application/cloudevents+json, got"

ACCEPTED = (
    Row("Kafka 1.3", "both modes are read: structured", value(), (EVENT_TYPE,)),
    Row("Kafka 1.3", "both modes are read: binary", DATA, headers()),
    Row("Kafka 1.4", "the JSON format is one of the event formats", value(), STRUCTURED),
    Row("Kafka 2.1", "data is bytes in the encoding that its type declares", DATA,
        headers(content_type=b"application/json; charset=utf-8")),
    Row("Kafka 3", "a content-type of CloudEvents means structured mode", value(), (EVENT_TYPE,)),
    Row("Kafka 3", "the media type is compared without regard to case", value(),
        content_type("Application/CLOUDEVENTS+Json")),
    Row("Kafka 3", "any other content-type means binary mode", DATA, headers()),
    Row("Kafka 3", "no content-type at all means binary mode", DATA, headers(content_type=None)),
    Row("Kafka 3.1", "a partitionkey is an attribute like others, and stays", value(partitionkey="s9")),
    Row("Kafka 3.1", "a partitionkey in binary mode", DATA, headers(("ce_partitionkey", b"s9"))),
    Row("Kafka 3.2.1", "content-type is the datacontenttype", DATA, headers(content_type=b"text/json")),
    Row("Kafka 3.2.1", "a type of the +json family", DATA, headers(content_type=b"application/vnd.shop+json")),
    Row("Kafka 3.2.3", "headers are UTF-8", DATA, headers(subject="Zürich 米"), {"subject": "Zürich 米"}),
    Row("Kafka 3.2.3", "nothing is percent-encoded", DATA, headers(subject="a%20b"), {"subject": "a%20b"}),
    Row("Kafka 3.2.3", "extensions are headers like others", DATA, headers(("ce_traceparent", b"00-1-2-3"))),
    Row("Kafka 3.2.3.1", "attributes carry the prefix ce_: other headers are none", DATA,
        headers(("id", b"other"), ("cetime", b"never"), ("traceparent", b"00-1-2-3"))),
    Row("Kafka 3.3.1", "content-type may carry parameters", value(),
        content_type("application/cloudevents+json; charset=UTF-8")),
    Row("Kafka 3.3.1", "a parameter may be quoted", value(),
        content_type('application/cloudevents+json;charset="utf-8"')),
    Row("Kafka 3.3.1", "an unknown parameter says nothing", value(),
        content_type("application/cloudevents+json; charset=utf-8; profile=shop")),
    Row("Kafka 3.3.1", "content-type may be absent", value()),
    Row("Kafka 3.3.1", "content-type may be absent among other headers", value(), (("traceparent", b"00-1-2-3"),)),
    Row("JSON 2", "extensions are members at the top", value(comexampleother=5, sampled=True)),
    Row("JSON 2.2", "a null attribute is as good as none", value(subject=None, datacontenttype=None)),
    Row("JSON 2.2", "a null extension is as good as none", value(traceparent=None)),
    Row("JSON 3.1.1", "a datacontenttype with the subtype json", value(datacontenttype="text/json")),
    Row("JSON 3.1.1", "a datacontenttype of the +json family, with parameters",
        value(datacontenttype="Application/vnd.shop+JSON; v=1")),
    Row("JSON 3.1.2", "no datacontenttype means JSON", value(datacontenttype=...)),
    Row("Core, Type System", "a string is any text without controls and noncharacters", value(id="\U0001f6d2 ß"),
        expected={"id": "\U0001f6d2 ß"}),
    Row("Core, Type System", "a surrogate pair is one character", value(id="X").replace(b"X", rb"\ud83d\uded2"),
        expected={"id": "\U0001f6d2"}),
    Row("Core, Type System", "a time is RFC 3339, small letters and fractions allowed",
        value(time="2026-01-01t01:30:00.000+01:30")),
    Row("Core, subject", "a subject may be there", value(subject="s"), expected={"subject": "s"}),
    Row("Core, dataschema", "a schema may be named", value(dataschema="https://shop.example/sale.json")),
    Row("Core, Size Limits", "64 KB are read", value(note="x" * 65_536)),
)  # fmt: skip

REFUSED = (
    Row("Kafka 1.3", "there are no batches", b"[]", content_type("application/cloudevents-batch+json"),
        f'content-type: {STRUCTURED_ONLY} "application/cloudevents-batch+json"'),
    Row("Kafka 3", "an event format that cannot be read", b"\0", content_type("application/cloudevents+avro"),
        f'content-type: {STRUCTURED_ONLY} "application/cloudevents+avro"'),
    Row("Kafka 3", "in binary mode the attributes must be there", value(), content_type("application/json"),
        'content-type: expected application/cloudevents+json or ce_ headers, got "application/json"'),
    Row("Kafka 3.2.3", "values of headers are UTF-8", DATA, headers(("ce_subject", b"\xff")),
        'ce_subject: expected UTF-8, got "\\\\xff"'),
    Row("Kafka 3.2.3", "so are those of extensions", DATA, headers(("ce_traceparent", b"\xff")),
        'ce_traceparent: expected UTF-8, got "\\\\xff"'),
    Row("Kafka 3.2.3", "a header without a value is no text", DATA, headers(("ce_subject", b"")),
        'ce_subject: expected text of 1 to 512 characters, got ""'),
    Row("JSON 2.2", "a null in place of a required attribute", value(id=None), (),
        "id: expected text of 1 to 512 characters, got nothing"),
    Row("JSON 2.2", "a string is a JSON string", value(id=7), (), "id: expected text of 1 to 512 characters, got 7"),
    Row("JSON 2.2", "a time is a JSON string", value(time=1_767_225_600), (),
        "time: expected an RFC 3339 time with an offset, got 1767225600"),
    Row("JSON 3", "an event is one JSON object", b'"event"', (), 'value: expected a JSON object, got "event"'),
    Row("JSON 3", "in UTF-8", b'{"id":"\xff"}', (), "value: expected UTF-8, got byte 0xff at 7"),
    Row("JSON 3.1.1", "data and data_base64 exclude each other", value(data_base64="e30="), (),
        "data_base64: expected JSON in data, got data_base64"),
    Row("JSON 4", "a batch is another format", b"[" + value() + b"]", (EVENT_TYPE,),
        "value: expected a JSON object, got [{"),
    Row("Core, Context Attributes", "an attribute appears once", DATA, headers(("ce_id", b"e2")),
        "ce_id: expected one header, got several"),
    Row("Core, Context Attributes", "an extension appears once", DATA, headers(("ce_x", b"1"), ("CE_X", b"1")),
        "ce_x: expected one header, got several"),
    Row("Core, Naming Conventions", "names are in small letters", value(id=..., ID="e1"), (),
        "id: expected text of 1 to 512 characters, got nothing"),
    *(Row(f"Core, {name}", "is required, structured", value(**but(name, ...)), (), f"{name}: expected ")
      for name in ("id", "source", "type", "specversion")),
    *(Row(f"Core, {name}", "is required, binary", DATA, headers(**but(name, ...)), f"ce_{name}: expected ")
      for name in ("id", "source", "type", "specversion")),
    *(Row(f"Core, {name}", "is not empty, structured", value(**but(name, "")), (), f"{name}: expected ")
      for name in ("id", "source", "type", "specversion", "subject", "datacontenttype")),
    *(Row(f"Core, {name}", "is not empty, binary", DATA, headers(**but(name, "")), f"ce_{name}: expected ")
      for name in ("id", "source", "type", "specversion", "subject")),
    Row("Core, specversion", "is 1.0", value(specversion="0.3"), (), 'specversion: expected "1.0", got "0.3"'),
    Row("Core, specversion", "is 1.0 in binary mode", DATA, headers(specversion="2.0"),
        'ce_specversion: expected "1.0", got "2.0"'),
    Row("Core, Type System", "no control characters", value(id="a\x85"), (),
        'id: expected no control characters, got "a\\u0085"'),
    Row("Core, Type System", "no noncharacters", value(source="a\ufdd0"), (),
        'source: expected no Unicode noncharacters, got "a\\ufdd0"'),
    Row("Core, Type System", "no noncharacters at the end of a plane", DATA, headers(id="a\U0001ffff"),
        'ce_id: expected no Unicode noncharacters, got "a\\u1ffff"'),
    Row("Core, Type System", "no half of a surrogate pair", value(id="X").replace(b"X", rb"\ud83d"), (),
        "value: expected JSON, got"),
    Row("Core, time", "is RFC 3339, with an offset", value(time="2026-01-01T00:00:00"), (),
        'time: expected an RFC 3339 time with an offset, got "2026-01-01T00:00:00"'),
    Row("Core, time", "is RFC 3339 in binary mode", DATA, headers(time="yesterday"),
        'ce_time: expected an RFC 3339 time with an offset, got "yesterday"'),
)  # fmt: skip

STRICTER = (
    Row("Kafka 2.1", "another charset", DATA, headers(content_type=b"application/json; charset=utf-16"),
        'content-type: expected application/json, got "application/json; charset=utf-16"'),
    Row("Kafka 3.2.1", "another `datacontenttype`", DATA, headers(content_type=b"application/avro"),
        'content-type: expected application/json, got "application/avro"'),
    Row("Kafka 3.2.1", "another `datacontenttype`, which some write as ce_", DATA,
        headers(content_type=None, datacontenttype="text/xml"),
        'ce_datacontenttype: expected application/json, got "text/xml"'),
    Row("Kafka 3.2.2", "`time` and data are required", None, headers(), "value: expected data, got a tombstone"),
    Row("Kafka 3.2.2", "`time` and data are required: an empty value", b"", headers(),
        "data: expected JSON, got nothing"),
    Row("Kafka 3.3.1", "another charset", value(), content_type("application/cloudevents+json; charset=utf-16"),
        f'content-type: {STRUCTURED_ONLY} "application/cloudevents+json; charset=utf-16"'),
    Row("Kafka 3.3.2", "`time` and data are required: an event without data", value(...), (EVENT_TYPE,),
        "data: expected JSON, got nothing"),
    Row("Kafka 3.3.3", "`ce_` headers beside a structured `content-type`", value(),
        (EVENT_TYPE, *headers(content_type=None)),
        "headers: expected one CloudEvents mode, got a structured content-type and ce_ headers"),
    Row("Kafka 3", "a structured event under `ce_` headers", value(), headers(),
        "headers: expected one CloudEvents mode, got ce_ headers and a structured value"),
    Row("JSON 3.1.2", "`data_base64`", value(..., data_base64="e30="), (),
        "data_base64: expected JSON in data, got data_base64"),
    Row("JSON 3.1.2", "another `datacontenttype`", value("<sale/>", datacontenttype="application/xml"), (),
        'datacontenttype: expected application/json, got "application/xml"'),
    Row("Core, time", "`time` and data are required", value(time=...), (),
        "time: expected an RFC 3339 time with an offset, got nothing"),
    Row("Core, time", "leap second", value(time="2016-12-31T23:59:60Z"), (), "time: expected a time that exists, got"),
    Row("Core, time", "years 1970 to 9999", value(time="1969-12-31T23:59:59Z"), (),
        "time: expected a time in the years 1970 to 9999 UTC, got"),
    Row("Core, id", "at most 512 characters", value(id="x" * 513), (), "id: expected text of 1 to 512 characters, got"),
)  # fmt: skip

LENIENT = (
    Row("Kafka 3", "without any header", value()),
    Row(
        "Kafka 3",
        "`application/cloudevents` means JSON",
        value(),
        content_type("application/cloudevents"),
    ),
    Row("Kafka 3.2.1", "a missing `content-type` in binary mode", DATA, headers(content_type=None)),
    Row(
        "Kafka 3.2.3.1",
        "names of headers",
        DATA,
        tuple((name.upper(), raw) for name, raw in headers()),
    ),
    Row("Core, source", "`source` is text", value(source="till 7"), expected={"source": "till 7"}),
    Row("Core, dataschema", "`dataschema`", value(dataschema="")),
    Row("Core, Type System", "whatever they hold", value(Other_One={"a": [1]})),
)


def read(row: Row) -> Envelope | Malformed:
    return parse(Record("pos.sales", 0, 1, 0, b"k", row.headers, row.value))


@pytest.mark.parametrize("row", [*ACCEPTED, *LENIENT], ids=str)
def test_what_the_standard_allows_is_read(row: Row) -> None:
    found = read(row)
    assert isinstance(found, Envelope), found
    changed = row.expected if isinstance(row.expected, dict) else {}
    whole = {**ATTRIBUTES, "subject": None, **changed}
    assert {name: getattr(found, name) for name in ("id", "source", "type", "subject")} == {
        name: whole[name] for name in ("id", "source", "type", "subject")
    }
    assert found.time_ms == 1_767_225_600_000
    assert bytes(found.data) == DATA


@pytest.mark.parametrize("row", [*REFUSED, *STRICTER], ids=str)
def test_what_breaks_a_rule_is_refused_in_words(row: Row) -> None:
    found = read(row)
    assert isinstance(found, Malformed), found
    assert isinstance(row.expected, str)
    assert found.reason.startswith(row.expected)


@pytest.mark.parametrize("row", [*STRICTER, *LENIENT], ids=str)
def test_where_penstock_departs_from_the_standard_the_page_on_messages_says_so(row: Row) -> None:
    chapter = PAGE.read_text(encoding="utf-8").partition("## CloudEvents, to the letter")[2]
    words = " ".join(chapter.partition("\n## ")[0].lower().split())
    assert row.rule.partition(":")[0].partition(",")[0].lower() in words


def test_json_3_1_1_a_null_in_data_is_a_payload_and_not_its_absence() -> None:
    found = read(Row("", "", value(None)))
    assert isinstance(found, Envelope)
    assert decode(found.type, found.data) == Rejection("data: expected object, got null")


def test_json_3_1_2_a_string_in_data_is_not_read_as_json_once_more() -> None:
    found = read(Row("", "", value(DATA.decode())))
    assert isinstance(found, Envelope)
    refused = decode(found.type, found.data)
    assert isinstance(refused, Rejection)
    assert refused.reason.startswith('data: expected object, got "{')


def test_kafka_3_2_2_in_binary_mode_the_value_is_the_data_byte_by_byte() -> None:
    spaced = b' {"a" : [1.50, "\\u00fc"]}\n'
    found = read(Row("", "", spaced, headers()))
    assert isinstance(found, Envelope)
    assert found.data == spaced


def test_kafka_3_1_the_key_that_was_given_is_the_key_and_nothing_is_added_to_the_event() -> None:
    line = value(partitionkey="s9")
    given = Target(key=b"mine").message(line)
    by_default = Target().message(line)
    assert (given.key, by_default.key) == (b"mine", b"s001")
    assert given.value == by_default.value == line


def test_json_3_what_is_written_carries_its_media_type_and_all_attributes_as_strings() -> None:
    assert STRUCTURED == (EVENT_TYPE,)
    members = orjson.loads(structured("e1", "/penstock", "stock.updated", 1_767_225_600_000, {}))
    assert members == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/penstock",
        "type": "stock.updated",
        "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {},
    }


def test_every_row_has_a_name_of_its_own() -> None:
    names = [str(row) for row in (*ACCEPTED, *REFUSED, *STRICTER)]
    assert len(set(names)) == len(names)
