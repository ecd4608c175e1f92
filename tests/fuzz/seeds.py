"""Messages to begin with, and the text form in which the engines change them and files keep them.

The form is a line `name: value` for each header, an empty line, and the value. Without an empty line there is no value.
"""

import re
from functools import cache
from pathlib import Path

import orjson

from connectors.log.base import Record
from flows.demo.bad_input import KINDS, odd_message
from flows.demo.events import SALES, Fact
from state.events.messages import TYPES
from state.events.timestamps import rfc3339_ms

MESSAGES = Path(__file__).parents[2] / "docs" / "messages.md"
LOG_MS = rfc3339_ms("2026-12-09T18:00:00Z")
"""When the log took every message: no example of the documents lies in its future."""
SEED_BYTES_MAX = 65_536

_EXAMPLE = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(rb'"(specversion|id|source|type|time)": "([^"]*)"')
_DATA = re.compile(rb'"data": (\{.*\})\}\s*$', re.DOTALL)


def to_text(record: Record) -> bytes:
    """Return the text form of a message."""
    head = b"".join(name.encode() + b": " + value + b"\n" for name, value in record.headers)
    return head if record.value is None else head + b"\n" + record.value


def from_text(text: bytes) -> Record:
    """Return the message of any bytes whatsoever."""
    headers: list[tuple[str, bytes]] = []
    value: bytes | None = None
    rest = text
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not line:
            value = rest
            break
        name, _, content = line.partition(b": ")
        headers.append((name.decode("utf-8", "replace"), content))
    return Record(SALES, 0, 7, LOG_MS, b"k", tuple(headers), value)


@cache
def examples() -> tuple[Record, ...]:
    """Return the examples on the page of the messages that come in, in structured and in binary mode."""
    texts = _EXAMPLE.findall(MESSAGES.read_text(encoding="utf-8"))
    found = [text.encode() for text in texts if orjson.loads(text)["type"] in TYPES]
    return tuple(
        Record(SALES, 0, 7, LOG_MS, b"k", headers, value)
        for text in found
        for headers, value in (
            ((), text),
            ((("content-type", b"application/cloudevents+json; charset=UTF-8"),), text),
            _in_binary_mode(text),
        )
    )


@cache
def odd_ones() -> tuple[Record, ...]:
    """Return one message of every kind of bad input that the demo sends."""
    fact = Fact(LOG_MS, SALES, "dc", "neighbour", "/pos/dc", "pos.sale", {})
    odd = [odd_message(ordinal, fact) for ordinal in range(len(KINDS))]
    return tuple(Record(m.topic, 0, 7, LOG_MS, m.key, m.headers, m.value) for m in odd)


def seeds() -> list[bytes]:
    """Return the text forms of all that are short enough to be changed many times."""
    texts = [to_text(record) for record in examples() + odd_ones()]
    return [text for text in texts if len(text) <= SEED_BYTES_MAX]


def _in_binary_mode(text: bytes) -> tuple[tuple[tuple[str, bytes], ...], bytes]:
    match = _DATA.search(text)
    assert match is not None, text
    attributes = {name.decode(): value for name, value in _MEMBER.findall(text[: match.start()])}
    headers = [(f"ce_{name}", value) for name, value in attributes.items()]
    return (("content-type", b"application/json"), *headers), match[1]
