"""The engine's steps in this process, on a Redis server of the machine: for questions of cost that need no broker.

The log is not measured: what is emitted counts as taken at once. Costs are CPU time of this process and of Redis.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import process_time
from typing import Any, Self

import redis

from connectors.config.settings import Settings
from connectors.log.base import INPUT_TOPICS, Appended, Outgoing, Partition, Record
from connectors.messages.cloudevents import structured
from flows.ingest.read_session import Batch, ReadSession
from flows.ingest.steps import apply, decode, normalise, to_dead_letters
from flows.ingest.steps import guard as guard_feeds
from flows.publish.claimer import Claimer
from flows.publish.steps import decide, emit, settle
from flows.publish.steps import guard as guard_channels
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.session import runtime
from state.protocol.pack import Chain, Packer
from tests.servers.redis_servers import RedisServer

BATCH = 1_000
RECEIPT_LINES = 100
TICK_MS = 1
NOW_S = 10.0
"""The clock stands still, so that the look at the shards once a second happens once."""


@dataclass(slots=True)
class Cost:
    """CPU time, and of how many units."""

    units: int = 0
    python_s: float = 0.0
    redis_s: float = 0.0

    @property
    def python_us(self) -> float:
        """Of this process, for each unit."""
        return 1e6 * self.python_s / self.units

    @property
    def redis_us(self) -> float:
        """Of Redis, for each unit."""
        return 1e6 * self.redis_s / self.units

    @property
    def us(self) -> float:
        """Of both."""
        return self.python_us + self.redis_us


class Untold:
    """Stands in for `append` of the log: takes everything at once."""

    def append(self, messages: Sequence[Outgoing]) -> list[Appended]:
        """Say that the messages were taken."""
        return [Appended(message.topic, 0, 0) for message in messages]


class Steps:
    """One reader and one publisher, called by turns."""

    def __init__(self, run: Runtime) -> None:
        self._run = run
        self._claimer = Claimer(run)
        self._packer = Packer(run.store.shards, run.guard_ms)
        self._partition = Partition("wms.receipts", 0)
        self._reading = ReadSession(dict.fromkeys(INPUT_TOPICS, "bench"))
        self._reading.chains[self._partition] = Chain.starting("bench/0", -1, run.store.shards)
        self._offset = -1

    def ingest(self, values: Iterable[bytes]) -> Cost:
        """Read, decode, normalise and apply events in batches. A unit is an event."""
        cost, waiting = Cost(), iter(values)
        while records := list(map(self._record, islice(waiting, BATCH))):
            self._reading.outstanding += 1
            with self._counted(cost):
                batch = Batch(self._reading, records, {self._partition: records[-1].offset})
                normal = to_dead_letters(
                    self._run, guard_feeds(self._run, normalise(self._run, decode(batch)))
                )
                outcome = apply(self._run, self._packer, normal)
            if outcome.dead or outcome.lost:
                raise RuntimeError(f"expected events that are applied, got {outcome}")
            cost.units += len(records)
        return cost

    def publish(self, expected: int) -> Cost:
        """Claim, derive, emit and settle until so many SKUs were settled. A unit is a SKU settled."""
        cost = Cost()
        while cost.units < expected:
            with self._counted(cost):
                claims = self._claimer.next_claims(NOW_S)
                if claims is not None:
                    decided = guard_channels(self._run, decide(self._run, claims))
                    cost.units += settle(self._run, emit(self._run, decided))
        return cost

    def _record(self, value: bytes) -> Record:
        self._offset += 1
        topic, n = self._partition
        return Record(topic, n, self._offset, now_ms(), b"k", (), value)

    @contextmanager
    def _counted(self, cost: Cost) -> Iterator[None]:
        before_s, began_s = self._redis_s(), process_time()
        yield
        cost.python_s += process_time() - began_s
        cost.redis_s += self._redis_s() - before_s

    def _redis_s(self) -> float:
        client: Any = self._run.primaries.client
        cpu = client.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


@dataclass(slots=True)
class Events:
    """Writes events, each under a number of its own. Locations are `s0000`, `s0001`, ..."""

    number: int = 0

    def sale(self, sku: str, location: int) -> bytes:
        """Return the sale of one piece."""
        place = f"s{location:04d}"
        data = {"location": place, "receipt": "r", "lines": [{"sku": sku, "quantity": 1}]}
        return self._event(f"/pos/{place}", "pos.sale", data)

    def receipts(self, skus: Sequence[str], locations: int, quantity: int) -> Iterator[bytes]:
        """Yield the receipts of every SKU at every location."""
        for location in range(locations):
            for first in range(0, len(skus), RECEIPT_LINES):
                some = skus[first : first + RECEIPT_LINES]
                lines = [{"sku": sku, "quantity": quantity} for sku in some]
                data = {"location": f"s{location:04d}", "reference": "opening", "lines": lines}
                yield self._event("/wms", "wms.receipt", data)

    def _event(self, source: str, kind: str, data: dict[str, Any]) -> bytes:
        self.number += 1
        return structured(str(self.number), source, kind, now_ms(), data)


@contextmanager
def steps(
    server: RedisServer, folder: Path, namespace: str, locations: int, channels: int
) -> Iterator[Steps]:
    """Yield the steps of a shop in a namespace of the server."""
    config = folder / f"{namespace}.yaml"
    places = "".join(f"  - {{id: s{n:04d}, kind: store}}\n" for n in range(locations))
    told = "".join(f"  - {{id: c{n}, buffer: {{units: {n}}}}}\n" for n in range(channels))
    config.write_text(f"version: 1\nlocations:\n{places}channels:\n{told}")
    settings = Settings(
        config=config, redis=server.url, namespace=namespace, tick_ms=TICK_MS, metrics="off"
    )
    with runtime(settings) as run:
        log: Any = Untold()
        run.log, kept = log, run.log
        try:
            yield Steps(run)
        finally:
            run.log = kept


class Memory:
    """What a server's data takes, by the server's own account of its allocations."""

    def __init__(self, server: RedisServer) -> None:
        self._client: redis.Redis = server.client
        self._at = self._now()

    @classmethod
    def of(cls, server: RedisServer) -> Self:
        """Return the memory of a server from now on."""
        return cls(server)

    def grown(self) -> int:
        """Return by how many bytes it has grown since the last time."""
        before, self._at = self._at, self._now()
        return self._at - before

    def _now(self) -> int:
        client: Any = self._client
        return int(client.info("memory")["used_memory_dataset"])
