"""How many SKUs each channel lists: what was emitted last, counted."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Final

import orjson

from state.protocol.figures import emitted_of
from state.protocol.keys import Keys
from state.protocol.sharding import shard_of
from state.store.client import Client

CHUNK: Final = 500


def count_shown(
    client: Client, keys: Keys, shards: int, skus: Iterable[str], channels: Collection[str]
) -> Counter[str]:
    """Return, by channel, how many of some SKUs it showed anything of when they were emitted last."""
    pipeline = client.pipeline(transaction=False)
    for sku in skus:
        pipeline.hget(keys.shard(shard_of(sku, shards), f"pos:{sku}"), ">")
    found: Counter[str] = Counter()
    for emitted in pipeline.execute():
        levels: dict[str, Any] = orjson.loads(emitted_of((emitted or b"").decode())[0] or "{}")
        found.update(channel for channel in channels if levels.get(channel, 0) > 0)
    return found
