"""The stock of those systems that keep a total for each SKU in one hash of Redis."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import redis

from tests.benchmarks.processes import AtWork
from tests.benchmarks.system import RECEIPTS, SALES, Site, Work


class Totals:
    """Writes totals, many in one command."""

    def __init__(self, url: str, key: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._key = key

    def write(self, totals: Iterable[tuple[str, int]]) -> None:
        """Write totals by SKU; of two for the same, the later one."""
        mapping: dict[Any, Any] = dict(totals)
        if mapping:
            self._client.hset(self._key, mapping=mapping)

    def close(self) -> None:
        """End the connection."""
        self._client.close()


class TotalsRunning(AtWork):
    """A system at work that writes such a hash."""

    def stock(self) -> Mapping[str, int]:
        with redis.Redis.from_url(self._site.redis, decode_responses=True) as client:
            found: Any = client.hgetall(key_of(self._site))
        return {sku: int(total) for sku, total in found.items()}


def key_of(site: Site) -> str:
    """Return the name of the hash."""
    return f"{site.namespace}:total"


def told_in_file(site: Site, work: Work, **more: Any) -> Path:
    """Write down what a process of a peer has to know; return the file."""
    path = site.folder / "peer.json"
    known = {
        "kafka": site.kafka,
        "redis": site.redis,
        "inputs": [f"{site.namespace}.{topic}" for topic in (SALES, RECEIPTS)],
        "updates": site.updates,
        "totals": key_of(site),
        "run": site.run,
        "folder": str(site.folder),
        "mode": work.mode,
        "channels": work.channels,
        "partitions": work.partitions,
    }
    path.write_text(json.dumps(known | more))
    return path
