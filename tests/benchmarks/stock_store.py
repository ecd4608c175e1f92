"""The stock of those systems that keep it by the project's Redis functions."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

import redis

from connectors.redis.cluster import Client, ClusterClient, is_cluster
from state.protocol.keys import Keys
from state.store.shards import Store
from tests.benchmarks.processes import AtWork
from tests.benchmarks.system import Site

SHARDS = 16
READ_AT_ONCE = 1_000


class StoreRunning(AtWork):
    """A system at work whose stock lies in a `Store`."""

    def stock(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        with store_of(self._site) as store:
            names = store.skus()
            while batch := list(islice(names, READ_AT_ONCE)):
                for state in store.read_many(batch):
                    if state is not None:
                        found[state.sku] = sum(p.on_hand for p in state.positions)
        return found

    def overdue_ms(self) -> int:
        """Return how long the SKU has waited that has waited longest for its update."""
        with store_of(self._site) as store:
            oldest_ms = store.oldest_due_ms()
        return max(0, int(time.time() * 1000) - oldest_ms) if oldest_ms else 0


@contextmanager
def store_of(site: Site) -> Iterator[Store]:
    """Yield the store of a site."""
    client: Client
    if is_cluster(site.redis):
        client = ClusterClient(site.redis, timeout_s=15, connect_timeout_s=5)
    else:
        client = redis.Redis.from_url(site.redis)
    try:
        yield Store(client, Keys(site.namespace), SHARDS)
    finally:
        client.close()
