"""A small chain that trades on real servers while a real Prometheus evaluates the rules, shortened by `FACTOR`.

chain   Redis, two ingests, a publish, and a sale now and then
watched a Prometheus of one happening, with a memory of its own
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any

from monitoring.rules import write_shortened
from state.protocol.sharding import tag_of
from tests.faults.load import Event
from tests.faults.stage import Stage, Worker, until
from tests.monitoring import alerting
from tests.patience import PATIENCE_S
from tests.servers.prometheus import Prometheus, prometheus
from tests.servers.redis_servers import RedisServer

FACTOR = 60
"""An hour of the rules is a minute here."""
WARM_S = 12.0
"""Longer than the windows of rare events are then: who has just begun is new no more."""
WALK = "30%"
"""Of a core, where 1 % is usual: rounds must be shorter as `for` is, also on a machine that does other things."""
SALES_PER_S = 5.0
LOCATIONS = ("wh", "s1", "s2")
SKUS = tuple(f"A{n}" for n in range(40))
PLENTY = 1_000_000

POLICY = """
locations:
  - {id: wh, kind: warehouse}
  - {id: s1, kind: store}
  - {id: s2, kind: store}
channels: [{id: shop}]
ads: [{rule: google, channel: shop, pause_at: 2, resume_at: 6, dwell_s: 0}]
"""


class Chain:
    """Flows at work on a Redis of their own."""

    def __init__(self, folder: Path, redis: RedisServer, **env: str) -> None:
        self.redis = redis
        self.stage = Stage(
            folder, kafka=None, redis_url=redis.url, breaks=None, seed=0,
            env={"PENSTOCK_WALK": WALK, **env}, files={"penstock.yaml": POLICY},
        )  # fmt: skip
        self._number = count()

    def open(self, at_ms: int = 0) -> None:
        """Start the flows, and fill every location, now unless said."""
        self.ingests = [self.stage.start("ingest") for _ in range(2)]
        self.publisher = self.stage.start("publish")
        for worker in self.stage.workers:
            worker.ready()
        self.tell(*(self.event("wms.receipt", where, SKUS, PLENTY, at_ms) for where in LOCATIONS))

    def event(
        self,
        kind: str,
        where: str,
        skus: Iterable[str],
        quantity: int,
        time_ms: int = 0,
        **data: Any,
    ) -> Event:
        """Something that happens at a location, now unless said."""
        number = str(next(self._number))
        lines = [{"sku": sku, "quantity": quantity} for sku in skus]
        more = {"wms.receipt": {"reference": number}, "pos.sale": {"receipt": number}}.get(kind, {})
        whole = {"location": where, **more, **data, "lines": lines}
        return Event(kind, where, number, time_ms or time.time_ns() // 1_000_000, whole)

    def order(self, sku: str, quantity: int) -> Event:
        """An order of the shop's customers."""
        number = str(next(self._number))
        data = {"order": number, "channel": "shop", "lines": [{"sku": sku, "quantity": quantity}]}
        return Event("order.placed", number, number, time.time_ns() // 1_000_000, data)

    def sales(self) -> Iterator[Event]:
        """Sales of what there is plenty of, for ever."""
        chance = random.Random(0)
        while True:
            yield self.event("pos.sale", chance.choice(LOCATIONS), [chance.choice(SKUS)], 1)

    def trade(self, events: Iterable[Event]) -> None:
        """Begin to append events, a few a second.

        So few that a machine which stands still for a second burns no budget.
        """
        never = Signal()
        slowly = (event for event in events if not never.wait(1 / SALES_PER_S))
        self.stage.feed(slowly, SALES_PER_S)

    def tell(self, *events: Event) -> None:
        """Append events, one after the other is confirmed."""
        for event in events:
            self.stage.feed([event]).join()

    def penstock(self, *words: str, given: str) -> None:
        """Run a command that must succeed."""
        command = [sys.executable, "-m", "flows.cli", *words]
        subprocess.run(
            command, env=self.stage.env, cwd=self.stage.folder, input=given.encode(),
            check=True, capture_output=True,
        )  # fmt: skip

    @contextmanager
    def slow(self, pause_ms: int) -> Iterator[None]:
        """Let Redis answer nobody for so long, again and again, while the block lasts."""
        over = Signal()

        def hinder() -> None:
            while not over.wait(2 * pause_ms / 1000):
                self.redis.do("CLIENT", "PAUSE", pause_ms, "ALL")

        thread = Thread(target=hinder)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def roll_back(self, shard: int) -> None:
        """Take one shard back to where it was before its last event, as a failover may."""
        store, client = self.stage.run.store, self.redis.client
        pattern = f"{self.stage.namespace}:{{{tag_of(shard)}}}:*"
        keys: Any = client.keys(pattern)
        kept: dict[bytes, tuple[Any, Any]] = {
            key: (client.dump(key), client.pttl(key)) for key in keys
        }
        then = sum(store.marks()[shard].values())
        until(lambda: sum(store.marks()[shard].values()) > then, "an event that will be lost")
        pipeline = client.pipeline(transaction=True)
        pipeline.delete(*client.keys(pattern))
        for key, (value, life_ms) in kept.items():
            pipeline.restore(key, max(0, life_ms), value)
        pipeline.execute()


class Watch:
    """What one Prometheus has seen of a chain."""

    def __init__(self, server: Prometheus) -> None:
        self._server = server
        self._began_s = time.time()

    def firing(self) -> set[str]:
        """The alerts that are raised now."""
        return self._named('ALERTS{alertstate="firing"}')

    def raised(self) -> set[str]:
        """The alerts that were raised at any time."""
        seconds = int(time.time() - self._began_s) + 1
        return self._named(f'count_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])')

    def until_raised(self, name: str) -> None:
        until(lambda: name in self.firing(), f"{name} among {self.firing()}", PATIENCE_S)

    def until_over(self, name: str) -> None:
        until(lambda: name not in self.firing(), f"no {name} any more", PATIENCE_S)

    def _named(self, query: str) -> set[str]:
        found = self._server.ask("query", query=query)["result"]
        return {each["metric"]["alertname"] for each in found}


@contextmanager
def watched(chain: Chain, folder: Path) -> Iterator[Watch]:
    """Yield a watch over a chain for which nothing was raised so far."""
    targets = _targets({"ingest": chain.ingests, "publish": [chain.publisher]})
    with prometheus(folder, targets, rules=write_shortened(folder / "rules", FACTOR)) as server:
        processes = len(chain.stage.living())
        query = f"count(count_over_time(up[{2 * WARM_S:.0f}s]) >= {WARM_S:.0f})"

        def warm() -> bool:
            found = server.ask("query", query=query)["result"]
            return bool(found) and int(found[0]["value"][1]) == processes

        until(warm, "a Prometheus that has looked for a while", PATIENCE_S)
        # Before the first scrape every flow was down.
        watch = Watch(server)
        assert not watch.firing(), watch.firing()
        yield watch


def outside_of(name: str, raised: set[str]) -> set[str]:
    """The alerts among `raised` that the runbook does not list with this one."""
    return raised - {name} - alerting.sections()[name].comes_with


def _targets(workers: Mapping[str, Iterable[Worker]]) -> dict[str, list[str]]:
    return {job: [f"127.0.0.1:{worker._port}" for worker in some] for job, some in workers.items()}
