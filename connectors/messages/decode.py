"""A message as an event: envelope and data read by one decoder, where nothing about it is unusual.

What is unusual in any way, be it an escape, a letter outside ASCII or a header that says nothing of the event,
is left to the readers that know every rule and every reason (`connectors.messages.cloudevents`,
`state.events.validation`). Whatever is read in the short way, they read alike; `tests/fuzz` holds both to that.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union

import msgspec

from connectors.log.base import Record
from connectors.messages.cloudevents import MAX_ATTRIBUTE_CHARACTERS, STRUCTURED, Malformed, parse
from connectors.messages.limits import MAX_MESSAGE_BYTES, MAX_NESTING, bounds_fault
from state.events.messages import TYPES, Data, Event
from state.events.rejection import Rejection
from state.events.timestamps import rfc3339_ms
from state.events.validation import decode

_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ATTRIBUTE_CHARACTERS)]


def _whole(name: str, data: type[Data]) -> type:
    """Return what an event of a type is in structured mode."""
    return msgspec.defstruct(
        data.__name__,
        [
            ("specversion", Literal["1.0"]),
            ("id", _Attribute),
            ("source", _Attribute),
            ("time", str),
            ("data", data),
            ("subject", _Attribute | None, None),
            ("datacontenttype", Literal["application/json"] | None, None),
            ("data_base64", None, None),
        ],
        tag_field="type",
        tag=name,
        gc=False,
    )


_NAMES: Final[Mapping[type, str]] = {_whole(name, data): name for name, data in TYPES.items()}
_decode_whole: Any = msgspec.json.Decoder(Union[tuple(_NAMES)]).decode  # noqa: UP007 - made of a tuple
_DECODE: Final = {
    name.encode(): (name, msgspec.json.Decoder(data).decode) for name, data in TYPES.items()
}
_PLAIN_HEADERS: Final = frozenset(
    {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"}
)


class Unread(msgspec.Struct, frozen=True):
    """Why a message is no event, and the type that it named, if that could be read."""

    reason: str
    type: str = ""


def read(record: Record) -> Event | Unread:
    """Read a message whole. Never raises."""
    headers = record.headers
    event = _binary(headers, record.value) if len(headers) > 1 else _structured(record)
    return event if event is not None else _slowly(record)


def _slowly(record: Record) -> Event | Unread:
    envelope = parse(record)
    if isinstance(envelope, Malformed):
        return Unread(envelope.reason)
    data = decode(envelope.type, envelope.data)
    if isinstance(data, Rejection):
        return Unread(data.reason, envelope.type)
    return Event(envelope.id, envelope.source, envelope.type, envelope.time_ms, data)


def _is_plain(value: bytes | None) -> bool:
    """Whether no text in the JSON can hold a control character, and its size and depth are beyond doubt."""
    return (
        value is not None
        and len(value) <= MAX_MESSAGE_BYTES
        and value.isascii()
        and b"\\" not in value
        and b"\x7f" not in value
        and (value.count(b"{") + value.count(b"[") <= MAX_NESTING or bounds_fault(value) is None)
    )


def _structured(record: Record) -> Event | None:
    headers, value = record.headers, record.value
    if (headers and headers != STRUCTURED) or not _is_plain(value):
        return None
    try:
        found = _decode_whole(value)
        time_ms = rfc3339_ms(found.time)
    except (msgspec.MsgspecError, ValueError):
        return None
    return Event(found.id, found.source, _NAMES[type(found)], time_ms, found.data)


def _binary(headers: tuple[tuple[str, bytes], ...], value: bytes | None) -> Event | None:
    attributes = dict(headers)
    if (
        attributes.keys() != _PLAIN_HEADERS
        or len(headers) != len(_PLAIN_HEADERS)
        or not _is_plain(value)
    ):
        return None
    if attributes["ce_specversion"] != b"1.0" or attributes["content-type"] != b"application/json":
        return None
    name, decode_data = _DECODE.get(attributes["ce_type"], ("", None))
    if decode_data is None:
        return None
    try:
        event_id, source = (
            attributes["ce_id"].decode("ascii"),
            attributes["ce_source"].decode("ascii"),
        )
        time_ms = rfc3339_ms(attributes["ce_time"].decode("ascii"))
        data = decode_data(value or b"")
    except (msgspec.MsgspecError, ValueError):
        return None
    if (
        0 < len(event_id) <= MAX_ATTRIBUTE_CHARACTERS
        and 0 < len(source) <= MAX_ATTRIBUTE_CHARACTERS
        and event_id.isprintable()
        and source.isprintable()
    ):
        return Event(event_id, source, name, time_ms, data)
    return None
