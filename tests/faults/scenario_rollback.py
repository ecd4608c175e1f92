"""Redis is killed and its append-only file cut: all shards go back by a moment, the log does not."""

import os
import random
import time
from pathlib import Path

from tests.faults.load import Trading, one_each
from tests.faults.stage import Maker, NoProof, Proof, Stage, asked, until
from tests.servers.redis_servers import RedisServer

EVENTS = 60_000
PER_S = 3_000
ROUNDS = 2
AWAY_AND_BACK_SKUS = 200
GOES_ON_S = 120.0
AGAIN_S = 62.0
"""A recovery is repeated a minute later."""

SETTINGS = {
    "appendfsync": "everysec",
    # One file, so that there is one place to cut.
    "auto-aof-rewrite-percentage": "0",
}


class Rollback:
    """A power cut takes the last second of the append-only file: under load, twice at once, and when all is quiet."""

    name = "rollback"
    short = True
    finds = ("from", "min", "recover")

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Cut, and let the workers find out by themselves."""
        redis = RedisServer(maker.folder / "redis", SETTINGS)
        redis.start()
        maker.stack.callback(redis.kill)
        stage = maker.stage(kafka=maker.kafka(), redis_url=redis.url)
        for role in ("ingest", "ingest", "publish", "publish"):
            stage.start(role).ready()
        power = Power(stage, redis)
        events, rounds = round(EVENTS * scale), max(1, round(ROUNDS * scale))
        feeder = stage.feed(Trading(maker.seed), PER_S)
        for n in range(rounds):
            feeder.until_sent(events * (n + 1) // (rounds + 1))
            power.until_going_on()
            time.sleep(rng.random())
            power.cut_last_second()
            power.until_going_on()
        power.cut_twice()
        power.until_going_on()
        feeder.until_sent(events)
        feeder.stop()
        power.cut_while_quiet()
        if scale == 1:
            # The repetition of the recoveries must end as well as they did.
            time.sleep(AGAIN_S)
        return stage.proof(
            self.name,
            f"cuts={len(power.dropped)} bytes_dropped={sum(power.dropped)} marks_back={power.marks_back} "
            f"offsets_back={power.offsets_back} noticed_by_tick_alone={power.noticed_quietly}",
            kills=len(power.dropped),
        )


class Power:
    """The power of the server, and what its cuts took away."""

    def __init__(self, stage: Stage, redis: RedisServer) -> None:
        self.stage = stage
        self.redis = redis
        self.dropped: list[int] = []
        """Bytes of the append-only file, by cut."""
        self.marks_back = 0
        self.offsets_back = 0
        self.noticed_quietly = 0
        """Shards that were found behind while no event came."""

    def cut_last_second(self) -> None:
        """Lose what was written in the last second."""
        self._cut(self._size_a_second_ago())

    def cut_twice(self) -> None:
        """Lose a second, and then also the recovery from that, before a clock's skew has passed."""
        kept = self._size_a_second_ago()
        self._cut(kept)
        found, counters = self.stage.recoveries(), self.stage.run.store.counters
        applied = sum(asked(counters).values())
        until(
            lambda: self.stage.recoveries() > found and sum(counters().values()) > applied,
            "shards that recover and go on",
            GOES_ON_S,
        )
        self._cut(kept)

    def cut_while_quiet(self) -> None:
        """Lose the last events when no more come; and what was told of them, while nobody publishes.

        Their levels went away and come back with the next event: who still trusts in what was told
        before says nothing then.
        """
        stage = self.stage
        skus = [f"q{n}" for n in range(AWAY_AND_BACK_SKUS)]
        stage.feed(one_each(skus, "wms.receipt", "stock", 100)).join()
        stage.settle()
        time.sleep(1.0)
        kept = self._size()
        stage.feed(one_each(skus, "pos.sale", "away", 1)).join()
        stage.settle()
        for publisher in stage.living("publish"):
            publisher.stop()
        behind = stage.count_logs("shard went back")
        self._cut(kept)
        until(
            lambda: stage.count_logs("shard went back") > behind and stage.lag() == 0,
            "a rollback that is noticed while no event comes",
            GOES_ON_S,
        )
        self.noticed_quietly = stage.count_logs("shard went back") - behind
        stage.feed(one_each(skus, "pos.return", "back", 1)).join()
        until(lambda: stage.lag() == 0, "returns that are applied", GOES_ON_S)
        stage.start("publish")

    def until_going_on(self) -> None:
        """Wait until the workers have applied what was sent so far."""
        stage = self.stage
        goal = sum(feeder.sent for feeder in stage.feeders)
        counters = stage.run.store.counters
        until(lambda: sum(counters().values()) >= goal, "work that goes on after a cut", GOES_ON_S)

    def _cut(self, kept: int) -> None:
        """End the server, drop what its file has beyond `kept`, and start it again."""
        before = asked(self.stage.run.store.marks)
        self.redis.kill()
        path = self._path()
        dropped = path.stat().st_size - kept
        if dropped <= 0:
            raise NoProof("nothing had been written that could be lost")
        os.truncate(path, kept)
        # What was lost is seen before anybody goes on.
        workers = self.stage.living()
        for worker in workers:
            worker.freeze()
        self.redis.restart()
        after = asked(self.stage.run.store.marks)
        for worker in workers:
            worker.wake()
        back = [
            at - now.get(mark, -1)
            for then, now in zip(before, after, strict=True)
            for mark, at in then.items()
            if now.get(mark, -1) < at
        ]
        if not back:
            raise NoProof(f"{dropped} bytes were lost, and no mark among them")
        self.dropped.append(dropped)
        self.marks_back += len(back)
        self.offsets_back += sum(back)

    def _size_a_second_ago(self) -> int:
        """Return what the file has now, a second later, and when there is something in it that can be lost."""
        kept, applied = self._size(), self._applied()
        time.sleep(1.0)
        until(
            lambda: self._size() > kept and self._applied() > applied,
            "a second in which something was applied",
            GOES_ON_S,
        )
        return kept

    def _applied(self) -> int:
        return sum(at for shard in asked(self.stage.run.store.marks) for at in shard.values())

    def _size(self) -> int:
        return self._path().stat().st_size

    def _path(self) -> Path:
        (path,) = (self.redis.folder / "appendonlydir").glob("*.incr.aof")
        return path
