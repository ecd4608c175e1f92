"""What is fixed when a store is made: the layout of its keys, and the number of its shards."""

from typing import NamedTuple, cast

from state.protocol.keys import LAYOUT, Keys
from state.store.client import Client


class StoreFacts(NamedTuple):
    """What the store says of itself; None where it says nothing."""

    shards: int | None
    layout: str | None


class StoreRecord:
    """The record of one namespace."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client, self._key = client, keys.store()

    def read(self) -> StoreFacts:
        """Return what was fixed. A store of the first version has shards, and no layout."""
        found = self._client.hmget(self._key, "shards", "layout")
        shards, layout = cast("list[bytes | None]", found)
        return StoreFacts(
            None if shards is None else int(shards), None if layout is None else layout.decode()
        )

    def begin(self) -> bool:
        """Fix the layout; say whether this call did, so that the store is new."""
        return bool(self._client.hsetnx(self._key, "layout", LAYOUT))

    def finish(self, shards: int) -> None:
        """Fix the number of shards, when all else of a new store is made."""
        self._client.hsetnx(self._key, "shards", shards)
