"""Events to a shard, and what became of them: the other side of `functions/apply.lua`.

Lists are flat on the wire: a small table costs more in Lua than its contents.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from state.events import ops
from state.protocol.common import Behind, LocationTerms, decode_behind

_encode = msgspec.msgpack.Encoder().encode


ShardMove: TypeAlias = tuple[Literal[0], str, int, int, int, int]
ShardCount: TypeAlias = tuple[Literal[1], str, int, int, int]
ShardIncoming: TypeAlias = tuple[Literal[2], str, int, str, int]
ShardReturn: TypeAlias = tuple[Literal[8], str, str, int, int, int]
ShardNetted: TypeAlias = tuple[Literal[10], str, str, str, int, int]
ShardOp: TypeAlias = (
    ShardMove
    | ShardCount
    | ShardIncoming
    | ops.Order
    | ops.Cancel
    | ops.Void
    | ops.Ship
    | ops.Consume
    | ShardReturn
    | ops.Close
    | ShardNetted
)
"""An op as a shard gets it: where the op names a location, the index of its terms in the call."""


class ShardEvent(NamedTuple):
    """The part of one event that concerns one shard."""

    offset: int
    hash: str
    """63-bit hash of (source, id), in decimal."""
    slice: int
    """Slice of the duplicate guard: log timestamp // slice length."""
    time_ms: int
    log_ms: int
    home: int
    """1 in exactly one of the event's shards, where it is counted."""
    order: str
    """Order whose record remembers this event, "" when it has none."""
    ops: tuple[ShardOp, ...]


EVENT_VALUES: Final = len(ShardEvent._fields) - 2
"""Of each event in the call, before its ops: hash and slice travel apart; for the ops stands their number of values."""


class Part(NamedTuple):
    """A fact about one partition: `events` are all its events of this shard in (after, upto]."""

    watermark: str
    """The watermark that it moves: `<log id>/<partition>`."""
    after: int
    upto: int
    events: tuple[ShardEvent, ...] = ()


class Apply(NamedTuple):
    """Events of one shard, of one or more partitions. Each partition has one part at most."""

    now_us: int
    sums_revision: int
    """The revision of the policy that class sums belong to: see `state/policy/sums_digest.py`."""
    guard_ms: int
    places: tuple[LocationTerms, ...]
    parts: tuple[Part, ...]


class Applied(NamedTuple):
    """What became of the events of a call; all others took effect."""

    duplicates: tuple[tuple[int, int], ...]
    """(index of part, index of event) of the home events whose id was known."""
    absorbed: int
    """Movements superseded by a count: they changed no `on_hand`."""
    replayed: int
    """Events that an earlier call had delivered."""
    oldest_due_ms: int
    """Since when the SKU was due that had been due longest before the call, 0 when none was."""


def encode_apply(call: Apply) -> bytes:
    """Return the argument of `apply.lua`."""
    lines: list[int | str] = []
    slices: dict[int, list[str]] = {}
    parts: list[tuple[str, int, int, list[int]]] = []
    events = 0
    for watermark, after, upto, mine in call.parts:
        runs: list[int] = []
        current = None
        for offset, digest, slice_, time_ms, log_ms, home, order, event_ops in mine:
            if slice_ != current:
                current = slice_
                runs += (slice_, 0)
            runs[-1] += 1
            hashes = slices.get(slice_)
            if hashes is None:
                hashes = slices[slice_] = []
            hashes.append(digest)
            if len(event_ops) == 1:
                op = event_ops[0]
                lines += (offset, time_ms, log_ms, home, order, len(op))
                lines += op
                continue
            lines += (offset, time_ms, log_ms, home, order, sum(map(len, event_ops)))
            for op in event_ops:
                lines += op
        parts.append((watermark, after, upto, runs))
        events += len(mine)
    places: list[int | str] = []
    for location, klass, floor, base in call.places:
        places += (f"l:{location}", klass, floor, base)
    flat_slices = [each for pair in slices.items() for each in pair]
    repeats = len(set().union(*slices.values())) < events
    return _encode(
        (call.now_us, call.sums_revision, call.guard_ms, places, parts, flat_slices, repeats, lines)
    )


def decode_applied(reply: Sequence[Any]) -> Applied | Behind:
    """Return the answer of `apply.lua`."""
    if behind := decode_behind(reply):
        return behind
    return Applied(tuple((part, event) for part, event in reply[1]), *reply[2:])
