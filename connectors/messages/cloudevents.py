"""CloudEvents 1.0: the envelope of every message, in structured and in binary mode.

Structured: the value is a JSON object that holds attributes and `data`; the header `content-type`
says `application/cloudevents+json`, or there are no such headers at all. Binary: headers
`ce_<attribute>`, and the value is the data. Names of headers and media types are compared without
regard to case.

Stricter than the standard, because every event here changes stock at a moment and JSON is its only
form: `time` and data are required, `data_base64` and batches are refused, attributes are bounded,
and one message may not carry both modes. More lenient: `source` may be any text; extension
attributes and `dataschema` are passed over, whatever they hold; a message without any header of
CloudEvents is read in structured mode. Of a JSON key that comes twice the last one counts.
`tests/connectors/messages/test_cloudevents_binding.py` goes through the standard rule by rule.

A message that is not such an event becomes `Malformed` with one exact reason, `field: expected X,
got Y`. The verdict depends on the message alone: the same on every machine and in every replay.
"""

import json
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
import orjson

from connectors.log.base import Record
from connectors.messages.limits import bounds_fault
from state.events.timestamps import ms_rfc3339, rfc3339_ms

MAX_ATTRIBUTE_CHARACTERS: Final = 512

STRUCTURED_JSON: Final = "application/cloudevents+json"
STRUCTURED: Final = (("content-type", STRUCTURED_JSON.encode()),)
"""The headers of a message in structured mode."""

_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "subject", "datacontenttype")
_OPTIONAL = frozenset({"subject", "datacontenttype"})
_PLAIN_JSON = (None, "application/json")
_NULL = msgspec.Raw(b"null")
_ONE_MODE = "headers: expected one CloudEvents mode"
_DECLARED = "ce_datacontenttype"

_SHOWN_CHARACTERS = 80
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LAST_OF_PLANES = "".join(chr(n + 0xFFFE) + chr(n + 0xFFFF) for n in range(0, 0x110000, 0x10000))
_NONCHARACTER = re.compile(f"[\ufdd0-\ufdef{_LAST_OF_PLANES}]")
_JSON_TYPE = re.compile(r"\s*[^/;\s]+/(?:[^/;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_STRUCTURED_TYPE = re.compile(r"\s*application/cloudevents(?:\+json)?\s*(?:;.*)?", re.IGNORECASE)
_OTHER_CHARSET = re.compile(r";\s*charset=(?!\"?(?:utf-8|us-ascii)\"?\s*(?:;|$))", re.IGNORECASE)


class Envelope(msgspec.Struct, frozen=True):
    """An event whose data was not looked at yet: `data` is JSON text, of whatever kind."""

    id: str
    source: str
    type: str
    time_ms: int
    subject: str | None
    data: msgspec.Raw | bytes


class Malformed(msgspec.Struct, frozen=True):
    """Why a message is no event."""

    reason: str


class _Structured(msgspec.Struct):
    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: str
    data: msgspec.Raw
    subject: str | None = None
    datacontenttype: str | None = None
    data_base64: None = None


class _Mode(msgspec.Struct):
    specversion: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_structured = msgspec.json.Decoder(_Structured).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_mode = msgspec.json.Decoder(_Mode).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


class _Fault(Exception):
    """Carries a reason up to `parse`."""


def parse(record: Record) -> Envelope | Malformed:
    """Read the envelope of a record; the data is checked to be JSON, and no further."""
    try:
        if record.headers:
            return _by_headers(record.headers, record.value)
        return _structured(record.value)
    except _Fault as fault:
        return Malformed(str(fault))


def structured(event_id: str, source: str, type_name: str, time_ms: int, data: object) -> bytes:
    """Return an event in structured mode; `data` is anything that orjson writes."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": type_name,
            "time": ms_rfc3339(time_ms),
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def shown(text: str) -> str:
    """Return a text for a reason: what is not printable escaped, at most 80 characters."""
    short = text[: _SHOWN_CHARACTERS + 1]
    if not short.isprintable():
        short = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short)
    return short if len(short) <= _SHOWN_CHARACTERS else short[: _SHOWN_CHARACTERS - 3] + "..."


def _structured(value: bytes | None) -> Envelope:
    if value is None:
        raise _Fault("value: expected an event, got a tombstone")
    _within_bounds(value)
    try:
        event = _decode_structured(value)
        time_ms = rfc3339_ms(event.time)
    except (msgspec.DecodeError, ValueError):
        return _structured_slowly(value)
    subject = event.subject
    # One check for all of them: what is not printable may be a control character.
    if (
        event.datacontenttype in _PLAIN_JSON
        and f"{event.id}{event.source}{event.type}{subject}".isprintable()
        and 0 < len(event.id) <= MAX_ATTRIBUTE_CHARACTERS
        and 0 < len(event.source) <= MAX_ATTRIBUTE_CHARACTERS
        and 0 < len(event.type) <= MAX_ATTRIBUTE_CHARACTERS
        and (subject is None or 0 < len(subject) <= MAX_ATTRIBUTE_CHARACTERS)
    ):
        return Envelope(event.id, event.source, event.type, time_ms, subject, event.data)
    return _structured_slowly(value)


def _structured_slowly(value: bytes) -> Envelope:
    try:
        members = _decode_members(value)
    except msgspec.ValidationError:
        raise _Fault(f"value: expected a JSON object, got {_shown_json(value)}") from None
    except msgspec.DecodeError as error:
        raise _Fault(f"value: expected JSON, got {_shown_bytes(value)} ({error})") from None
    texts: dict[str, str] = {}
    for name in _ATTRIBUTES:
        raw = members.get(name, _NULL)
        if raw != _NULL:
            try:
                texts[name] = _decode_text(raw)
            except msgspec.DecodeError:
                raise _Fault(
                    f"{name}: expected {_expected(name)}, got {_shown_json(raw)}"
                ) from None
    if members.get("data_base64", _NULL) != _NULL:
        raise _Fault("data_base64: expected JSON in data, got data_base64")
    envelope = _envelope(texts, "", members.get("data", msgspec.Raw()))
    content_type = texts.get("datacontenttype")
    if content_type is not None and not _JSON_TYPE.fullmatch(content_type):
        raise _Fault(f"datacontenttype: expected application/json, got {_quoted(content_type)}")
    return envelope


def _by_headers(headers: tuple[tuple[str, bytes], ...], value: bytes | None) -> Envelope:
    texts: dict[str, str] = {}
    for name, raw in headers:
        lower = name.lower()
        if lower != "content-type" and not lower.startswith("ce_"):
            continue
        if lower in texts:
            raise _Fault(f"{shown(lower)}: expected one header, got several")
        try:
            texts[lower] = raw.decode()
        except UnicodeDecodeError:
            raise _Fault(f"{shown(lower)}: expected UTF-8, got {_shown_bytes(raw)}") from None
    content_type = texts.pop("content-type", None)
    if content_type is not None and _media(content_type).startswith("application/cloudevents"):
        if texts:
            raise _Fault(f"{_ONE_MODE}, got a structured content-type and ce_ headers")
        if not _STRUCTURED_TYPE.fullmatch(content_type) or _OTHER_CHARSET.search(content_type):
            raise _Fault(f"content-type: expected {STRUCTURED_JSON}, got {_quoted(content_type)}")
        return _structured(value)
    if texts:
        return _binary(texts, content_type, value)
    if content_type is not None:
        raise _Fault(
            f"content-type: expected {STRUCTURED_JSON} or ce_ headers, got {_quoted(content_type)}"
        )
    return _structured(value)


def _binary(texts: Mapping[str, str], content_type: str | None, value: bytes | None) -> Envelope:
    if value is None:
        raise _Fault("value: expected data, got a tombstone")
    _within_bounds(value)
    for name, media in (("content-type", content_type), (_DECLARED, texts.get(_DECLARED))):
        # The second is none of the binding's: some senders write it instead of the first.
        if media is not None and (not _JSON_TYPE.fullmatch(media) or _OTHER_CHARSET.search(media)):
            raise _Fault(f"{name}: expected application/json, got {_quoted(media)}")
    envelope = _envelope({name[3:]: text for name, text in texts.items()}, "ce_", value)
    try:
        _decode_raw(value)
    except msgspec.DecodeError as error:
        raise _Fault(f"data: expected JSON, got {_shown_bytes(value)} ({error})") from None
    # The word alone may be data; only a member of that name makes the value an event itself.
    if (
        b'"specversion"' in value
        and value.lstrip().startswith(b"{")
        and _decode_mode(value).specversion is not msgspec.UNSET
    ):
        raise _Fault(f"{_ONE_MODE}, got ce_ headers and a structured value")
    return envelope


def _envelope(texts: Mapping[str, str], prefix: str, data: msgspec.Raw | bytes) -> Envelope:
    """Check the attributes in the order in which their faults are reported."""
    for name in _ATTRIBUTES:
        text = texts.get(name)
        if text is None:
            if name in _OPTIONAL:
                continue
            raise _Fault(f"{prefix}{name}: expected {_expected(name)}, got nothing")
        if _CONTROL.search(text):
            raise _Fault(f"{prefix}{name}: expected no control characters, got {_quoted(text)}")
        if _NONCHARACTER.search(text):
            raise _Fault(f"{prefix}{name}: expected no Unicode noncharacters, got {_quoted(text)}")
        if not 0 < len(text) <= MAX_ATTRIBUTE_CHARACTERS or (
            name == "specversion" and text != "1.0"
        ):
            raise _Fault(f"{prefix}{name}: expected {_expected(name)}, got {_quoted(text)}")
    try:
        time_ms = rfc3339_ms(texts["time"])
    except ValueError as error:
        raise _Fault(f"{prefix}time: expected {error}, got {_quoted(texts['time'])}") from None
    if not data:
        raise _Fault("data: expected JSON, got nothing")
    return Envelope(
        texts["id"], texts["source"], texts["type"], time_ms, texts.get("subject"), data
    )


def _expected(name: str) -> str:
    if name == "specversion":
        return '"1.0"'
    if name == "time":
        return "an RFC 3339 time with an offset"
    return f"text of 1 to {MAX_ATTRIBUTE_CHARACTERS} characters"


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _within_bounds(value: bytes) -> None:
    fault = bounds_fault(value)
    if fault is not None:
        raise _Fault(fault)


def _quoted(text: str) -> str:
    return shown(json.dumps(text, ensure_ascii=False))


def _shown_json(raw: bytes | msgspec.Raw) -> str:
    return shown(bytes(memoryview(raw)[: 4 * _SHOWN_CHARACTERS]).decode("utf-8", "ignore"))


def _shown_bytes(raw: bytes) -> str:
    return _quoted(raw[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "backslashreplace"))
