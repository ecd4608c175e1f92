"""A shard of each back end, for the suite that runs over both."""

import pytest

from tests.state.pools import Bench, MemoryPool, RedisPool, Shard


@pytest.fixture(params=["memory", "redis"])
def shard(request: pytest.FixtureRequest) -> Shard:
    if request.param == "memory":
        return MemoryPool()
    return RedisPool(request.getfixturevalue("redis_client"))


@pytest.fixture
def bench(shard: Shard) -> Bench:
    return Bench(shard)
