"""What calls and answers look like on the wire, and how the figures of a SKU lie in Redis.

The other side of `functions/*.lua`: their headers tell the layout of the arguments, `figures.lua`
that of the packed figures. Lists are flat: a small table costs more in Lua than its contents.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from state.protocol.calls import Apply, Claimed, Due, Position, Refused, Settle, SkuState

_HEAD = Struct("<3qB3qBqH4qiq")
_DAY = Struct("<iq")

_OPEN, _TRUSTED, _FIRST = 1, 2, 4
_UNIT = "\x1f"
"""Between levels and ads in what was emitted: neither can hold a control character, being JSON."""

_encode = msgspec.msgpack.Encoder().encode


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


def encode_apply(call: Apply) -> bytes:
    """Return the argument of `apply.lua`."""
    lines: list[int | str] = []
    slices: dict[int, list[str]] = {}
    parts: list[tuple[str, int, int, list[int]]] = []
    events = 0
    for mark, after, upto, mine in call.parts:
        runs: list[int] = []
        current = None
        for offset, digest, slice_, time_ms, log_ms, home, order, ops in mine:
            if slice_ != current:
                current = slice_
                runs += (slice_, 0)
            runs[-1] += 1
            hashes = slices.get(slice_)
            if hashes is None:
                hashes = slices[slice_] = []
            hashes.append(digest)
            if len(ops) == 1:
                op = ops[0]
                lines += (offset, time_ms, log_ms, home, order, len(op))
                lines += op
                continue
            lines += (offset, time_ms, log_ms, home, order, sum(map(len, ops)))
            for op in ops:
                lines += op
        parts.append((mark, after, upto, runs))
        events += len(mine)
    places: list[int | str] = []
    for location, klass, floor, base in call.places:
        places += (f"l:{location}", klass, floor, base)
    flat_slices = [each for pair in slices.items() for each in pair]
    repeats = len(set().union(*slices.values())) < events
    return _encode(
        (call.now_us, call.sums_revision, call.guard_ms, places, parts, flat_slices, repeats, lines)
    )


def encode_settle(now_us: int, revision: int, items: Sequence[Settle]) -> bytes:
    """Return the argument of `settle.lua`."""
    flat: list[Any] = []
    for sku, token, generation, available, levels, ads, due_ms, look_ms, alerts in items:
        flat += (
            sku, token, generation, available, f"{levels}{_UNIT}{ads}", due_ms, look_ms, alerts
        )  # fmt: skip
    return _encode((now_us, revision, flat))


def encode_call(call: tuple[Any, ...]) -> bytes:
    """Return the argument of the functions that take their call as it is."""
    return _encode(call)


def decode_claimed(reply: Sequence[Any]) -> Claimed | Refused:
    """Return what `claim.lua` answered."""
    if reply[0] == b"REFUSED":
        return Refused(reply[1])
    _, generation, recovered, business_ms, stale, due, alerts, lapsed, looked = reply
    by_sku = dict(zip(alerts[::2], alerts[1::2], strict=True))
    around = dict(zip(looked[::3], zip(looked[1::3], looked[2::3], strict=True), strict=True))
    return Claimed(
        generation,
        bool(recovered),
        business_ms,
        tuple(
            _due(sku, head, emitted, by_sku.get(sku, ()), around.get(sku) if around else None)
            for sku, head, emitted in zip(due[::3], due[1::3], due[2::3], strict=True)
        ),
        tuple(sku.decode() for sku in stale),
        lapsed,
    )


def _due(
    sku: bytes,
    head_text: bytes,
    emitted: bytes,
    alerts: Sequence[bytes],
    around: tuple[Sequence[int], Sequence[bytes]] | None,
) -> Due:
    head = decode_head(head_text)
    claim = head.claim
    levels, ads = emitted_of(emitted.decode())
    silent, closed = _looked(*around) if around is not None else ((), 0)
    return Due(
        sku.decode(), head.version, bool(claim.open & _TRUSTED), bool(claim.open & _FIRST),
        head.base, head.unrouted, head.held, head.sums, claim.cause_ms, head.demand,
        claim.available, levels, ads, tuple(sorted(_texts(alerts))) if alerts else (),
        silent, closed,
    )  # fmt: skip


def _looked(gates: Sequence[int], texts: Sequence[bytes]) -> tuple[tuple[Position, ...], int]:
    """Return the positions at silent locations, and a bit for each closed gate."""
    silent = tuple(
        decode_position(location.decode(), text).position
        for location, text in zip(texts[::2], texts[1::2], strict=True)
    )
    return silent, sum(1 << gate for gate in gates)


def _texts(flat: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    for name, text in zip(flat[::2], flat[1::2], strict=True):
        yield name.decode(), text.decode()


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
    """Tell whether there is more to a position than its history."""
    return any(position[1:5]) or position.counted_at_ms is not None


def decode_emitted(pos: dict[bytes, bytes]) -> tuple[str, str]:
    """Return (levels, ads) as they were last emitted, empty when they never were."""
    return emitted_of(pos.get(b">", b"").decode())


def emitted_of(text: str) -> tuple[str, str]:
    """Return (levels, ads) of what was emitted last, as `settle` stored it."""
    levels, _, ads = text.partition(_UNIT)
    return levels, ads


def decode_sku(sku: str, pos: dict[bytes, bytes]) -> SkuState | None:
    """Return all that the hash of a SKU tells, None when there is none."""
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
