"""What calls and answers look like on the wire, and how the figures of a SKU lie in Redis.

The other side of `functions/*.lua`: their headers tell the layout of the arguments, `figures.lua`
that of the packed figures. Lists are flat: a small table costs more in Lua than its contents.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from state.calls import (
    Apply,
    Claim,
    Claimed,
    Due,
    Position,
    Rebuild,
    Recover,
    Refused,
    Settle,
    SkuState,
    Tick,
)

_HEAD = Struct("<3qH4qiq")
_DAY = Struct("<iq")
_CLAIM = Struct("<5q")

_DUE_VALUES = 7
_TRUST, _FIRST = 1, 2

_encode = msgspec.msgpack.Encoder().encode


class Head(NamedTuple):
    """The figures of a SKU as a whole. Times in ms."""

    version: int
    cause_ms: int
    revision: int
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
    open: int
    generation: int
    available: int
    cause_ms: int


def encode_apply(call: Apply) -> bytes:
    """Return the argument of `apply.lua`."""
    lines: list[int | str] = []
    slices: dict[int, list[str]] = {}
    events = 0
    for part in call.parts:
        for offset, digest, slice_, time_ms, log_ms, home, order, ops in part.events:
            hashes = slices.get(slice_)
            if hashes is None:
                hashes = slices[slice_] = []
            hashes.append(digest)
            if len(ops) == 1:
                op = ops[0]
                lines += (offset, slice_, time_ms, log_ms, home, order, len(op))
                lines += op
                continue
            lines += (offset, slice_, time_ms, log_ms, home, order, sum(map(len, ops)))
            for op in ops:
                lines += op
        events += len(part.events)
    places: list[int | str] = []
    for location, klass, floor, base in call.places:
        places += (f"l:{location}", klass, floor, base)
    parts = [(mark, after, upto, len(mine)) for mark, after, upto, mine in call.parts]
    flat_slices = [each for pair in slices.items() for each in pair]
    repeats = len(set().union(*slices.values())) < events
    return _encode(
        (call.now_us, call.revision, call.guard_ms, places, parts, flat_slices, repeats, lines)
    )


def encode_settle(now_us: int, items: Sequence[Settle]) -> bytes:
    """Return the argument of `settle.lua`."""
    return _encode((now_us, [value for item in items for value in item]))


def encode_call(call: Tick | Recover | Claim | Rebuild) -> bytes:
    """Return the argument of the functions that take their call as it is."""
    return _encode(call)


def decode_claimed(reply: Sequence[Any]) -> Claimed | Refused:
    """Return what `claim.lua` answered."""
    if reply[0] == b"REFUSED":
        return Refused(reply[1])
    _, generation, recovered, business_ms, stale, due = reply
    return Claimed(
        generation,
        bool(recovered),
        business_ms,
        tuple(
            map(_due, due[::7], due[1::7], due[2::7], due[3::7], due[4::7], due[5::7], due[6::7])
        ),
        tuple(sku.decode() for sku in stale),
    )


def _due(
    sku: bytes,
    flags: int,
    head_text: bytes,
    claim_text: bytes,
    levels: bytes,
    ads: bytes,
    alerts: Sequence[bytes],
) -> Due:
    head = decode_head(head_text)
    _, _, _, available, cause_ms = _CLAIM.unpack(claim_text)
    return Due(
        sku.decode(), head.version, bool(flags & _TRUST), bool(flags & _FIRST),
        head.base, head.unrouted, head.held, head.sums, cause_ms, head.demand, available, levels.decode(), ads.decode(),
        tuple(sorted(_texts(alerts))) if alerts else (),
    )  # fmt: skip


def _texts(flat: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    for name, text in zip(flat[::2], flat[1::2], strict=True):
        yield name.decode(), text.decode()


def decode_head(text: bytes) -> Head:
    """Return the figures of field `=` of a `pos` hash."""
    version, cause, revision, classes, *figures, day, units = _HEAD.unpack_from(text)
    sums = _sums(classes).unpack_from(text, _HEAD.size) if classes else ()
    demand = ((day, units),) if units else ()
    older = _HEAD.size + 8 * classes
    if older < len(text):
        demand = (*demand, *_DAY.iter_unpack(memoryview(text)[older:]))
    newest, unrouted, held, base = figures
    return Head(version, cause, revision, newest, unrouted, held, base, sums, demand)


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


def decode_claim(text: bytes | None) -> OpenClaim:
    """Return the claim from field `=` of an `out` hash, an empty one when there is none."""
    return OpenClaim(*_CLAIM.unpack(text)) if text else OpenClaim(0, 0, -1, 0, 0)


def decode_sku(sku: str, pos: dict[bytes, bytes], out: dict[bytes, bytes]) -> SkuState | None:
    """Return all that the two hashes of a SKU tell, None when there are none."""
    if not pos:
        return None
    head, claim = decode_head(pos[b"="]), decode_claim(out.get(b"="))
    stored = (
        decode_position(field[2:].decode(), text).position
        for field, text in pos.items()
        if field.startswith(b"l:")
    )
    positions = sorted(position for position in stored if any(position[1:5]) or position.counted_at_ms)
    return SkuState(
        sku, head.version, head.unrouted, head.held, tuple(positions), head.sums, head.base,
        head.revision, head.demand, claim.available, out.get(b"levels", b"").decode(),
        out.get(b"ads", b"").decode(), bool(claim.open), claim.token,
    )  # fmt: skip
