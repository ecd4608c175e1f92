"""What a message may be before anybody reads it: so long, UTF-8, and nested so deep."""

import re
from typing import Final

MAX_MESSAGE_BYTES: Final = 1_048_576
MAX_NESTING: Final = 64

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ROUND = bytes.maketrans(b"[]{}", b"()()")
_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))


def bounds_fault(value: bytes) -> str | None:
    """Return the reason why a message is out of bounds, or None."""
    if len(value) > MAX_MESSAGE_BYTES:
        return f"value: expected at most {MAX_MESSAGE_BYTES} bytes, got {len(value)}"
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError as error:
            return f"value: expected UTF-8, got byte 0x{value[error.start]:02x} at {error.start}"
    if value.count(b"{") + value.count(b"[") > MAX_NESTING and _nesting(value) > MAX_NESTING:
        return f"value: expected at most {MAX_NESTING} levels of nesting, got more"
    return None


def _nesting(value: bytes) -> int:
    """Return how deep arrays and objects are nested, up to one more than is allowed.

    Found here, and not by the decoder: where that gives up depends on how deep its caller stands.
    """
    brackets = value.translate(_ROUND, _OTHERS).replace(b'""', b"")
    if b'"' in brackets or b"\\" in value:
        # A string holds a bracket or an escaped quote: the short way would count it.
        brackets = _STRING.sub(b"", value).translate(_ROUND, _OTHERS).replace(b'"', b"")
    for depth in range(MAX_NESTING + 1):
        inner = brackets.replace(b"()", b"")
        if len(inner) == len(brackets):
            return depth + inner.count(b"(")
        brackets = inner
    return MAX_NESTING + 1
