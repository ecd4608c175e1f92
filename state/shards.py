"""Where a SKU lives, and how an event is known again.

Both functions are stored in Redis by their results: they never change, and never depend on the
language's own, seeded `hash`.
"""

from hashlib import blake2b
from zlib import crc32

__all__ = ["event_hash", "shard_of"]


def shard_of(sku: str, shards: int) -> int:
    """Return the shard, 0 to `shards - 1`, that keeps a SKU: CRC-32 of its UTF-8 bytes, modulo."""
    return crc32(sku.encode()) % shards


def event_hash(source: str, event_id: str) -> str:
    """Return the 63-bit hash of an event's identity, as a decimal string.

    A string, because a Lua number holds only 53 bits. BLAKE2b with a digest of 8 bytes over
    source, NUL, id; the lowest bit is dropped, so that the value also fits a signed integer.
    """
    digest = blake2b(f"{source}\0{event_id}".encode(), digest_size=8).digest()
    return str(int.from_bytes(digest, "big") >> 1)
