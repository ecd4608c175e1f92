"""Holds in Redis: the typed wrapper around the functions of `functions/hold.lua`.

Each method takes the calls of several shards and sends them in one round trip. All may be repeated after a lost
answer. Errors: see `state.store.shards`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from state.protocol.common import StalePolicy, encode_call
from state.protocol.holds import (
    Hold,
    HoldAnswer,
    HoldState,
    Keep,
    KeepAnswer,
    Release,
    decode_hold,
    decode_keep,
    decode_listed,
    decode_released,
    encode_hold,
    encode_release,
)
from state.store.shards import Store

WAITAOF_SINCE = (7, 2)

LIST_MAX = 200
"""Holds read in one call."""


class HoldStore:
    """The holds of all shards of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waits: list[tuple[str, ...]] | None = None

    def hold(self, calls: Mapping[int, Hold]) -> dict[int, tuple[HoldAnswer, ...] | StalePolicy]:
        """Ask each shard for holds. An answer stands for each request, in order."""
        packed = {shard: encode_hold(call) for shard, call in calls.items()}
        return {shard: decode_hold(reply) for shard, reply in self.store.send("hold", packed)}

    def keep(self, calls: Mapping[int, Keep]) -> dict[int, KeepAnswer]:
        """Let holds live longer."""
        packed = {shard: encode_call(call) for shard, call in calls.items()}
        return {shard: decode_keep(reply) for shard, reply in self.store.send("keep", packed)}

    def copied(self, within_ms: int) -> bool:
        """Wait until what this client wrote last is on disk, and at a replica, as far as the server has them.

        No proof: a failover may still lose it. False when that took longer. A cluster is not asked: which of its
        nodes hold what was written is not known here.
        """
        client: Any = self.store.client
        if hasattr(client, "primaries"):
            return True
        if self._waits is None:
            self._waits = list(_waits(client.info()))
        return all(_least(client.execute_command(*wait, within_ms)) >= 1 for wait in self._waits)

    def release(self, now_us: int, items: Mapping[int, Sequence[Release]]) -> dict[int, list[int]]:
        """End holds by shard. The answers are defined in `state.protocol.holds`."""
        packed = {shard: encode_release(now_us, mine) for shard, mine in items.items()}
        replies = self.store.send("release", packed)
        return {shard: decode_released(reply) for shard, reply in replies}

    def sweep(self, shards: Iterable[int], now_us: int, limit: int) -> int:
        """End holds whose time is over. Return how many."""
        packed = dict.fromkeys(shards, encode_call((now_us, limit)))
        return sum(reply for _, reply in self.store.send("sweep", packed))

    def shards_of(self, hold: str) -> dict[int, tuple[int, ...]]:
        """Return by shard that has a part of the hold all the shards that it was made in."""
        store = self.store
        pipeline = store.client.pipeline(transaction=False)
        for shard in range(store.shards):
            pipeline.hget(store.keys.shard(shard, f"hold:{hold}"), "s")
        return {
            shard: tuple(map(int, reply.decode().split(",")))
            for shard, reply in enumerate(pipeline.execute())
            if reply is not None
        }

    def endings(self, hold: str) -> dict[int, str]:
        """Return by shard how a hold ended there, as far as that is still known."""
        store = self.store
        pipeline = store.client.pipeline(transaction=False)
        for shard in range(store.shards):
            pipeline.get(store.keys.shard(shard, f"ended:{hold}"))
        replies = enumerate(pipeline.execute())
        return {shard: reply.decode() for shard, reply in replies if reply is not None}

    def listed(self, shard: int, names: Sequence[str] = ()) -> Iterator[HoldState]:
        """Yield what the holds of a shard keep: those named, or all, the first to expire first.

        While holds are made and end, one may be passed over or come twice.
        """
        cursor = 0
        while True:
            packed = encode_call((cursor, LIST_MAX, tuple(names)))
            ((_, reply),) = self.store.send("holds", {shard: packed})
            cursor, found = decode_listed(reply)
            yield from found
            if cursor == 0:
                break


def _waits(info: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the commands by which this server can be waited for; a time limit is to follow."""
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if info.get("aof_enabled") and version >= WAITAOF_SINCE:
        yield "WAITAOF", "1", "0"
    if info.get("connected_slaves"):
        yield "WAIT", "1"


def _least(reply: int | list[int]) -> int:
    return reply if isinstance(reply, int) else reply[0]
