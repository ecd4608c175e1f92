"""Redis answers nobody for a while: calls time out and are repeated, reading stops, and nothing happens twice."""

import random
import threading

from connectors.redis.server import SOCKET_TIMEOUT_S
from tests.faults.load import Trading
from tests.faults.pressure import Pressure, crew, until_it_goes_on
from tests.faults.stage import Maker, Proof
from tests.servers.redis_servers import RedisServer

EVENTS = 60_000
PER_S = 2_000
PAUSE_S = SOCKET_TIMEOUT_S + 5
"""Longer than a worker waits for an answer."""
SCRIPT_S = 5
BUSY_AFTER_MS = 100
LONG_SCRIPT = """#!lua name=faults
redis.register_function('faults_hold', function(keys, args)
  local began = redis.call('TIME')
  repeat
    local now = redis.call('TIME')
    local held_s = now[1] - began[1] + (now[2] - began[2]) / 1000000
  until held_s >= tonumber(args[1])
end)
"""


class Slow:
    """`CLIENT PAUSE` beyond every time-out, and a function of somebody else that runs for seconds."""

    name = "slow"
    short = False
    finds = ()

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Hold Redis up twice while events come in."""
        redis = RedisServer(maker.folder / "redis", {"busy-reply-threshold": str(BUSY_AFTER_MS)})
        redis.start()
        maker.stack.callback(redis.kill)
        stage = maker.stage(kafka=maker.kafka(), redis_url=redis.url)
        crew(stage)
        events = round(EVENTS * scale)
        feeder = stage.feed(Trading(maker.seed), PER_S)

        feeder.until_sent(events // 4 + rng.randrange(PER_S))
        paused = Pressure(stage, "TimeoutError")
        paused.begin()
        redis.do("CLIENT", "PAUSE", round(PAUSE_S * 1000), "ALL")
        paused.hold(feeder, events // 4)
        paused.until_felt()
        until_it_goes_on(stage)
        paused.end()

        busy = Pressure(stage, "BUSY")
        busy.begin()
        redis.do("FUNCTION", "LOAD", LONG_SCRIPT)
        script = threading.Thread(target=redis.do, args=("FCALL", "faults_hold", 0, SCRIPT_S))
        script.start()
        busy.until_felt()
        busy.hold(feeder, events // 8)
        script.join()
        until_it_goes_on(stage)
        busy.end()
        feeder.stop()
        return stage.proof(
            self.name,
            f"paused_s={PAUSE_S:g} timeouts={paused.refused} sent_meanwhile={paused.sent_meanwhile} "
            f"script_s={SCRIPT_S} busy={busy.refused} sent_meanwhile={busy.sent_meanwhile} "
            f"workers_grew_by_kb={max(paused.grown_kb, busy.grown_kb)}",
            refused=busy.refused,
        )
