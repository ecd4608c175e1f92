"""What is wanted of holds, and what becomes of it: values, with words that say what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, TypeAlias
from unicodedata import category

import orjson

from state.events.messages import QUANTITY_MAX
from state.events.order_key import parts
from state.protocol.holds import EXPIRED, RELEASED, SOLD, HeldLine

LINES_MAX: Final = 100
ID_MAX: Final = 128
TTL_S: Final = 600
TTL_MAX_S: Final = 4 * 3600

Reason: TypeAlias = Literal[
    "usage", "short", "conflict", "gone", "pinned", "unavailable", "busy", "unknown"
]
"""`usage` asked for what cannot be; `busy` and `unknown`: ask again, the same way."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hold to make: lines of (SKU, units) for a channel, or at a location."""

    hold: str
    lines: tuple[tuple[str, int], ...]
    channel: str = ""
    location: str = ""
    ttl_s: int = TTL_S
    partial: bool = False

    def units(self) -> dict[str, int]:
        """Return units by SKU, lines of one SKU summed."""
        found: dict[str, int] = {}
        for sku, quantity in self.lines:
            found[sku] = found.get(sku, 0) + quantity
        return found

    def fingerprint(self) -> str:
        """Return what distinguishes this request from another one under the same name."""
        lines = sorted(self.units().items())
        said = orjson.dumps((lines, self.channel, self.location, self.ttl_s, self.partial))
        return blake2b(said, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class HoldCreated:
    """The hold stands until `expiry_ms`."""

    hold: str
    expiry_ms: int
    lines: tuple[HeldLine, ...]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The order is in the log, or placed already."""

    hold: str
    order: str
    lines: tuple[HeldLine, ...] = ()
    before: bool = False
    """It was placed before this confirmation came."""


@dataclass(frozen=True, slots=True)
class Released:
    """The hold has ended."""

    hold: str


@dataclass(frozen=True, slots=True)
class HoldRejected:
    """Refused, or not known to be done. `text` says what to do."""

    hold: str
    reason: Reason
    text: str
    short: tuple[tuple[str, int, int], ...] = ()
    """(SKU, units wanted, units that there are) of the lines that are short."""


def fault_of(wanted: Wanted) -> HoldRejected | None:
    """Return what is wrong with a request by itself, None when nothing is."""
    text = _fault(wanted)
    return None if text is None else HoldRejected(wanted.hold, "usage", text)


def _fault(wanted: Wanted) -> str | None:
    if text := id_fault("hold", wanted.hold):
        return text
    if bool(wanted.channel) == bool(wanted.location):
        return "channel, location: expected one of them, got " + (
            "both" if wanted.channel else "none"
        )
    if not 1 <= wanted.ttl_s <= TTL_MAX_S:
        return f"ttl_s: expected 1 to {TTL_MAX_S} seconds, got {wanted.ttl_s}"
    if not 1 <= len(wanted.lines) <= LINES_MAX:
        return f"lines: expected 1 to {LINES_MAX}, got {len(wanted.lines)}"
    for at, (sku, quantity) in enumerate(wanted.lines):
        if text := id_fault(f"lines[{at}].sku", sku):
            return text
        if not 1 <= quantity <= QUANTITY_MAX:
            return f"lines[{at}].quantity: expected 1 to {QUANTITY_MAX}, got {quantity}"
    return None


def id_fault(name: str, text: str) -> str | None:
    """Return what is wrong with an id, None when nothing is."""
    if not 1 <= len(text) <= ID_MAX:
        return f"{name}: expected 1 to {ID_MAX} characters, got {len(text)}"
    if any(category(character) == "Cc" for character in text):
        return f"{name}: expected no control character, got {text!r}"
    return None


def gone(hold: str, endings: Sequence[str]) -> HoldRejected:
    """Say that a hold is not there any more, and how it ended, if that is still known."""
    how = next((how for how in endings if how), "")
    said = {
        EXPIRED: "its time was over",
        RELEASED: "it was released",
        SOLD: "its goods were sold",
        "": "there is none of this name, or it ended a while ago",
    }.get(how, f"{' '.join(parts(how))} used it up")
    return HoldRejected(hold, "gone", f"hold: {said}; make one under a new name")
