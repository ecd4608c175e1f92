"""The function library is on every primary, and comes back where it is missing."""

import pytest

from connectors.redis.cluster import ClusterClient
from state.protocol.claim import Claim, Claimed
from state.protocol.keys import Keys
from state.store.shards import Store
from tests.servers.redis_servers import RedisCluster, RedisServer

pytestmark = pytest.mark.cluster

SHARDS = 16


def has_functions(node: RedisServer) -> bool:
    return bool(node.do("FUNCTION", "LIST", "LIBRARYNAME", "penstock"))


def claims_everywhere(store: Store) -> bool:
    replies = store.claim(dict.fromkeys(range(SHARDS), Claim(1, 1, 1, 1, 0, 1)))
    return [type(reply) for reply in replies.values()] == [Claimed] * SHARDS


def test_the_functions_are_loaded_on_every_primary(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    Store(cluster_client, Keys(), SHARDS).load_functions()
    assert all(map(has_functions, redis_cluster.primaries))


def test_a_primary_without_the_functions_gets_them_and_the_call_is_repeated(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    store = Store(cluster_client, Keys(), SHARDS)
    store.load_functions()
    bare = redis_cluster.primaries[2]
    bare.do("FUNCTION", "FLUSH")
    assert claims_everywhere(store)
    assert has_functions(bare)


def test_a_replica_that_takes_over_has_the_functions(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    store = Store(cluster_client, Keys(), SHARDS)
    store.load_functions()
    replica = redis_cluster.replica_of(redis_cluster.primaries[0])
    redis_cluster.promote(replica)
    assert has_functions(replica)
    assert claims_everywhere(store)
