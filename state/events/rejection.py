"""Why an event is not taken, in words: what, where, expected, got."""

import json
from typing import Any, Self

from msgspec import Struct

_SHOWN_MAX = 80


class Rejection(Struct, frozen=True, gc=False):
    """An event is refused, whole. `reason` reads `lines[3].quantity: expected ..., got 0`."""

    reason: str


class Number(float):
    """A JSON number that is no ordinary integer, with the text that stood in the message."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Take the text of any JSON number, however large: beyond a double it is infinite."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def shown(value: Any) -> str:
    """Return a JSON value as text for a reason: one line, printable, at most 80 characters."""
    text = value.text if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)
    return _shortened(text)


def named(name: str) -> str:
    """Return a name in single quotes for a reason: one line, printable, at most 80 characters."""
    return "'" + _shortened(json.dumps(name, ensure_ascii=False)[1:-1]) + "'"


def _shortened(text: str) -> str:
    text = text[: _SHOWN_MAX + 1]
    if not text.isprintable():
        # What would break the line or show nothing, and half of a surrogate pair, which no log can hold.
        text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."
