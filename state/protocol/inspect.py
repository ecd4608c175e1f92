"""A shard looked at for faults: the other side of `functions/inspect.lua` and `functions/promises.lua`."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from state.protocol.common import LocationTerms
from state.protocol.figures import emitted_of

_encode = msgspec.msgpack.Encoder().encode


class Inspect(NamedTuple):
    """Look at SKUs of a shard. Times in ms."""

    soon_ms: int
    """No claim lasts longer than to this time."""
    late_ms: int
    """What was due before this is long overdue."""
    sums_revision: int
    """Only sums of this policy are compared with its places."""
    fields: int
    """So many fields are read, and those of one SKU: bounds the time a call holds the server."""
    skus: tuple[str, ...]


class Violation(NamedTuple):
    """Figures of a SKU that do not agree with each other."""

    sku: str
    """Of `held` the hold: one that is over and was not swept away."""
    invariant: str
    """One of class_sums, reserved, held, lease, out, due."""
    expected: str
    found: str


class Paused(NamedTuple):
    """What was emitted last of a SKU of which an ad is paused, as JSON."""

    sku: str
    levels: str
    ads: str


class Inspected(NamedTuple):
    """What was seen."""

    done: int
    """The first of the SKUs that were asked for; the others are left."""
    known: int
    oversold: int
    negative_positions: int
    promised: dict[str, int]
    """Units promised to customers by SKU, where there are any."""
    paused: tuple[Paused, ...]
    faults: tuple[Violation, ...]
    unlisted: dict[str, str]
    """SKU -> a location with stock that was not among the places: it was not looked at."""


class AskPromises(NamedTuple):
    """Ask what records of orders and holds keep promised."""

    fields: int
    skus: tuple[str, ...]
    """The only ones that are asked for; none: all."""
    records: tuple[str, ...]
    """`order:<order>`, `hold:<hold>`."""
    with_heads: int = 0
    """1: also return what the heads of these SKUs say."""


class Promises(NamedTuple):
    """What they hold, and what the SKUs that were asked for say at the same moment."""

    done: int
    """The first of the records that were asked for; the others are left."""
    held: tuple[tuple[str, dict[str, int]], ...]
    """(record, units by SKU) of those that keep any."""
    skus: tuple[tuple[int, int], ...]
    """Of each SKU asked for its version, 0 when it is not known, and the units that it says are promised."""


def encode_places(places: Sequence[LocationTerms]) -> bytes:
    """Return the second argument of `inspect.lua`."""
    return _encode(places)


def decode_inspected(reply: Sequence[Any]) -> Inspected:
    """Return what `inspect.lua` answered."""
    done, known, oversold, negative, promised, paused, faults, unlisted = reply
    return Inspected(
        done,
        known,
        oversold,
        negative,
        dict(_pairs(promised)),
        tuple(Paused(sku, *emitted_of(text)) for sku, text in _pairs(paused)),
        tuple(Violation(*faults[i : i + 4]) for i in range(0, len(faults), 4)),
        dict(_pairs(unlisted)),
    )


def decode_promises(reply: Sequence[Any]) -> Promises:
    """Return what `promises.lua` answered."""
    done, held, heads = reply
    records, at = [], 0
    while at < len(held):
        first = at + 2
        at = first + held[at + 1]
        records.append((held[first - 2], dict(_pairs(held[first:at]))))
    return Promises(done, tuple(records), tuple(_pairs(heads)))


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
