"""Idle: every watermark is at the end of its partition and nothing has been due for a while."""

import time
from dataclasses import dataclass

from connectors.log.base import INPUT_TOPICS, Partition
from flows.runtime import signals
from flows.runtime.context import Runtime
from flows.runtime.retry import is_unavailable, retry_until_available
from state.protocol.common import ABSENT

LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Open:
    """What is still to be done: messages per partition that has any, and SKUs due or being published."""

    lag: dict[Partition, int]
    due: int

    def __bool__(self) -> bool:
        """Say whether anything is."""
        return bool(self.lag) or self.due > 0

    def __str__(self) -> str:
        """Return it in words."""
        lags = [f"{topic}/{n}: {lag} to apply" for (topic, n), lag in sorted(self.lag.items())]
        return ", ".join([*lags, *([f"{self.due} SKUs due"] if self.due else [])]) or "nothing"


def open_work(runtime: Runtime) -> Open:
    """Return what is still to be done at this moment."""
    business_ms = runtime.business_now_ms()
    # A SKU claimed and not settled yet has its lease for a due time: it is not done either.
    leased_ms = runtime.clock.now_ms() + runtime.settings.lease_ms
    return Open(lags(runtime), runtime.store.due_by(leased_ms, business_ms))


def lags(runtime: Runtime) -> dict[Partition, int]:
    """Return how far the slowest shard is behind the end of each partition, where it is."""
    log, marks = runtime.log, runtime.store.marks()
    found: dict[Partition, int] = {}
    for topic in INPUT_TOPICS:
        log_id, starts = log.log_id(topic), log.start_offsets(topic)
        for n, end in log.end_offsets(topic).items():
            mark = f"{log_id}/{n}"
            applied = min(shard.get(mark, ABSENT) for shard in marks)
            lag = end - max(applied + 1, starts[n], log.first_offset)
            if lag > 0:
                found[Partition(topic, n)] = lag
    return found


class Idle:
    """Watches the store and the log of a runtime.

    With `due=False` SKUs that are due do not count: what a process that only ingests waits for.
    """

    QUIET_S = 1.0

    def __init__(self, runtime: Runtime, *, due: bool = True) -> None:
        self._runtime = runtime
        self._due = due
        self._since_s: float | None = None
        self._looked_s = 0.0

    def for_long(self, now_s: float) -> bool:
        """Say whether all has been quiet for `QUIET_S`. Checks at most every `LOOK_EVERY_S`."""
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            if not retry_until_available(self.is_now):
                self._since_s = None
            elif self._since_s is None:
                self._since_s = now_s
        return self._since_s is not None and now_s - self._since_s >= self.QUIET_S

    def is_now(self) -> bool:
        """Say whether all is applied, and nothing is due, at this moment."""
        return not (open_work(self._runtime) if self._due else lags(self._runtime))


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait for idle ended."""

    is_idle: bool
    left: Open | None
    """What was open at the last check; None = a server was unavailable then."""
    error: Exception | None = None
    """Why it was unavailable."""


def wait_until_idle(runtime: Runtime, timeout_s: float) -> Waited:
    """Wait until all has been quiet for `Idle.QUIET_S`, for at most `timeout_s`, or until this process is stopped."""
    began_s = time.monotonic()
    quiet_since_s: float | None = None
    while True:
        waited = _look(runtime)
        now_s = time.monotonic()
        if waited.left is None or waited.left:
            quiet_since_s = None
        else:
            quiet_since_s = now_s if quiet_since_s is None else quiet_since_s
            if now_s - quiet_since_s >= Idle.QUIET_S:
                return Waited(is_idle=True, left=waited.left)
        if now_s - began_s >= timeout_s or signals.wanted():
            return waited
        signals.wait(min(LOOK_EVERY_S, max(0.0, began_s + timeout_s - now_s)))


def _look(runtime: Runtime) -> Waited:
    try:
        return Waited(is_idle=False, left=open_work(runtime))
    except Exception as error:
        if not is_unavailable(error):
            raise
        return Waited(is_idle=False, left=None, error=error)
