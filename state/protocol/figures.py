"""The figures of a SKU as Redis keeps them, and as values: the other side of `functions/figures.lua`."""

from functools import cache
from struct import Struct, calcsize
from typing import Final, NamedTuple

from state.durations import HOUR_MS
from state.events.order_key import US

_LEAD, _CLAIM, _REST = "qq", "qBqqqB", "qHqqqqiq"
"""Of a head: version, cause; token, open, generation, available, cause, alerts; and what follows them."""
_HEAD = Struct(f"<{_LEAD}{_CLAIM}{_REST}")
_DAY = Struct("<iq")


def _lua_form(form: str) -> str:
    """Return a form of `struct` as Lua's library of that name reads it."""
    return form.translate({ord("q"): "i8", ord("i"): "i4", ord("H"): "I2"})


CLAIM_BYTES: Final = calcsize(f"<{_CLAIM}")
AFTER_LEAD: Final = calcsize(f"<{_LEAD}{_CLAIM}") + 1
"""The byte, from 1, behind lead and claim: where the sums' revision stands."""
CLASSES_AT: Final = AFTER_LEAD + calcsize("<q")
"""The byte at which the number of classes stands."""
HEAD_FORMAT: Final = _lua_form(f"<{_LEAD}") + f"c{CLAIM_BYTES}" + _lua_form(_REST)
"""The claim as text; one sum for each class follows."""
LEAD_FORMAT: Final = _lua_form(f"<{_LEAD}{_CLAIM}q")
LEAD_AND_REST: Final = _lua_form(f"<{_LEAD}{_CLAIM}") + "c0"
"""Lead and claim, then the revision of the sums, or all that follows as text."""
DAY_FORMAT: Final = _lua_form(_DAY.format)
DAY_BYTES: Final = _DAY.size
MOVEMENT_FORMAT: Final = "<i6i6"
"""Event time and change of `on_hand`."""
MOVEMENT_BYTES: Final = 12

MOVEMENTS_KEPT: Final = 32
"""Movements of a position kept for late counts, the newest by event time."""
MOVEMENTS_BYTES: Final = MOVEMENTS_KEPT * MOVEMENT_BYTES
MOVEMENTS_WINDOW_MS: Final = 72 * HOUR_MS
"""A position keeps movements this much older than its newest, for a late count to be laid under."""


class Position(NamedTuple):
    """The quantities of one SKU at one location."""

    location: str
    on_hand: int
    reserved: int
    unavailable: int
    incoming: int
    counted_at_ms: int | None

    @property
    def atp(self) -> int:
        """Available to promise."""
        return self.on_hand - self.reserved - self.unavailable


class SkuState(NamedTuple):
    """All that is known of one SKU, for people and checks; not on the hot path."""

    sku: str
    version: int
    unrouted: int
    held: int
    positions: tuple[Position, ...]
    sums: tuple[int, ...]
    """By class, in the policy's order; classes at the end without stock may be missing."""
    base: int
    sums_revision: int
    """0 when the sums are void."""
    demand: tuple[tuple[int, int], ...]
    available: int
    """As last emitted."""
    levels: str
    ads: str
    open: bool
    token: int


class Head(NamedTuple):
    """The figures of a SKU as a whole. Times in ms."""

    version: int
    cause_ms: int
    claim: "OpenClaim"
    sums_revision: int
    newest_ms: int
    unrouted: int
    held: int
    base: int
    sums: tuple[int, ...]
    demand: tuple[tuple[int, int], ...]
    """(UTC day, units), newest first."""


class StoredPosition(NamedTuple):
    """A position with what late counts need. Times in ms."""

    position: Position
    counted: int | None
    evicted_ms: int
    """Event time of the newest movement that is no longer kept, 0 for none."""
    movements: tuple[tuple[int, int], ...]
    """(event time, change of `on_hand`), newest first."""


class OpenClaim(NamedTuple):
    """The claim of a SKU, and what was `available` when it was last emitted."""

    token: int
    """0 when it was never claimed."""
    open: int
    """0 settled, else flags: 1 open, 2 what was emitted before is trusted, 4 nothing was."""
    generation: int
    available: int
    cause_ms: int


def decode_head(text: bytes) -> Head:
    """Return the figures of field `=` of a `pos` hash."""
    (
        version, cause, token, is_open, generation, emitted, open_cause, _, sums_revision, classes,
        newest, unrouted, held, base, day, units,
    ) = _HEAD.unpack_from(text)  # fmt: skip
    claim = OpenClaim(token, is_open, generation, emitted, open_cause)
    sums = _sums(classes).unpack_from(text, _HEAD.size) if classes else ()
    demand = ((day, units),) if units else ()
    older = _HEAD.size + 8 * classes
    if older < len(text):
        demand = (*demand, *_DAY.iter_unpack(memoryview(text)[older:]))
    return Head(
        version, cause, claim, sums_revision, newest, unrouted, held, base, sums, demand
    )  # fmt: skip


@cache
def _sums(classes: int) -> Struct:
    return Struct(f"<{classes}q")


def decode_position(location: str, text: bytes) -> StoredPosition:
    """Return a position from its field of a `pos` hash."""
    known = text[0]
    kept = 1 + 8 * known
    figures = _sums(known).unpack(text[1:kept])
    on_hand, reserved, unavailable, incoming, evicted_ms = (*figures, 0, 0, 0, 0)[:5]
    counted = figures[5:]
    position = Position(
        location, on_hand, reserved, unavailable, incoming, counted[0] if counted else None
    )
    times_and_deltas = [_int48(text[at : at + 6]) for at in range(kept, len(text), 6)]
    movements = tuple(zip(times_and_deltas[::2], times_and_deltas[1::2], strict=True))
    return StoredPosition(position, counted[1] if counted else None, evicted_ms, movements)


def _int48(text: bytes) -> int:
    return int.from_bytes(text, "little", signed=True)


def _has_figures(position: Position) -> bool:
    """Say whether there is more to a position than its history."""
    return any(position[1:5]) or position.counted_at_ms is not None


def decode_emitted(pos: dict[bytes, bytes]) -> tuple[str, str]:
    """Return (levels, ads) as they were last emitted, empty when they never were."""
    return emitted_of(pos.get(b">", b"").decode())


def emitted_of(text: str) -> tuple[str, str]:
    """Return (levels, ads) of what was emitted last, as `settle` stored it."""
    levels, _, ads = text.partition(US)
    return levels, ads


def decode_sku(sku: str, pos: dict[bytes, bytes]) -> SkuState | None:
    """Return all that the hash of a SKU holds, None when there is none."""
    if not pos:
        return None
    head, (levels, ads) = decode_head(pos[b"="]), decode_emitted(pos)
    claim = head.claim
    stored = (
        decode_position(field[2:].decode(), text).position
        for field, text in pos.items()
        if field.startswith(b"l:")
    )
    positions = sorted(position for position in stored if _has_figures(position))
    return SkuState(
        sku, head.version, head.unrouted, head.held, tuple(positions), head.sums, head.base,
        head.sums_revision, head.demand, claim.available, levels, ads, bool(claim.open), claim.token,
    )  # fmt: skip
