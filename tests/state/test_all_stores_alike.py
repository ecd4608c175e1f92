"""One stream, played into every kind of store: memory, embedded, a server alone, a cluster. All end the same."""

import random
from typing import Any

import pytest

from connectors.redis.cluster import Client
from state.protocol.figures import SkuState
from tests.flows.play import NOW_MS, MemoryStore, Player, Stream, redis_store
from tests.flows.shop import trading
from tests.servers.redis_servers import RedisServer

EVENTS = 3_000
SHARDS = 16
MOST = 97
CLUSTER = pytest.param("cluster_client", marks=pytest.mark.cluster, id="cluster")


@pytest.fixture(
    params=[pytest.param("redis_client", id="embedded"), pytest.param("redis_debian", id="alone"), CLUSTER]
)  # fmt: skip
def client(request: pytest.FixtureRequest) -> Client:
    """A client in bytes mode of an empty store."""
    found: Any = request.getfixturevalue(request.param)
    chosen: Client = found.client if isinstance(found, RedisServer) else found
    return chosen


def stream() -> Stream:
    """Receipts, sales and orders, some sent twice, over two partitions of each topic."""
    made, chance = Stream(), random.Random(11)
    for number, event in enumerate(trading(EVENTS)):
        if event["data"].get("location") != "nowhere":
            time_ms = NOW_MS - chance.randint(0, 86_400_000) + number
            made.append(event["type"], event["id"], time_ms, chance.randint(0, 1), event["data"])
    return made


def played(store: Any) -> tuple[dict[str, SkuState], list[dict[str, int]], dict[str, Any]]:
    """Return all SKUs, the marks of all shards, and what would be told, after the whole stream."""
    player = Player(stream(), store)
    player.read_all(MOST)
    player.tick()
    skus = {sku: found for sku in store.skus() if (found := store.read(sku)) is not None}
    return skus, store.marks(), player.levels()


def test_every_store_ends_as_the_one_in_memory(client: Client) -> None:
    skus, marks, levels = played(redis_store(client, SHARDS))
    expected, expected_marks, expected_levels = played(MemoryStore(SHARDS))
    assert len(skus) == 40
    assert {
        sku: (skus.get(sku), found) for sku, found in expected.items() if skus.get(sku) != found
    } == {}
    assert skus.keys() == expected.keys()
    assert (marks, levels) == (expected_marks, expected_levels)
    assert (
        sum(position.on_hand for found in skus.values() for position in found.positions) < 40 * 100
    )
