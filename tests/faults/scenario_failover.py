"""A primary of a Redis Cluster dies while its replica lags: its shards go back, alone, and the others do not."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.load import Trading, one_each
from tests.faults.stage import Maker, NoProof, Proof, Stage, asked, until
from tests.servers.redis_servers import RedisCluster, RedisServer
from tests.servers.redis_servers import until as until_well

EVENTS = 60_000
PER_S = 2_500
LAG_EVENTS = 3_000
ROUNDS = 3
QUIET_SKUS = 200
GOES_ON_S = 120.0

Marks = list[dict[str, int]]


class Failover:
    """Failovers of several primaries under load, then one while all is quiet."""

    name = "failover"
    short = True
    finds = ("min",)

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Let replicas lag behind and take over."""
        cluster = RedisCluster(maker.folder / "cluster")
        maker.stack.callback(cluster.stop)
        cluster.start()
        stage = maker.stage(kafka=maker.kafka(), redis_url=cluster.url)
        for role in ("ingest", "ingest", "publish", "publish"):
            stage.start(role).ready()
        takeovers = Takeovers(stage, cluster)
        events, rounds = round(EVENTS * scale), max(1, round(ROUNDS * scale))
        feeder = stage.feed(Trading(maker.seed), PER_S)
        for n in range(rounds):
            feeder.until_sent(events * (n + 1) // (rounds + 1))
            takeovers.until_going_on()
            with takeovers.of(rng.choice(cluster.primaries)):
                further = sum(asked(stage.run.store.counters).values()) + LAG_EVENTS
                takeovers.until_applied(further)
            takeovers.until_going_on()
            cluster.heal()
        feeder.until_sent(events)
        feeder.stop()
        stage.settle()
        takeovers.while_quiet(rng.choice(cluster.primaries))
        return stage.proof(
            self.name,
            f"failovers={takeovers.kills} marks_back={takeovers.marks_back} "
            f"offsets_back={takeovers.offsets_back} shards_back={len(takeovers.shards_back)} "
            f"noticed_by_tick_alone={takeovers.noticed_quietly}",
            kills=takeovers.kills,
        )


class Takeovers:
    """What the takeovers took away."""

    def __init__(self, stage: Stage, cluster: RedisCluster) -> None:
        self.stage = stage
        self.cluster = cluster
        self.kills = 0
        self.marks_back = 0
        self.offsets_back = 0
        self.shards_back: set[int] = set()
        self.noticed_quietly = 0

    @contextmanager
    def of(self, primary: RedisServer) -> Iterator[None]:
        """Keep the replica from receiving what happens in the block, then let it take over."""
        replica = self.cluster.replica_of(primary)
        with replica.paused():
            # Its link is cut while it cannot make another: what follows never reaches it.
            primary.do("CLIENT", "KILL", "TYPE", "replica")
            yield
            before = asked(self.stage.run.store.marks)
            self.cluster.kill(primary)
            self.kills += 1
        after = self._marks_on(replica)
        until_well(lambda: replica in self.cluster.primaries, "a replica that takes over")
        self._compare(before, after)

    def while_quiet(self, primary: RedisServer) -> None:
        """Lose the last events of a primary when no more come."""
        stage = self.stage
        behind = stage.count_logs("shard went back")
        with self.of(primary):
            skus = [f"q{n}" for n in range(QUIET_SKUS)]
            stage.feed(one_each(skus, "wms.receipt", "stock", 7)).join()
            stage.settle()
        until(
            lambda: stage.count_logs("shard went back") > behind and stage.lag() == 0,
            "a rollback that is noticed while no event comes",
            GOES_ON_S,
        )
        self.noticed_quietly = stage.count_logs("shard went back") - behind

    def until_applied(self, events: int) -> None:
        """Wait until so many events took effect, or were known as copies."""
        counters = self.stage.run.store.counters
        until(lambda: sum(counters().values()) >= events, f"{events} events applied", GOES_ON_S)

    def until_going_on(self) -> None:
        """Wait until the workers have applied what was sent so far."""
        self.until_applied(sum(feeder.sent for feeder in self.stage.feeders))

    def _marks_on(self, node: RedisServer) -> Marks:
        """Return the marks as a replica has them that was not promoted yet; empty for others' shards."""
        found: Marks = []
        node.do("READONLY")
        keys = self.stage.run.store.keys
        for shard in range(self.stage.run.store.shards):
            key = keys.shard(shard, "mark")
            if node.do("CLUSTER", "COUNTKEYSINSLOT", self.cluster.slot_of(key)) == 0:
                found.append({})
                continue
            flat = node.do("HGETALL", key)
            found.append({mark.decode(): int(at) for mark, at in _pairs(flat)})
        return found

    def _compare(self, before: Marks, after: Marks) -> None:
        back = [
            (shard, at - then[mark])
            for shard, (now, then) in enumerate(zip(before, after, strict=True))
            for mark, at in now.items()
            if mark in then and then[mark] < at
        ]
        if not back:
            raise NoProof("the replica had received all that its primary knew")
        self.marks_back += len(back)
        self.offsets_back += sum(offsets for _, offsets in back)
        self.shards_back |= {shard for shard, _ in back}


def _pairs(reply: dict[bytes, bytes] | list[bytes]) -> list[tuple[bytes, bytes]]:
    if isinstance(reply, dict):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True))
