"""The walk over a pool that lies on a cluster."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from connectors.config.settings import Settings
from connectors.log.base import Log
from connectors.redis.cluster import ClusterClient
from connectors.redis.server import Server
from flows.runtime.active_policy import PolicyInForce
from flows.runtime.clock import now_us
from flows.runtime.context import Runtime
from flows.services.scrub.scan import Findings, Round
from flows.services.scrub.scrubber import LeaseLost, Walk
from state.events.codes import CodeTable
from state.events.ops import MOVE, ORDER
from state.policy.document import Location, Policy
from state.protocol.keys import Keys
from state.protocol.pack import Chain, NormalEvent, Packer
from state.protocol.sharding import shard_of, slot_of
from state.store.policy import InForce
from state.store.shards import Store
from tests.servers.redis_servers import RedisCluster
from tests.state.pools import GUARD_MS

pytestmark = pytest.mark.cluster

SHARDS, SKUS = 16, 200


@pytest.fixture
def run(redis_cluster: RedisCluster, cluster_client: ClusterClient) -> Runtime:
    """Stock of many SKUs, some of it ordered, over all primaries."""
    keys = Keys("w")
    policy = PolicyInForce(
        InForce(1, Policy(locations=(Location("wh", "warehouse"),)), 1), CodeTable()
    )
    server = Server(redis_cluster.url, cluster_client, None)
    store = Store(cluster_client, keys, SHARDS)
    store.load_functions()
    store.begin(server.identities(SHARDS))
    now_ms = now_us() // 1000
    events = []
    for n in range(SKUS):
        ops: Any = ((MOVE, f"A{n}", "wh", 5, 0, 0), (ORDER, f"A{n}", f"o{n}", "shop", 2))
        events.append(NormalEvent(n, str(n), 9, now_ms, now_ms, ops))
    chain = Chain.starting("log/0", -1, SHARDS)
    packer = Packer(SHARDS, GUARD_MS)
    store.apply(packer.pack([(chain, SKUS - 1, events)], policy.locate, now_us(), 1))
    return Runtime(Settings(metrics="off"), server, keys, store, cast("Log", None), policy)


def look(run: Runtime) -> Findings:
    walked = Round(run, run.server, run.store, Findings(), 0)
    for _ in walked.steps():
        pass
    return walked.findings


def test_all_primaries_are_walked(run: Runtime) -> None:
    found = look(run)
    assert (found.skus, found.faults, found.suspects) == (SKUS, [], frozenset())
    run.server.client.hdel(run.keys.shard(shard_of("A7", SHARDS), "pos:A7"), "l:wh")
    run.server.client.delete(run.keys.shard(shard_of("A9", SHARDS), "order:o9"))
    assert {each[:2] for each in look(run).faults} == {("A7", "class_sums"), ("A9", "reserved")}


def test_the_lease_is_kept_on_a_cluster(run: Runtime) -> None:
    one, other = Walk(run, 0.5, rest_s=0.0), Walk(run, 0.5, rest_s=0.0)
    one._hold(run.server)
    one.round(run.server, run.store)
    assert run.server.client.get(run.keys.walk()) == one._name.encode()
    with pytest.raises(LeaseLost):
        other._hold(run.server)
    one._give_up(run.server)
    other._hold(run.server)
    one._forget()


class Moving(Server):
    """A cluster of which a slot moves while its keys are gone through: those of it are not met."""

    move: Any = None

    def keys_like(self, pattern: str, count: int) -> Iterator[list[bytes]]:
        for n, piece in enumerate(super().keys_like(pattern, count)):
            yield piece
            if n == 0:
                # Of orders and of holds keys are asked for; the slot moves once.
                move, Moving.move = Moving.move, lambda: None
                move()


def test_orders_that_moved_past_the_walk_prove_nothing(
    run: Runtime, redis_cluster: RedisCluster
) -> None:
    client = cast("ClusterClient", run.server.client)
    first, *_, last = (node.name for node in client._primaries())
    shard = next(n for n in range(SHARDS) if client.node_of(run.keys.shard(n, "meta")) == last)
    slot, target = slot_of(shard), redis_cluster.node(first)
    home = redis_cluster.primary_of(slot)
    doubted = {f"A{n}": 9 for n in range(SKUS) if shard_of(f"A{n}", SHARDS) == shard}
    assert doubted
    Moving.move = lambda: redis_cluster.migrate(slot, target)
    server = Moving(run.server.url, client, None)
    walked = Round(run, server, run.store, Findings(), 0)
    walked._promised = doubted
    for _ in walked._confirm():
        pass
    assert redis_cluster.primary_of(slot) is not home
    assert walked.findings.suspects == doubted.keys()
    assert walked.findings.faults == []
    redis_cluster.migrate(slot, home)
    assert look(run).faults == []
