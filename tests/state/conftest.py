"""A shard of each back end, and a client of each kind of server, for the suites that run over all."""

import pytest

from connectors.redis.cluster import Client
from tests.state.pools import Bench, MemoryPool, RedisPool, Shard

CLUSTER = pytest.param("cluster_client", marks=pytest.mark.cluster, id="cluster")


@pytest.fixture(params=[pytest.param("redis_client", id="redis"), CLUSTER])
def client(request: pytest.FixtureRequest) -> Client:
    """A client of an empty store: one server, or a cluster."""
    found: Client = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", pytest.param("redis_client", id="redis"), CLUSTER])
def shard(request: pytest.FixtureRequest) -> Shard:
    if request.param == "memory":
        return MemoryPool()
    return RedisPool(request.getfixturevalue(request.param))


@pytest.fixture
def bench(shard: Shard) -> Bench:
    return Bench(shard)
