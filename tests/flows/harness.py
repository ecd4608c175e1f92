"""The flows without Bytewax: their steps called in order, on a real server, for tests of one process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson

from connectors.config.settings import Settings
from connectors.log.base import Outgoing, history
from connectors.messages.cloudevents import structured
from connectors.redis.embedded import Embedded
from flows.ingest.reader import Reader
from flows.ingest.steps import BatchOutcome, apply, decode, normalise, to_dead_letters
from flows.ingest.steps import guard as guard_feeds
from flows.publish.claimer import Claimer
from flows.publish.steps import decide, emit, settle
from flows.publish.steps import guard as guard_channels
from flows.runtime.clock import Clock, now_ms
from flows.runtime.context import Runtime
from flows.runtime.session import runtime
from state.events.messages import TOPIC_OF
from state.events.timestamps import rfc3339_ms
from state.protocol.pack import Packer


@contextmanager
def engine(
    valkey: Embedded, config: Any, passing: Clock | None = None, **settings: Any
) -> Iterator["Engine"]:
    """An engine on an emptied server; `config` is the path of its penstock.yaml, `passing` another clock."""
    made = Settings(redis=f"unix://{valkey.socket}", config=config, metrics="off", **settings)
    with runtime(made) as run:
        run.clock = passing or run.clock
        made_engine = Engine(run)
        yield made_engine
        # Else the next one would wait for the partitions until this membership ends.
        made_engine.reader._member.leave()


class Waited(Clock):
    """A clock that goes on by waiting alone, however long the machine takes for the rest."""

    def __init__(self) -> None:
        self._now_us = super().now_us()

    def now_us(self) -> int:
        return self._now_us

    def now_ms(self) -> int:
        return self._now_us // 1000

    def wait(self, seconds: float) -> None:
        self._now_us += round(1_000_000 * seconds)


class Engine:
    def __init__(self, run: Runtime) -> None:
        self.run = run
        self.reader = Reader(run)
        self.claimer = Claimer(run)
        self.packer = Packer(run.store.shards, run.guard_ms)
        self.now_s = time.monotonic()
        self._ids = 0

    def send(self, kind: str, key: str = "k", event_id: str = "", **data: Any) -> None:
        """Append one event."""
        self._ids += 1
        name = event_id or f"e{self._ids}"
        value = structured(name, "/test", kind, now_ms(), data)
        self.run.log.append([Outgoing(TOPIC_OF[kind], key.encode(), value)])

    def send_at(self, when: str, kind: str, **data: Any) -> None:
        """Append an event that happened at a given time."""
        value = structured(f"{kind}@{when}", "/test", kind, rfc3339_ms(when), data)
        self.run.log.append([Outgoing(TOPIC_OF[kind], b"k", value)])

    def ingest(self, rounds: int = 6) -> list[BatchOutcome]:
        """Read and apply what there is; the clock of the ticks moves on a second each round."""
        outcomes = []
        for _ in range(rounds):
            self.now_s += 1
            while (batch := self.reader.next_batch(self.now_s)) is not None:
                normal = to_dead_letters(
                    self.run, guard_feeds(self.run, normalise(self.run, decode(batch)))
                )
                outcomes.append(apply(self.run, self.packer, normal))
        return outcomes

    def publish(self, rounds: int = 4) -> int:
        """Claim, emit and settle what is due. Return how many claims were settled."""
        settled = 0
        for _ in range(rounds):
            self.now_s += 1
            # What is due gathers changes first.
            self.run.clock.wait(self.run.settings.tick_ms / 1000 + 0.002)
            while (claims := self.claimer.next_claims(self.now_s)) is not None:
                steps = (
                    partial(decide, self.run),
                    partial(guard_channels, self.run),
                    partial(emit, self.run),
                    partial(settle, self.run),
                )
                found: Any = claims
                for step in steps:
                    found = step(found)
                settled += found
        return settled

    def emitted(self, topic: str) -> list[dict[str, Any]]:
        """Return the data of all events of an output topic, in the order of their emission."""
        records = [r for r in history(self.run.log, topic) if r.value is not None]
        records.sort(key=lambda record: (record.timestamp_ms, record.offset))
        return [{**(e := orjson.loads(r.value or b""))["data"], "type": e["type"]} for r in records]

    def on_hand(self, sku: str) -> dict[str, int]:
        """Return on_hand of a SKU by location."""
        state = self.run.store.read(sku)
        return {} if state is None else {p.location: p.on_hand for p in state.positions}
