"""Messages made of others: a byte fuzzer rarely hits on a JSON text, so the text is changed as one, too."""

import json
import random
from collections.abc import Callable
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -0, 1, -1, 2, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**9, 10**9 + 1,
    10**400, 0.5, 1.0, 1e308, float("inf"), float("nan"), "", "1", " ", "\0", "\x7f", "\x85", "\u2028",
    "\ud800", "\udfff\ud800", "\uffff", "\ufeff", "ß", "{7}", "x" * 128, "x" * 129, "\u200b" * 600,
    [], {}, [[]], {"": ""}, [None], "2026-12-01T08:00:00Z", "2026-12-01T23:59:60Z", "9999-12-31T23:59:59-23:59",
    "damaged", "scrap", "shipped", "order.cancelled", "wms.count", "A1", "s001", "wh-ec", "shopee",
)  # fmt: skip
SPLICES = (
    b"null", b"1e400", b"-0", b"1E2", b"\\u0000", b"\\ud800", b'"', b"\\", b"{", b"[", b"]", b"\xff", b"\xc2\x85",
    b"\xef\xbb\xbf", b"\n\n", b"ce_id: e1\n", b"content-type: application/cloudevents+json\n", b",", b'"data":',
)  # fmt: skip
LINES_MANY = 1001


def mutated(text: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    """Return another message, made of the text form of one. `others` gives a second one to mix in."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        text = chance.choice(_WAYS)(text, chance, others)
    return text


def _structure(text: bytes, chance: random.Random, _others: Callable[[], bytes]) -> bytes:
    """Change the JSON value, if there is one, at one place."""
    head, empty, value = text.rpartition(b"\n\n") if b"\n\n" in text else (b"", b"\n", text[1:])
    try:
        root = json.loads(value)
    except (ValueError, RecursionError):
        return _splice(text, chance, _others)
    places = list(_places(root))
    if not places:
        return head + empty + json.dumps(chance.choice(ODD_VALUES)).encode()
    holder, key = chance.choice(places)
    match chance.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[chance.choice(("x", "quantty", "order", "lines", "")) + str(key)] = holder[key]
        case 2 if isinstance(holder, list):
            holder.insert(chance.randrange(len(holder) + 1), holder[key])
        case 3 if isinstance(holder[key], list) and holder[key]:
            holder[key] = (holder[key] * LINES_MANY)[
                : chance.choice((2, 3, LINES_MANY - 1, LINES_MANY))
            ]
        case _:
            holder[key] = chance.choice(ODD_VALUES)
    written = json.dumps(root, ensure_ascii=chance.random() < 0.5)
    return head + empty + written.encode("utf-8", "surrogatepass")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (holder, key) of a JSON value."""
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    else:
        return []
    return [(value, key) for key, _ in members] + [p for _, v in members for p in _places(v)]


def _splice(text: bytes, chance: random.Random, _others: Callable[[], bytes]) -> bytes:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(SPLICES) + text[at + chance.choice((0, 0, 1, 4)) :]


def _flip(text: bytes, chance: random.Random, _others: Callable[[], bytes]) -> bytes:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.randbytes(chance.choice((0, 1, 1, 3))) + text[at + 1 :]


def _cross(text: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    other = others()
    return text[: chance.randrange(len(text) + 1)] + other[chance.randrange(len(other) + 1) :]


_WAYS: tuple[Callable[[bytes, random.Random, Callable[[], bytes]], bytes], ...] = (
    _structure, _structure, _structure, _structure, _splice, _flip, _cross,
)  # fmt: skip
