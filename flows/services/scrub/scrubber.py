"""The scrubber: scans the whole pool again and again, in the background, and reports each invariant that is broken.

One process of a store scrubs at a time, by a leader lease in Redis; when it dies another takes over. The scrubber has a
thread and connections of its own, and takes a set share of one core, the store's time for it included: after each
short call it rests for so long. It changes nothing but its lease, and the count of the SKUs that guarded channels
list. It reports findings by metrics, and each new fault by a line in the log.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic, perf_counter

import structlog

from connectors.redis.server import ServerAway
from flows.runtime.context import Runtime
from flows.runtime.retry import is_unavailable
from flows.runtime.session import beside
from flows.services.scrub.scan import Findings, Scan
from monitoring import metrics
from state.store.lease import Lease

LEASE_S, RENEW_S = 10.0, 3.0
REST_S = 5.0
"""At least, from the beginning of a scan to the next."""
PAUSE_MAX_S = 10.0
"""After one call: a process that was frozen in the middle of it, or a Redis that was slow, made it long."""
AWAY_S, FAILED_S = 1.0, 60.0
LOGGED_MAX = 20
"""New faults that are logged of one scan."""
STOP_S = 5.0

_log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another process scrubs by now."""


@contextmanager
def scrubbing(runtime: Runtime) -> Iterator[None]:
    """Scrub while the block lasts, whenever no other process does; not at all if the settings say so."""
    share = runtime.settings.walk_share
    if share is None:
        yield
        return
    scrubber = Scrubber(runtime, share)
    thread = Thread(target=scrubber.run, name="scrub", daemon=True)
    thread.start()
    try:
        yield
    finally:
        scrubber.stop()
        # One that waits for a server that is unavailable ends with the process.
        thread.join(STOP_S)


class Scrubber:
    """The scrubber of one process. `run` it in a thread."""

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
        """Scrub until stopped. An unavailable server is waited for; an error is logged, and retried later."""
        while not self._stopped.is_set():
            try:
                with beside(self._runtime) as side:
                    self._scrub(side)
            except ServerAway:
                self._rest(AWAY_S)
            except Exception as error:  # noqa: BLE001 - what it meets may end the scrub, never the process
                self._failed(error)

    def _scrub(self, side: Runtime) -> None:
        lease = side.shared.scrub_lease(self._name, int(LEASE_S * 1000))
        try:
            while not self._stopped.is_set():
                try:
                    self._hold(lease)
                    self.scan(side, lease)
                except LeaseLost:
                    self._forget()
                    self._stopped.wait(RENEW_S)
        finally:
            self._forget()
            if self._renewed_s > 0:
                self._renewed_s = -LEASE_S
                self._give_up(lease)

    def scan(self, side: Runtime, lease: Lease) -> None:
        """Scan the pool once over connections of its own, report the findings, and rest.

        Raises:
            LeaseLost: another process scrubs.
        """
        runtime, began_s = self._runtime, monotonic()
        business_ms = runtime.business_ms(side.store.business_ms())
        passed_ms = max(0, business_ms - self._found_at_ms) if self._found_at_ms else 0
        scan = Scan(runtime, side, self._found, passed_ms)
        at_s = perf_counter()
        for _ in scan.steps():
            took_s = perf_counter() - at_s
            metrics.WALK_BUSY.inc(took_s)
            self._pause(lease, min(took_s * (1 / self._share - 1), PAUSE_MAX_S))
            if self._stopped.is_set():
                return
            at_s = perf_counter()
        self._report(scan.findings, monotonic() - began_s)
        self._found, self._found_at_ms = scan.findings, business_ms
        while not self._stopped.is_set() and monotonic() - began_s < self._rest_s:
            self._pause(lease, min(RENEW_S, self._rest_s))

    def _pause(self, lease: Lease, seconds: float) -> None:
        self._stopped.wait(seconds)
        if monotonic() - self._renewed_s >= RENEW_S and not self._stopped.is_set():
            self._hold(lease)

    def _hold(self, lease: Lease) -> None:
        if not lease.hold():
            self._renewed_s = -LEASE_S
            raise LeaseLost
        self._renewed_s = monotonic()

    def _give_up(self, lease: Lease) -> None:
        """End the lease, if the server answers."""
        try:
            lease.release()
        except Exception as error:
            if not is_unavailable(error):
                raise

    def _failed(self, error: Exception) -> None:
        if is_unavailable(error):
            self._rest(AWAY_S)
        else:
            _log.error("walk failed", exc_info=error)
            self._rest(FAILED_S)

    def _rest(self, seconds: float) -> None:
        self._forget()
        self._stopped.wait(seconds)

    def _forget(self) -> None:
        """Clear the gauges. A fault that was logged is not logged again."""
        self._found_at_ms = 0
        for gauge in metrics.OF_THE_WALK:
            gauge.clear()

    def _report(self, found: Findings, took_s: float) -> None:
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
        for fault in new[:LOGGED_MAX]:
            sku, invariant, expected, got = fault
            _log.warning(
                "invariant broken", sku=sku, invariant=invariant, expected=expected, found=got
            )
        if len(new) > LOGGED_MAX:
            _log.warning("more invariants broken", faults=len(new) - LOGGED_MAX)
