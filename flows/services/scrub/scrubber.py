"""The walk: looks at the whole pool again and again, in the background, and tells what is not as it must be.

One process of a store walks at a time, by a lease in Redis; when it dies another takes it up. It has a thread and a
connection of its own, and takes a set share of one core, the store's time for it included: after each short call it
rests for so long. It changes nothing but its lease, and the count of the SKUs that guarded channels show; what it
found it tells by metrics, and of each new fault by a line in the log.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic, perf_counter

import structlog

from connectors.redis.server import Server, ServerAway, beside
from flows.runtime.context import Runtime
from flows.runtime.retry import is_away
from flows.services.scrub.scan import Findings, Round
from monitoring import metrics
from state.store.shards import Store

LEASE_S, RENEW_S = 10.0, 3.0
REST_S = 5.0
"""At least, from the beginning of a round to the next."""
PAUSE_MAX_S = 10.0
"""After one call: a process that was frozen in the middle of it, or a Redis that was slow, made it long."""
AWAY_S, FAILED_S = 1.0, 60.0
TOLD_MAX = 20
"""New faults that are logged of one round."""
STOP_S = 5.0

_log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another process walks by now."""


@contextmanager
def walking(runtime: Runtime) -> Iterator[None]:
    """Walk while the block lasts, whenever no other process does; not at all if that is not wanted."""
    share = runtime.settings.walk_share
    if share is None:
        yield
        return
    walk = Walk(runtime, share)
    thread = Thread(target=walk.run, name="walk", daemon=True)
    thread.start()
    try:
        yield
    finally:
        walk.stop()
        # One that waits for a server that is away ends with the process.
        thread.join(STOP_S)


class Walk:
    """The walk of one process. `run` it in a thread."""

    def __init__(self, runtime: Runtime, share: float, rest_s: float = REST_S) -> None:
        self._runtime = runtime
        self._share = share
        self._rest_s = rest_s
        self._stopped = Event()
        self._name = uuid.uuid4().hex
        self._renewed_s = -LEASE_S
        self._found = Findings()
        self._found_at_ms = 0

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stopped.set()

    def run(self) -> None:
        """Walk until stopped. A server that is away is waited for; an error is told, and tried again later."""
        while not self._stopped.is_set():
            try:
                with beside(self._runtime.server) as server:
                    self._walk(server)
            except ServerAway:
                self._rest(AWAY_S)
            except Exception as error:  # noqa: BLE001 - what it meets may end the walk, never the process
                self._failed(error)

    def _walk(self, server: Server) -> None:
        store = Store(server.client, self._runtime.keys, self._runtime.store.shards, _observe)
        try:
            while not self._stopped.is_set():
                try:
                    self._hold(server)
                    self.round(server, store)
                except LeaseLost:
                    self._forget()
                    self._stopped.wait(RENEW_S)
        finally:
            self._forget()
            if self._renewed_s > 0:
                self._renewed_s = -LEASE_S
                self._give_up(server)

    def round(self, server: Server, store: Store) -> None:
        """Go through the pool once, tell what was found, and rest.

        Raises:
            LeaseLost: another process walks.
        """
        runtime, began_s = self._runtime, monotonic()
        business_ms = runtime.business_ms(store.business_ms())
        passed_ms = max(0, business_ms - self._found_at_ms) if self._found_at_ms else 0
        walked = Round(runtime, server, store, self._found, passed_ms)
        at_s = perf_counter()
        for _ in walked.steps():
            took_s = perf_counter() - at_s
            metrics.WALK_BUSY.inc(took_s)
            self._pause(server, min(took_s * (1 / self._share - 1), PAUSE_MAX_S))
            if self._stopped.is_set():
                return
            at_s = perf_counter()
        self._tell(walked.findings, monotonic() - began_s)
        self._found, self._found_at_ms = walked.findings, business_ms
        while not self._stopped.is_set() and monotonic() - began_s < self._rest_s:
            self._pause(server, min(RENEW_S, self._rest_s))

    def _pause(self, server: Server, seconds: float) -> None:
        self._stopped.wait(seconds)
        if monotonic() - self._renewed_s >= RENEW_S and not self._stopped.is_set():
            self._hold(server)

    def _hold(self, server: Server) -> None:
        """Take the lease, or keep it. Between the look and the write it may end: then two walk for a moment."""
        client, key, life_ms = server.client, self._runtime.keys.walk(), int(LEASE_S * 1000)
        if not client.set(key, self._name, nx=True, px=life_ms):
            if client.get(key) != self._name.encode():
                self._renewed_s = -LEASE_S
                raise LeaseLost
            client.pexpire(key, life_ms)
        self._renewed_s = monotonic()

    def _give_up(self, server: Server) -> None:
        """End the lease, so that another need not wait for it, if the server answers."""
        client, key = server.client, self._runtime.keys.walk()
        try:
            if client.get(key) == self._name.encode():
                client.delete(key)
        except Exception as error:
            if not is_away(error):
                raise

    def _failed(self, error: Exception) -> None:
        if is_away(error):
            self._rest(AWAY_S)
        else:
            _log.error("walk failed", exc_info=error)
            self._rest(FAILED_S)

    def _rest(self, seconds: float) -> None:
        self._forget()
        self._stopped.wait(seconds)

    def _forget(self) -> None:
        """Say nothing any more. What was told by a line is not told again."""
        self._found_at_ms = 0
        for gauge in metrics.OF_THE_WALK:
            gauge.clear()

    def _tell(self, found: Findings, took_s: float) -> None:
        rules = [rule.rule for rule in self._runtime.policy.compiled.ads]
        metrics.OVERSOLD_SKUS.set(found.oversold)
        metrics.NEGATIVE_POSITIONS.set(found.negative_positions)
        metrics.HOLDS_LIVE.set(found.holds)
        metrics.ADS_PAUSED.put({(rule,): found.paused[rule] for rule in rules})
        for rule in rules:
            sold_out_s = found.paused_sold_out_ms[rule] / 1000
            metrics.ADS_PAUSED_SOLD_OUT.labels(rule).inc(sold_out_s)
        broken = Counter(name for _, name in {(each.sku, each.invariant) for each in found.faults})
        metrics.INVARIANT_VIOLATIONS.put({(name,): broken[name] for name in metrics.INVARIANTS})
        metrics.WALK_SKUS.set(found.skus)
        metrics.WALK_TIME.set(took_s)
        metrics.WALK_FINISHED.set(self._runtime.clock.now_ms() / 1000)
        known = {(fault.sku, fault.invariant) for fault in self._found.faults}
        new = [each for each in found.faults if (each.sku, each.invariant) not in known]
        for fault in new[:TOLD_MAX]:
            sku, invariant, expected, got = fault
            _log.warning(
                "invariant broken", sku=sku, invariant=invariant, expected=expected, found=got
            )
        if len(new) > TOLD_MAX:
            _log.warning("more invariants broken", faults=len(new) - TOLD_MAX)


def _observe(verb: str, seconds: float) -> None:
    metrics.REDIS_TIME.labels(verb).observe(seconds)
