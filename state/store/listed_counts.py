"""Listed SKUs per channel: how many SKUs a guarded channel shows with a level above 0, and how many fell to 0 of late.

The counts are kept by differences, and set right by each scan of the scrubber.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from state.protocol.figures import emitted_of
from state.protocol.keys import Keys
from state.protocol.sharding import shard_of
from state.store.client import Client


class Listed(NamedTuple):
    """The counts of one channel after a change."""

    is_known: bool
    """False when the channel had no count before: then `listed` is only what moved."""
    listed: int
    fell: int
    """SKUs that fell to 0 in this slot of time and the one before."""


class ListedCounts:
    """The counts of one namespace."""

    def __init__(self, client: Client, keys: Keys, shards: int) -> None:
        self._client, self._keys, self._shards = client, keys, shards

    def of(self, skus: Iterable[str], channels: Collection[str]) -> Counter[str]:
        """Return, by channel, how many of some SKUs it listed when they were emitted last."""
        pipeline = self._client.pipeline(transaction=False)
        for sku in skus:
            shard = shard_of(sku, self._shards)
            pipeline.hget(self._keys.shard(shard, f"pos:{sku}"), ">")
        found: Counter[str] = Counter()
        for emitted in pipeline.execute():
            levels: dict[str, Any] = orjson.loads(emitted_of((emitted or b"").decode())[0] or "{}")
            found.update(channel for channel in channels if levels.get(channel, 0) > 0)
        return found

    def move(self, channel: str, moved: int, falls: int, slot: int, life_ms: int) -> Listed:
        """Add what a batch changes: `moved` to the listed SKUs, `falls` to a slot of time that lives for a while."""
        keys = self._keys
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hexists(keys.shown(), channel)
        pipeline.hincrby(keys.shown(), channel, moved)
        pipeline.get(keys.falls(channel, slot - 1))
        pipeline.incrby(keys.falls(channel, slot), falls)
        pipeline.pexpire(keys.falls(channel, slot), life_ms)
        known, listed, before, now, _ = pipeline.execute()
        return Listed(bool(known), int(listed), int(before or 0) + int(now))

    def take_back(self, channel: str, falls: int, slot: int) -> None:
        """Take back the falls of a batch that is not emitted, and of the slots that count."""
        keys = self._keys
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hincrby(keys.shown(), channel, falls)
        pipeline.delete(keys.falls(channel, slot))
        pipeline.delete(keys.falls(channel, slot - 1))
        pipeline.execute()

    def put(self, counts: Mapping[str, int]) -> None:
        """Set the counts of channels right."""
        self._client.hset(self._keys.shown(), mapping=dict(counts))
