"""Reads of the shards: look-ups for people, and what background tasks ask; not the hot path.

Each call reads all shards in one round trip, without a function. Errors are those of `state.store.shards`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from state.protocol.figures import SkuState, StoredPosition, decode_position, decode_sku
from state.protocol.keys import Keys
from state.protocol.sharding import shard_of, tag_of
from state.store.client import Client

SCAN_COUNT = 1000


class NextChecks(NamedTuple):
    """When a SKU is due next, by the due queue (system time) and by the timer queue (business time), in ms."""

    due_ms: float | None
    look_ms: float | None


class Reads:
    """The part of the store that only reads."""

    def __init__(self, client: Client, keys: Keys, shards: int) -> None:
        self.client = client
        self.keys = keys
        self.shards = shards
        self._meta = [keys.shard(shard, "meta") for shard in range(shards)]
        self._shard_of_tag = {tag_of(shard): shard for shard in range(shards)}

    def scan(self, cursors: Mapping[int, int]) -> dict[int, tuple[int, list[str]]]:
        """Return of each shard the next cursor, 0 at the end, and some SKUs from where its cursor stands."""
        pipeline = self.client.pipeline(transaction=False)
        for shard, cursor in cursors.items():
            pipeline.execute_command(
                "ZSCAN", self.keys.shard(shard, "due"), cursor, "COUNT", SCAN_COUNT
            )
        return {
            shard: (int(cursor), [member.decode() for member, _ in found])
            for shard, (cursor, found) in zip(cursors, pipeline.execute(), strict=True)
        }

    def marks(self) -> list[dict[str, int]]:
        """Return the watermarks of every shard: `<log id>/<partition>` -> last applied offset."""
        pipeline = self.client.pipeline(transaction=False)
        for shard in range(self.shards):
            pipeline.hgetall(self.keys.shard(shard, "mark"))
        return [
            {mark.decode(): int(offset) for mark, offset in reply.items()}
            for reply in pipeline.execute()
        ]

    def counters(self) -> dict[str, int]:
        """Return how many events were `applied`, and dropped as `duplicates`, in all time."""
        pipeline = self.client.pipeline(transaction=False)
        for meta in self._meta:
            pipeline.hmget(meta, "applied", "duplicates")
        replies = pipeline.execute()
        return {
            name: sum(int(reply[i] or 0) for reply in replies)
            for i, name in enumerate(("applied", "duplicates"))
        }

    def due_by(self, now_ms: int, business_ms: int) -> int:
        """Return how many SKUs wait to be looked at."""
        pipeline = self.client.pipeline(transaction=False)
        for shard in range(self.shards):
            pipeline.zcount(self.keys.shard(shard, "due"), "-inf", now_ms)
            pipeline.zcount(self.keys.shard(shard, "look"), "-inf", business_ms)
        return sum(pipeline.execute())

    def oldest_due_ms(self) -> int:
        """Return since when the SKU that is due longest has been due (system time), 0 in an empty store."""
        pipeline = self.client.pipeline(transaction=False)
        for shard in range(self.shards):
            pipeline.zrange(self.keys.shard(shard, "due"), 0, 0, withscores=True)
        return min((int(reply[0][1]) for reply in pipeline.execute() if reply), default=0)

    def business_ms(self) -> int:
        """Return the newest event time that any shard has seen, 0 when none has."""
        pipeline = self.client.pipeline(transaction=False)
        for meta in self._meta:
            pipeline.hget(meta, "t")
        return max(int(reply or 0) for reply in pipeline.execute())

    def read(self, sku: str) -> SkuState | None:
        """Return all that is known of a SKU, None when nothing is."""
        return next(self.read_many([sku]))

    def read_many(self, skus: Sequence[str]) -> Iterator[SkuState | None]:
        """Yield what is known of each SKU, in order, read in one round trip."""
        pipeline = self.client.pipeline(transaction=False)
        for sku in skus:
            shard = shard_of(sku, self.shards)
            pipeline.hgetall(self.keys.shard(shard, f"pos:{sku}"))
        for sku, reply in zip(skus, pipeline.execute(), strict=True):
            yield decode_sku(sku, reply)

    def positions(self, places: Sequence[tuple[str, str]]) -> list[StoredPosition | None]:
        """Return the position of each (SKU, location) with its movements, None where there is none."""
        pipeline = self.client.pipeline(transaction=False)
        for sku, location in places:
            key = self.keys.shard(shard_of(sku, self.shards), f"pos:{sku}")
            pipeline.hget(key, f"l:{location}")
        return [
            decode_position(location, text) if text is not None else None
            for (_, location), text in zip(places, pipeline.execute(), strict=True)
        ]

    def skus(self) -> Iterator[str]:
        """Yield every SKU of the store, shard by shard, each at least once."""
        for shard in range(self.shards):
            cursor = 0
            while True:
                cursor, found = self.client.execute_command(
                    "ZSCAN", self.keys.shard(shard, "due"), cursor, "COUNT", SCAN_COUNT
                )
                cursor = int(cursor)
                for member, _ in found:
                    yield member.decode()
                if cursor == 0:
                    break

    def sku_count(self) -> int:
        """Return how many SKUs the store knows."""
        pipeline = self.client.pipeline(transaction=False)
        for shard in range(self.shards):
            pipeline.zcard(self.keys.shard(shard, "due"))
        return sum(pipeline.execute())

    def next_checks(self, sku: str) -> NextChecks:
        """Return when a SKU is due next."""
        shard = shard_of(sku, self.shards)
        pipeline = self.client.pipeline(transaction=False)
        pipeline.zscore(self.keys.shard(shard, "due"), sku)
        pipeline.zscore(self.keys.shard(shard, "look"), sku)
        return NextChecks(*pipeline.execute())

    def holds_queued(self) -> tuple[int, list[tuple[str, int]]]:
        """Return how many holds there are, and of each shard that has any the next to end, with its expiry (ms)."""
        pipeline = self.client.pipeline(transaction=False)
        for shard in range(self.shards):
            queue = self.keys.shard(shard, "holds")
            pipeline.zcard(queue)
            pipeline.zrange(queue, 0, 0, withscores=True)
        found = pipeline.execute()
        oldest = [
            (hold.decode(), int(expiry_ms)) for first in found[1::2] for hold, expiry_ms in first
        ]
        return sum(found[::2]), oldest

    def key_pattern(self, rest: str) -> str:
        """Return the pattern of keys of all shards: `key_pattern("pos:*")`."""
        return f"{self.keys.prefix}{{*}}:{rest}"

    def parse_keys(self, keys: Iterable[bytes]) -> Iterator[tuple[int, str, str]]:
        """Yield shard, kind and name of the keys that belong to a shard: `(7, "pos", "A1")`."""
        begin = len(self.keys.prefix) + 1
        for key in keys:
            tag, _, rest = key.decode()[begin:].partition("}:")
            kind, _, name = rest.partition(":")
            shard = self._shard_of_tag.get(tag)
            if shard is not None:
                yield shard, kind, name
