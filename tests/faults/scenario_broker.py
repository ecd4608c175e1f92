"""The broker dies, and its connections are cut, slowed, half closed and frozen, while events come in."""

import os
import random
import signal
import time

from connectors.log.kafka.client import SESSION_MS
from tests.faults.led_kafka import led_kafka
from tests.faults.load import Trading
from tests.faults.proxy import Proxy
from tests.faults.stage import Maker, NoProof, Proof, Stage, Worker, until
from tests.servers.kafka import Kafka

KILLS = 3
PER_S = 800
GOES_ON_S = 120.0
GOES_ON_EVENTS = 400
TRIES_LEAST = 3
SLOW_BYTES_PER_S = 20_000
SLOW_LAG = 1_000


class Broker:
    """Faults between the workers and Kafka."""

    name = "broker"
    short = False
    finds = ()

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Kill the broker, then harm its connections in every way."""
        kafka, proxies = maker.stack.enter_context(
            led_kafka(maker.folder / "kafka", {"READ": None, "SEND": None})
        )
        stage = maker.stage(kafka=kafka)
        for _ in range(2):
            stage.start("ingest", PENSTOCK_KAFKA=proxies["READ"].address).ready()
        publisher = stage.start("publish", PENSTOCK_KAFKA=proxies["SEND"].address).ready()
        network = Network(stage, kafka, tuple(proxies.values()), rng)
        feeder = stage.feed(Trading(maker.seed), PER_S)
        network.until_it_goes_on()
        for _ in range(max(1, round(KILLS * scale))):
            network.kill_broker(publisher)
        network.cut()
        network.slow()
        network.half_close()
        network.freeze()
        feeder.stop()
        return stage.proof(
            self.name,
            f"{network.told()} appends_repeated={feeder.refused}",
            kills=len(network.in_hand),
        )


class Network:
    """What is done to the broker and to all connections of the workers, while events come in."""

    def __init__(
        self, stage: Stage, kafka: Kafka, proxies: tuple[Proxy, ...], rng: random.Random
    ) -> None:
        self.stage = stage
        self.kafka = kafka
        self.proxies = proxies
        self.rng = rng
        self.in_hand: list[int] = []
        """Batches in hand of the publisher when the broker was killed."""
        self.slow_lag = 0
        self.frozen_s = 0.0

    def until_it_goes_on(self) -> None:
        """Wait until both flows get ahead again."""
        stage = self.stage
        applied = stage.run.store.counters()["applied"] + GOES_ON_EVENTS
        until(
            lambda: stage.run.store.counters()["applied"] >= applied,
            f"{GOES_ON_EVENTS} more events applied",
            GOES_ON_S,
        )
        updates = stage.total("penstock_updates_total")
        until(lambda: stage.total("penstock_updates_total") > updates, "more updates", GOES_ON_S)

    def kill_broker(self, publisher: Worker) -> None:
        """Kill it while a publisher waits for it, and start it again."""
        time.sleep(self.rng.random())
        until(lambda: self._is_stopped_amid(publisher), "a publisher that waits for the broker")
        self.in_hand.append(publisher.record.in_hand)
        self.kafka.kill()
        self.kafka.start()
        self.until_it_goes_on()

    def cut(self) -> None:
        """Reset all connections, and refuse those who try again."""
        for proxy in self.proxies:
            proxy.cut()
        for proxy in self.proxies:
            _until_tried_again(proxy)
        self._mend()

    def slow(self) -> None:
        """Let so little pass that the workers cannot keep up."""
        for proxy in self.proxies:
            proxy.slow(SLOW_BYTES_PER_S)
        until(lambda: self.stage.lag() > SLOW_LAG, "a lag that grows", GOES_ON_S)
        self.slow_lag = self.stage.lag()
        self._mend()

    def half_close(self) -> None:
        """End one way of all connections, then the other."""
        for proxy in self.proxies:
            proxy.half_close("answered")
        self.until_it_goes_on()
        for proxy in self.proxies:
            proxy.half_close("asked")
        self.until_it_goes_on()

    def freeze(self) -> None:
        """Let nothing pass for longer than the group waits for a member."""
        for proxy in self.proxies:
            proxy.freeze()
        began_s = time.monotonic()
        time.sleep(SESSION_MS / 1000 + 1)
        self.frozen_s = time.monotonic() - began_s
        self._mend()

    def told(self) -> str:
        """What happened, in figures."""
        reset, refused, half_closed, dropped = (
            sum(getattr(proxy.passed, name) for proxy in self.proxies)
            for name in ("reset", "refused", "half_closed", "dropped")
        )
        if not (all(self.in_hand) and reset and refused and half_closed and dropped):
            raise NoProof(
                f"expected claims in hand, connections reset, refused and half closed, and bytes dropped, got "
                f"{self.in_hand}, {reset}, {refused}, {half_closed}, {dropped}"
            )
        return (
            f"broker_kills={len(self.in_hand)} claims_in_hand={sum(self.in_hand)} reset={reset} refused={refused} "
            f"half_closed={half_closed} bytes_dropped={dropped} lag_when_slow={self.slow_lag} "
            f"frozen_s={self.frozen_s:.0f}"
        )

    def _is_stopped_amid(self, publisher: Worker) -> bool:
        """Stop the broker from running; say whether the publisher has claims in hand, else let it run."""
        if publisher.record.in_hand == 0:
            return False
        os.kill(self.kafka.pid, signal.SIGSTOP)
        if publisher.record.in_hand > 0:
            return True
        os.kill(self.kafka.pid, signal.SIGCONT)
        return False

    def _mend(self) -> None:
        for proxy in self.proxies:
            proxy.mend()
        self.until_it_goes_on()


def _until_tried_again(proxy: Proxy) -> None:
    goal = proxy.passed.refused + TRIES_LEAST
    until(lambda: proxy.passed.refused >= goal, "connections that are tried again", GOES_ON_S)
