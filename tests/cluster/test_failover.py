"""A primary that dies while it is worked on, and a cluster that cannot go on."""

from contextlib import closing
from pathlib import Path

import pytest
from redis.exceptions import ClusterDownError

from connectors.redis.cluster import ClusterClient
from connectors.redis.server import Server, ServerAway, server
from flows.runtime.retry import UNAVAILABLE
from state.protocol.keys import Keys
from state.store.shards import Store
from tests.cluster.load import SHARDS, Load
from tests.servers.fixtures import client_of
from tests.servers.redis_servers import RedisCluster, until

pytestmark = pytest.mark.cluster


def shards_on(client: ClusterClient, name: str) -> set[int]:
    """The shards that a node keeps."""
    return {shard for shard in range(SHARDS) if client.node_of(Keys().shard(shard, "")) == name}


def test_the_replica_of_a_killed_primary_takes_over_under_load_and_nothing_is_lost(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    load = Load(cluster_client)
    primary = redis_cluster.primaries[1]
    replica = redis_cluster.replica_of(primary)
    hit = shards_on(cluster_client, primary.name)
    before = load.server.identities(SHARDS)
    with load.working():
        load.go_on()
        redis_cluster.kill(primary)
        until(lambda: replica in redis_cluster.primaries, "a replica that takes over")
        load.go_on(20)
    load.check()
    after = load.server.identities(SHARDS)
    assert {shard for shard in range(SHARDS) if before[shard] != after[shard]} == hit
    assert shards_on(cluster_client, replica.name) == hit == load.recovered
    assert load.away.keys() & {"ConnectionError", "ClusterDownError"}


def test_what_a_replica_had_not_received_is_applied_again_from_the_log(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    load = Load(cluster_client)
    primary = redis_cluster.primaries[0]
    replica = redis_cluster.replica_of(primary)
    with load.working():
        load.go_on()
        with replica.paused():
            # Its link is cut while it cannot make another: what follows never reaches it.
            primary.do("CLIENT", "KILL", "TYPE", "replica")
            load.go_on(20)
            redis_cluster.kill(primary)
        until(lambda: replica in redis_cluster.primaries, "a replica that takes over")
        until(lambda: load.rewinds > 0, "a shard that is known to have gone back")
        load.go_on(20)
    load.check()
    assert load.recovered >= shards_on(cluster_client, replica.name)


def test_what_a_primary_that_hung_does_when_it_wakes_up_counts_for_nothing(
    redis_cluster: RedisCluster,
) -> None:
    with closing(client_of(redis_cluster, timeout_s=0.5)) as impatient:
        load = Load(impatient)
        primary = redis_cluster.primaries[1]
        replica = redis_cluster.replica_of(primary)
        with load.working():
            load.go_on()
            with primary.paused():
                until(lambda: replica in redis_cluster.primaries, "a replica that takes over")
                load.go_on()
            redis_cluster.settle()
            load.go_on(20)
        load.check()
    assert load.away["TimeoutError"] > 0


def test_a_planned_takeover_costs_at_most_a_few_repeated_calls(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    load = Load(cluster_client)
    with load.working():
        load.go_on()
        redis_cluster.promote(redis_cluster.replica_of(redis_cluster.primaries[2]))
        load.go_on()
    load.check()
    assert load.rewinds == 0


def test_a_primary_that_became_a_replica_is_not_asked_who_it_is(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    server = Server("", cluster_client, None)
    primary = redis_cluster.primaries[0]
    before = server.identities(SHARDS)
    redis_cluster.promote(redis_cluster.replica_of(primary))
    with pytest.raises(ClusterDownError, match="has become a replica"):
        server.identities(SHARDS)
    changed = [one != other for one, other in zip(before, server.identities(SHARDS), strict=True)]
    assert sum(changed) == len(shards_on(cluster_client, redis_cluster.primaries[0].name))


def test_without_the_majority_of_its_primaries_every_call_says_that_the_cluster_is_away(
    redis_cluster: RedisCluster, cluster_client: ClusterClient, tmp_path: Path
) -> None:
    store = Store(cluster_client, Keys(), SHARDS)
    store.load_functions()
    first, second, _ = redis_cluster.primaries
    redis_cluster.kill(first)
    redis_cluster.kill(second)
    with (
        pytest.raises(ServerAway, match="no answer from the cluster"),
        server(redis_cluster.url, tmp_path),
    ):
        raise AssertionError("it answered")
    for call in (store.marks, cluster_client.ping, lambda: cluster_client.hget("store", "shards")):
        with pytest.raises(UNAVAILABLE):
            call()
