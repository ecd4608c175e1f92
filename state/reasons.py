"""Why an event is not taken, in words: what, where, expected, got."""

import json
import re
from typing import Any, Self

from msgspec import Struct

_SHOWN_MAX = 80
_CONTROLS = re.compile("[\x7f-\x9f]")


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
    text = _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."
