"""Reader progress: a hash in which all readers keep a value for each location, and how far each of them has read.

A writer that comes last wins. What a reader concludes from the values holds up to the slowest reader's progress. A
reader whose note is stale is not waited for, and its note is removed; if it lives, it writes the note again.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from state.store.client import Client

STALE_AFTER_MS: Final = 30_000
"""A reader that wrote no progress for so long is not waited for."""

_READER: Final = b"\x1f"
"""Begins the field of a reader; no id of a location does."""


class ReaderProgress:
    """One such hash, as one reader uses it. `reader` is a name that no other reader has."""

    def __init__(self, client: Client, key: str, reader: str) -> None:
        self._client, self._key, self._field = client, key, _READER + reader.encode()

    def read(self) -> dict[bytes, bytes]:
        """Return all fields: those of locations, and those of readers for `slowest_ms`."""
        found: dict[bytes, bytes] = self._client.hgetall(self._key)
        return found

    def write(self, values: Mapping[str, bytes | int], upto_ms: int, now_ms: int) -> None:
        """Write values of locations, and that this reader has read everything up to a time."""
        progress = msgspec.msgpack.encode((upto_ms, now_ms))
        own = {self._field: progress}
        self._client.hset(self._key, mapping={**values, **own})

    def slowest_ms(self, fields: Mapping[bytes, bytes], now_ms: int) -> int | None:
        """Return up to when the slowest other reader has read everything, None without one; drop stale notes."""
        slowest_ms: int | None = None
        stale = []
        for field, text in fields.items():
            if field.startswith(_READER) and field != self._field:
                upto_ms, wrote_ms = msgspec.msgpack.decode(text, type=tuple[int, int])
                if now_ms - wrote_ms >= STALE_AFTER_MS:
                    stale.append(field)
                elif slowest_ms is None or upto_ms < slowest_ms:
                    slowest_ms = upto_ms
        if stale:
            self._client.hdel(self._key, *stale)
        return slowest_ms

    def leave(self) -> None:
        """Remove the note of this reader: no other one waits for it any more."""
        self._client.hdel(self._key, self._field)
