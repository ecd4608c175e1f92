"""A slot that moves to another primary while it is worked on."""

from collections.abc import Callable

import pytest
from redis.exceptions import TryAgainError

from connectors.redis.cluster import ClusterClient
from state.protocol.claim import Claim, Settle
from state.protocol.control import Rebuild, Recover, Tick
from state.protocol.keys import Keys
from state.protocol.sharding import slot_of
from tests.cluster.load import Load
from tests.servers.redis_servers import RedisCluster, RedisServer, until
from tests.state.pools import PLACES, SHOP, WAREHOUSE, Bench, RedisPool, move, place_order

pytestmark = pytest.mark.cluster


def another(cluster: RedisCluster, slot: int) -> RedisServer:
    """A primary that does not have the slot."""
    return next(node for node in cluster.primaries if node is not cluster.primary_of(slot))


def test_a_slot_that_moves_under_load_ends_exact(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    load, slot = Load(cluster_client), slot_of(5)
    home, target = redis_cluster.primary_of(slot), another(redis_cluster, slot)
    with load.working():
        load.go_on()
        for there, back in ((target, home), (home, target)):
            moved, asked, away = cluster_client.moved, cluster_client.asked, sum(load.away.values())
            redis_cluster.begin_migration(slot, there)
            until(lambda away=away: sum(load.away.values()) > away, "a call that is refused")  # type: ignore[misc]
            while redis_cluster.migrate_keys(slot, there, 3):
                continue
            until(lambda asked=asked: cluster_client.asked > asked, "an ASK")  # type: ignore[misc]
            redis_cluster.end_migration(slot, there)
            until(lambda moved=moved: cluster_client.moved > moved, "a MOVED")  # type: ignore[misc]
            load.go_on()
            assert redis_cluster.primary_of(slot) is not back
    load.check()
    assert load.away.keys() == {"TryAgainError"}
    assert load.rewinds == 0
    assert load.recovered >= {5}, "another server keeps the shard: it recovers"


def verbs(bench: Bench) -> list[Callable[[], object]]:
    """Every call that changes a shard, each with something to do."""
    shard, now_us = bench.shard, bench.now_us
    event = bench.event(move("A", SHOP, 1), move("new", SHOP, 1), place_order("A", "o9", 1))
    apply = bench.call(event)
    settle = Settle("A", 1, 0, 1, "{}", "", bench.now_ms, 0, ())
    return [
        lambda: shard.apply(apply),
        lambda: shard.tick(Tick(now_us, "s2", 2, 0)),
        lambda: shard.recover(Recover(now_us, "s2", 1, 1000, 100)),
        lambda: shard.claim(Claim(now_us, 5000, 1, 1, 0, 100)),
        lambda: shard.settle(now_us, 1, (settle,)),
        lambda: shard.rebuild(Rebuild(now_us, 1, 1, PLACES, ("A",))),
    ]


def test_no_call_does_a_part_of_its_work_while_the_keys_of_its_shard_are_in_two_places(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    pool, slot = RedisPool(cluster_client), slot_of(0)
    bench = Bench(pool)
    bench.do(move("A", WAREHOUSE, 5), move("B", SHOP, 2), place_order("A", "o1", 2))
    calls = verbs(bench)
    before = pool.everything()
    home, target = redis_cluster.primary_of(slot), another(redis_cluster, slot)
    redis_cluster.begin_migration(slot, target)
    left = 1
    while left:
        for call in calls:
            with pytest.raises(TryAgainError):
                call()
        left = redis_cluster.migrate_keys(slot, target, 1)
    redis_cluster.end_migration(slot, target)
    assert pool.everything() == before
    for call in calls:
        call()
    assert pool.everything() != before
    redis_cluster.migrate(slot, home)


def test_a_key_is_read_wherever_it_is_while_its_slot_is_on_its_way(
    redis_cluster: RedisCluster, cluster_client: ClusterClient
) -> None:
    slot = slot_of(3)
    names = [Keys("t").shard(3, f"pos:{n}") for n in range(6)]
    for name in names:
        cluster_client.hset(name, "f", name)
    home, target = redis_cluster.primary_of(slot), another(redis_cluster, slot)
    redis_cluster.begin_migration(slot, target)
    redis_cluster.migrate_keys(slot, target, 3)
    pipeline = cluster_client.pipeline(transaction=False)
    for name in names:
        pipeline.hget(name, "f")
    assert pipeline.execute() == [name.encode() for name in names]
    assert cluster_client.asked == 3
    while redis_cluster.migrate_keys(slot, target, 3):
        continue
    redis_cluster.end_migration(slot, target)
    redis_cluster.migrate(slot, home)
