"""Where a SKU lives, and how an event is known again.

All functions are stored in Redis by their results: they never change, and never depend on the
language's own, seeded `hash`.
"""

from binascii import crc_hqx
from functools import cache
from hashlib import blake2b
from itertools import count
from zlib import crc32

__all__ = ["SLOTS", "event_hash", "shard_of", "slot_of", "tag_of"]

SLOTS = 16_384
"""Of a Redis Cluster."""

_SLOT_BITS = 14
_WINDOW = SLOTS // 1024
"""A tag may be so far behind the slot it aims at: as many windows as there may be shards."""


def shard_of(sku: str, shards: int) -> int:
    """Return the shard, 0 to `shards - 1`, that keeps a SKU: CRC-32 of its UTF-8 bytes, modulo."""
    return crc32(sku.encode()) % shards


@cache
def tag_of(shard: int) -> str:
    """Return the hash tag of a shard: its number, with the suffix that moves it to its place.

    Shard n aims at the n-th number of the van der Corput sequence (0, 1/2, 1/4, 3/4, 1/8, ...), as a
    fraction of the slots: so any number of shards is spread evenly over primaries that hold a range each.
    """
    target = int(f"{shard:0{_SLOT_BITS}b}"[::-1][:_SLOT_BITS], 2)
    tags = (f"{shard}-{k}" if k else str(shard) for k in count())
    return next(tag for tag in tags if 0 <= _slot(tag) - target < _WINDOW)


def slot_of(shard: int) -> int:
    """Return the slot of a Redis Cluster of all keys of a shard."""
    return _slot(tag_of(shard))


def _slot(tag: str) -> int:
    """CRC-16/XMODEM modulo the slots, as Redis computes it."""
    return crc_hqx(tag.encode(), 0) % SLOTS


def event_hash(source: str, event_id: str) -> str:
    """Return the 63-bit hash of an event's identity, as a decimal string.

    A string, because a Lua number holds only 53 bits. BLAKE2b with a digest of 8 bytes over
    source, NUL, id; the lowest bit is dropped, so that the value also fits a signed integer.
    """
    digest = blake2b(f"{source}\0{event_id}".encode(), digest_size=8).digest()
    return str(int.from_bytes(digest, "big") >> 1)
