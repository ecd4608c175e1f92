"""The client of a cluster: a batch is one round trip, and every command finds its node."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from connectors.redis.cluster import ClusterClient
from connectors.redis.server import ServerAway, ServerError, server
from state.protocol.keys import Keys
from state.protocol.sharding import slot_of
from state.store.shards import Store
from tests.servers.fixtures import client_of
from tests.servers.redis_servers import RedisCluster, RedisServer

pytestmark = pytest.mark.cluster

SHARDS = 16
TAGGED = [Keys().shard(shard, "x") for shard in range(SHARDS)]


def test_slots_are_those_that_a_server_computes(redis_cluster: RedisCluster) -> None:
    first = redis_cluster.nodes[0]
    for shard in range(1024):
        key = Keys("a").shard(shard, "meta")
        assert first.do("CLUSTER KEYSLOT", key) == slot_of(shard)


def test_sixteen_shards_lie_as_six_five_and_five_on_three_primaries(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    for key in TAGGED:
        cluster_client.set(key, "1")
    assert [primary.client.dbsize() for primary in redis_cluster.primaries] == [6, 5, 5]


def test_replies_come_in_the_order_of_the_commands_whichever_node_they_are_from(
    cluster_client: ClusterClient,
) -> None:
    pipeline = cluster_client.pipeline(transaction=False)
    for n, key in enumerate(TAGGED):
        pipeline.set(key, n)
        pipeline.incrby(key, 100)
    assert pipeline.execute() == [reply for n in range(SHARDS) for reply in (True, 100 + n)]


def test_a_batch_asks_no_server_for_anything_but_its_commands(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    store = Store(cluster_client, Keys(), SHARDS)
    store.load_functions()
    store.settle(1, 1, dict.fromkeys(range(SHARDS), ()))
    primaries = redis_cluster.primaries
    for primary in primaries:
        primary.do("CONFIG RESETSTAT")
    store.settle(1, 1, dict.fromkeys(range(SHARDS), ()))
    seen: Counter[str] = Counter()
    for primary in primaries:
        for command, figures in primary.client.info("commandstats").items():
            seen[command.removeprefix("cmdstat_")] += figures["calls"]
    of_the_servers = {"info", "config|resetstat", "ping", "replconf"}
    within_the_calls = {"exists", "hmget"}
    assert seen.keys() - of_the_servers - within_the_calls == {"fcall"}
    assert seen["fcall"] == SHARDS


def test_an_error_of_one_command_leaves_the_others_their_replies(
    cluster_client: ClusterClient,
) -> None:
    cluster_client.set(TAGGED[3], "text")
    pipeline = cluster_client.pipeline(transaction=False)
    for key in TAGGED[:5]:
        pipeline.incr(key)
    replies = pipeline.execute(raise_on_error=False)
    assert [reply for reply in replies if not isinstance(reply, Exception)] == [1, 1, 1, 1]
    assert isinstance(replies[3], redis.ResponseError)
    pipeline.incr(TAGGED[3])
    with pytest.raises(redis.ResponseError):
        pipeline.execute()


def test_a_command_whose_slot_has_moved_is_sent_again_to_where_it_went(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    slot = slot_of(0)
    home, target = redis_cluster.primary_of(slot), redis_cluster.primaries[1]
    cluster_client.set(TAGGED[0], "here")
    redis_cluster.migrate(slot, target)
    assert cluster_client.get(TAGGED[0]) == b"here"
    assert cluster_client.get(TAGGED[0]) == b"here"
    assert cluster_client.moved == 1
    redis_cluster.migrate(slot, home)
    assert transaction(cluster_client, TAGGED[0]) == [b"here"]
    assert cluster_client.moved == 2


def transaction(client: ClusterClient, key: str) -> Any:
    def read(pipeline: redis.client.Pipeline) -> None:
        pipeline.multi()
        pipeline.get(key)

    return client.transaction(read, key)


def test_a_cluster_is_reached_by_whichever_seed_lives(
    redis_cluster: RedisCluster, tmp_path: Path
) -> None:
    url = redis_cluster.url.replace("redis+cluster://", "redis+cluster://127.0.0.1:1,")
    with server(url, tmp_path) as found:
        assert found.client.ping()
        found.check()


@pytest.fixture
def evicting(redis_cluster: RedisCluster) -> Iterator[RedisServer]:
    primary = redis_cluster.primaries[1]
    primary.do("CONFIG SET", "maxmemory-policy", "allkeys-lru")
    yield primary
    primary.do("CONFIG SET", "maxmemory-policy", "noeviction")


def test_one_primary_that_evicts_keys_is_refused_by_its_name(
    redis_cluster: RedisCluster, evicting: RedisServer, tmp_path: Path
) -> None:
    with (
        server(redis_cluster.url, tmp_path) as found,
        pytest.raises(ServerError, match=f"server {evicting.name}: .*got allkeys-lru"),
    ):
        found.check()


def test_a_node_of_a_cluster_is_refused_as_a_server(
    redis_cluster: RedisCluster, tmp_path: Path
) -> None:
    with (
        server(redis_cluster.nodes[0].url, tmp_path) as found,
        pytest.raises(ServerError, match=r"expected redis\+cluster://"),
    ):
        found.check()


def test_a_server_is_refused_as_a_cluster(redis_debian: RedisServer, tmp_path: Path) -> None:
    url = redis_debian.url.replace("redis://", "redis+cluster://")
    with (
        pytest.raises(ServerError, match="expected a cluster, got Cluster mode is not enabled"),
        server(url, tmp_path),
    ):
        raise AssertionError("it was taken")


def test_a_cluster_that_does_not_answer_is_away(tmp_path: Path) -> None:
    url = "redis+cluster://:hush@127.0.0.1:1,127.0.0.1:2"
    with (
        pytest.raises(ServerAway, match="no answer from the cluster") as caught,
        server(url, tmp_path),
    ):
        raise AssertionError("it answered")
    assert "hush" not in str(caught.value)


def test_a_log_on_a_cluster_is_refused(redis_cluster: RedisCluster, tmp_path: Path) -> None:
    with server(redis_cluster.url, tmp_path) as found:
        with pytest.raises(ServerError, match=r"PENSTOCK_KAFKA.*roll back together"):
            _ = found.one
        assert found.skew_ms(0) < 0


def test_a_pipeline_that_wants_to_be_a_transaction_is_refused(
    redis_cluster: RedisCluster,
) -> None:
    client = client_of(redis_cluster)
    with pytest.raises(ValueError, match="expected no transaction"):
        client.pipeline(transaction=True)
    client.close()
