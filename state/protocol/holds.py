"""Holds: the other side of `functions/hold.lua` and `functions/holds.lua`."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from state.protocol.common import LocationTerms, StalePolicy

EXPIRED: Final = "lapsed"
RELEASED: Final = "released"
SOLD: Final = "sold"
"""How a hold may have ended; when an order used it up: `ordered_by`."""

ENDED_MS: Final = 600_000
"""How long it is remembered how a hold ended."""

SWEEP_MAX: Final = 20
"""Holds whose time is over that a new hold sweeps away first; `CLAIM_SWEEP_MAX` a claim."""
CLAIM_SWEEP_MAX: Final = 100

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class PoolRule(NamedTuple):
    """What a channel may sell of the pool: `(sum of classes - unrouted - held - kept) * share - buffer`."""

    kept: int
    """Units that it must leave: the network threshold, and what others locked for a campaign."""
    share_bp: int
    buffer: int
    cutoff: int
    """At or below this there is nothing."""
    classes: tuple[int, ...]
    silent: tuple[LocationTerms, ...] = ()
    """Locations whose stock does not count now."""


class PoolLine(NamedTuple):
    """Units wanted of the pool."""

    sku: str
    quantity: int
    rule: PoolRule


class LocationLine(NamedTuple):
    """Units wanted at the location of the request, with the terms that the active policy gives it."""

    sku: str
    quantity: int
    klass: int
    floor: int
    base: int


class HoldRequest(NamedTuple):
    """The part of one hold that concerns one shard. All or nothing, unless `partial`."""

    hold: str
    fingerprint: str
    """Of the whole request: the same request may come again, another one under the same name may not."""
    expiry_ms: int
    partial: bool
    by: str
    """The channel, or the location, that it is made for."""
    location: str
    """"" takes the lines from the pool."""
    shards: tuple[int, ...]
    """All shards that keep a part of the hold."""
    lines: tuple[PoolLine | LocationLine, ...]
    """Of one kind."""


class Hold(NamedTuple):
    """Ask for holds; sums of another `sums_revision` are not looked at."""

    now_us: int
    revision: int
    sums_revision: int
    requests: tuple[HoldRequest, ...]


class Held(NamedTuple):
    """The hold stands, now or since the same was asked before."""

    expiry_ms: int
    units: tuple[int, ...]
    """By line."""


class Short(NamedTuple):
    """Not enough; nothing is held."""

    units: tuple[int, ...]
    """What there would be, by line."""


class StaleSums(NamedTuple):
    """Sums of these SKUs were made under another policy: rebuild them, ask again."""

    skus: tuple[str, ...]


class Conflict(NamedTuple):
    """Another request made a hold of this name."""


class Ended(NamedTuple):
    """There was a hold of this name, or may have been."""

    how: str
    """EXPIRED, RELEASED, SOLD, as `ordered_by` says, or "" when it is not known any more."""


class HeldLine(NamedTuple):
    """Units that a hold keeps, of the pool when the location is ""."""

    sku: str
    location: str
    units: int


class Keep(NamedTuple):
    """Let a hold live until `expiry_ms` at least; pin it for an order if one is named.

    The pin is the first phase of a two-phase confirm; the second is the order in the log, whose CONSUME ends the hold.
    """

    now_us: int
    hold: str
    order: str
    """As `order_key` writes it, "" for none."""
    expiry_ms: int


class Kept(NamedTuple):
    """The hold lives."""

    expiry_ms: int
    by: str
    shards: tuple[int, ...]
    lines: tuple[HeldLine, ...]


class Placed(NamedTuple):
    """The order is placed already, not out of this hold."""


class Pinned(NamedTuple):
    """The hold is pinned for another order."""

    order: str


class Release(NamedTuple):
    """End a hold; one that is pinned only for the order that it is pinned for."""

    hold: str
    order: str = ""
    how: str = RELEASED
    """"" leaves no trace: the same hold may be created again."""


ABSENT_HOLD: Final = 0
WAS_RELEASED: Final = 1
IS_PINNED: Final = 2
"""What `release` answers."""


class HoldState(NamedTuple):
    """The part of a hold that one shard keeps, for people and checks."""

    hold: str
    expiry_ms: int
    by: str
    shards: tuple[int, ...]
    order: str
    """Pinned for this order, "" for none."""
    lines: tuple[HeldLine, ...]


HoldAnswer: TypeAlias = Held | Short | StaleSums | Conflict | Ended
KeepAnswer: TypeAlias = Kept | Placed | Pinned | Ended


def shards_text(shards: Sequence[int]) -> str:
    """Return the shards of a hold as its record keeps them."""
    return ",".join(map(str, shards))


def encode_hold(call: Hold) -> bytes:
    """Return the argument of `penstock_hold`."""
    requests = []
    for hold, fingerprint, expiry_ms, partial, by, location, shards, lines in call.requests:
        flat: list[Any] = []
        for line in lines:
            if isinstance(line, PoolLine):
                *rule, silent = line.rule
                places = [each for where in silent for each in (f"l:{where[0]}", *where[1:])]
                flat += (line.sku, line.quantity, *rule, places)
            else:
                flat += line
        text = shards_text(shards)
        requests.append((hold, fingerprint, expiry_ms, int(partial), by, location, text, flat))
    return _encode((call.now_us, call.revision, call.sums_revision, requests))


def encode_release(now_us: int, items: Sequence[Release]) -> bytes:
    """Return the argument of `penstock_release`."""
    return _encode((now_us, [each for item in items for each in item]))


def decode_hold(reply: bytes) -> tuple[HoldAnswer, ...] | StalePolicy:
    """Return what `penstock_hold` answered."""
    status, rest = _decode(reply)
    return StalePolicy(rest) if status == "REFUSED" else tuple(map(_answer, rest))


def _answer(reply: list[Any]) -> HoldAnswer:
    match reply:
        case ["HELD", expiry_ms, units]:
            return Held(expiry_ms, tuple(units))
        case ["SHORT", units]:
            return Short(tuple(units))
        case ["STALE", skus]:
            return StaleSums(tuple(skus))
        case ["ENDED", how]:
            return Ended(how)
        case _:
            return Conflict()


def decode_keep(reply: bytes) -> KeepAnswer:
    """Return what `penstock_keep` answered."""
    match _decode(reply):
        case ["KEPT", expiry_ms, by, shards, lines]:
            return Kept(expiry_ms, by, _shards(shards), _lines(lines))
        case ["PINNED", order]:
            return Pinned(order)
        case ["GONE", how]:
            return Ended(how)
        case _:
            return Placed()


def decode_released(reply: bytes) -> list[int]:
    """Return what `penstock_release` answered, for each item."""
    answers: list[int] = _decode(reply)
    return answers


def decode_listed(reply: bytes) -> tuple[int, list[HoldState]]:
    """Return what `penstock_holds` answered: the cursor to go on with, and holds."""
    cursor, found = _decode(reply)
    return cursor, [
        HoldState(hold, expiry_ms, by, _shards(shards), order, _lines(lines))
        for hold, expiry_ms, by, shards, order, lines in found
    ]


def _shards(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _lines(flat: Sequence[Any]) -> tuple[HeldLine, ...]:
    return tuple(sorted(_threes(flat)))


def _threes(flat: Sequence[Any]) -> Iterator[HeldLine]:
    for sku, location, units in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        yield HeldLine(sku, location, units)
