"""Work for a cluster while something happens to it: receipts, applied by a thread from a log in memory.

The worker does what a reader does: it states facts, repeats calls whose answer it does not get, ticks, lets a
shard recover, and goes back to the lowest mark when a shard turns out to be behind. So in the end every
event has taken effect once, whatever happened.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from connectors.redis.cluster import ClusterClient
from connectors.redis.server import Server
from flows.runtime.clock import now_us
from flows.runtime.retry import UNAVAILABLE
from state.events.ops import MOVE
from state.protocol.common import Behind, LocationTerms
from state.protocol.control import Recover, Tick
from state.protocol.keys import Keys
from state.protocol.pack import Chain, NormalEvent, Packer
from state.store.shards import Store
from tests.servers.redis_servers import until
from tests.state.pools import GUARD_MS

SHARDS = 16
SKUS = 64
BATCH = 40
PLACE = LocationTerms("wh", 0, 0, 1)

Answer = TypeVar("Answer")


class Load:
    """`with load:` works; `check` then says whether every event has taken effect once."""

    def __init__(self, client: ClusterClient) -> None:
        self.client = client
        self.server = Server("", client, None)
        self.store = Store(client, Keys("load"), SHARDS)
        self.applied = 0
        """Events handed out and acknowledged, in the present run."""
        self.away = Counter[str]()
        """Errors after which a call was repeated, by their names."""
        self.rewinds = 0
        self.recovered: set[int] = set()
        self._packer = Packer(SHARDS, GUARD_MS)
        self._chain = Chain.starting("log/0", -1, SHARDS)
        self._newest = -1
        """The last event that was ever handed out, before a run went back too."""
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self.store.load_functions()
        self.store.begin(self.server.identities(SHARDS))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work in a thread until the block ends."""
        self._stop.clear()
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self._failed is not None:
            raise self._failed

    def go_on(self, batches: int = 5) -> None:
        """Wait until so many more batches were applied."""
        runs, goal = self.rewinds, self.applied + batches * BATCH
        until(
            lambda: self._failed or self.applied >= goal or self.rewinds > runs, "work that goes on"
        )

    def check(self) -> None:
        """Let every shard catch up, and compare the stock with the events."""
        while not (self._ticked() and self.applied > self._newest):
            self._work_once()
        expected = Counter(f"sku-{n % SKUS}" for n in range(self.applied))
        found = {
            state.sku: sum(position.on_hand for position in state.positions)
            for state in self.insist(lambda: list(self.store.read_many(sorted(expected))))
            if state is not None
        }
        wrong = {sku: (found.get(sku), n) for sku, n in expected.items() if found.get(sku) != n}
        assert not wrong, f"found and expected: {wrong}"

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """Repeat a call until it is answered, as a flow does, and count why."""
        while True:
            try:
                return call()
            except UNAVAILABLE as error:
                self.away[type(error).__name__] += 1
                if self._stop.wait(0.01) and sum(self.away.values()) > 100_000:
                    raise

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                self._work_once()
                if self.applied % (5 * BATCH) == 0:
                    self._ticked()
        except BaseException as error:  # noqa: BLE001 - raised again where the test sees it
            self._failed = error

    def _work_once(self) -> None:
        first = self._chain.position + 1
        events = [
            NormalEvent(n, str(n), 9, now_us() // 1000, now_us() // 1000, ((MOVE, f"sku-{n % SKUS}", "wh", 1, 0, 0),))
            for n in range(first, first + BATCH)
        ]  # fmt: skip
        upto = events[-1].offset
        self._newest = max(self._newest, upto)
        self._chain.position = upto
        calls = self._packer.pack(
            [(self._chain, upto, events)], lambda _sku, _location: PLACE, now_us(), 1
        )
        replies = self.insist(lambda: self.store.apply(calls))
        if any(isinstance(reply, Behind) for reply in replies.values()):
            self._rewind([s for s, reply in replies.items() if isinstance(reply, Behind)])
        else:
            self.applied = upto + 1

    def _ticked(self) -> bool:
        """Tell every shard how far all is applied. Return whether all have it."""
        servers = self.insist(lambda: self.server.identities(SHARDS))
        facts = self._chain.catch_up()
        calls = {s: Tick(now_us(), servers[s], 1, 0, (facts[s],)) for s in range(SHARDS)}
        replies = self.insist(lambda: self.store.tick(calls))
        behind = []
        for shard, reply in replies.items():
            if isinstance(reply, Behind):
                behind.append(shard)
            elif reply.recover == 1:
                self._recover(shard)
        if behind:
            self._rewind(behind)
        return not behind

    def _recover(self, shard: int) -> None:
        servers = self.insist(lambda: self.server.identities(SHARDS))
        call = Recover(now_us(), servers[shard], 1, 1000, 500)
        self.insist(lambda: self.store.recover(shard, call))
        self.recovered.add(shard)

    def _rewind(self, behind: list[int]) -> None:
        for shard in behind:
            self._recover(shard)
        marks = self.insist(self.store.marks)
        resume = min(mark.get("log/0", -1) for mark in marks)
        self._chain = Chain.starting("log/0", resume, SHARDS)
        self.applied = resume + 1
        self.rewinds += 1
