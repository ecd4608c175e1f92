"""Redis is out of memory: reading stops, nothing piles up in the workers, and all goes on when there is more."""

import random

from tests.faults.load import Trading
from tests.faults.pressure import Pressure, crew, until_it_goes_on
from tests.faults.stage import Maker, Proof
from tests.servers.redis_servers import RedisServer

EVENTS = 60_000
PER_S = 3_000
ROOM_BYTES = 256 * 1024
ROUNDS = 2


class Memory:
    """`maxmemory` is reached under load, with `noeviction`, and raised later."""

    name = "memory"
    short = True
    finds = ()

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Leave Redis little room, let events come in meanwhile, then give it more."""
        redis = RedisServer(maker.folder / "redis", {"maxmemory-policy": "noeviction"})
        redis.start()
        maker.stack.callback(redis.kill)
        stage = maker.stage(kafka=maker.kafka(), redis_url=redis.url)
        crew(stage)
        events, rounds = round(EVENTS * scale), max(1, round(ROUNDS * scale))
        feeder = stage.feed(Trading(maker.seed), PER_S)
        pressure = Pressure(stage, "OutOfMemoryError")
        limits = []
        for n in range(rounds):
            feeder.until_sent(events * (2 * n + 1) // (2 * rounds + 1) + rng.randrange(PER_S))
            pressure.begin()
            limits.append(redis.client.info("memory")["used_memory"] + ROOM_BYTES)
            redis.do("CONFIG", "SET", "maxmemory", limits[-1])
            try:
                pressure.until_felt()
                # A worker that gives back a buffer makes room again for another's call: none is left now.
                redis.do("CONFIG", "SET", "maxmemory", limits[-1] // 2)
                pressure.until_all_stand()
                pressure.hold(feeder, events // (4 * rounds))
            finally:
                redis.do("CONFIG", "SET", "maxmemory", 0)
            until_it_goes_on(stage)
            pressure.end()
        feeder.until_sent(events)
        feeder.stop()
        return stage.proof(
            self.name,
            f"out_of_memory={rounds} at_bytes={limits[-1]} calls_refused={pressure.refused} "
            f"sent_meanwhile={pressure.sent_meanwhile} workers_grew_by_kb={pressure.grown_kb}",
            refused=pressure.refused,
        )
