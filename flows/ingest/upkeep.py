"""Upkeep of a reader: what no event waits for, done between batches, at each tick or more rarely."""

import uuid
from functools import partial

from connectors.redis.server import SKEW_MAX_MS
from flows.ingest.log_retention import LogRetention
from flows.ingest.read_session import ReadSession
from flows.ingest.silence_report import SilenceReport
from flows.ingest.silence_watchdog import SilenceWatchdog
from flows.runtime.context import Runtime
from flows.runtime.periodic import Periodic
from flows.runtime.retry import retry_until_available

LAG_S = 5.0
"""Between two checks of clocks and lag: each holds the reader up for as long as servers take to answer."""


class Upkeep:
    """The side jobs of one reader: silence watchdog, clock check, lag, silence report, retention."""

    def __init__(self, runtime: Runtime, session: ReadSession) -> None:
        self._runtime = runtime
        self._session = session
        self._newest_ms = 0
        reader = uuid.uuid4().hex
        self._watchdog = SilenceWatchdog(runtime, session.arrivals, reader)
        # The report is for metrics alone.
        is_scraped = runtime.settings.metrics_address is not None
        self._report = SilenceReport(runtime, session.arrivals, reader) if is_scraped else None
        self._retention = LogRetention(runtime) if runtime.log.is_trimmed_by_readers else None
        self._tasks = (
            Periodic(0, self._watch),
            Periodic(LAG_S, self._look_at_lag),
            Periodic(0, self._trim),
        )

    def run(self, now_s: float, session: ReadSession, newest_ms: int) -> None:
        """Do what is due. `newest_ms` is the business time up to which the session has read all if it lags nowhere."""
        self._session, self._newest_ms = session, newest_ms
        for task in self._tasks:
            task.run(now_s)

    def leave(self) -> None:
        """Let no other reader wait for this one; its lag is reported no more."""
        self._watchdog.leave()
        self._session.lag.end()

    def _watch(self, now_s: float) -> None:
        session = self._session
        if not session.behind:
            retry_until_available(
                partial(self._watchdog.look, now_s, session.chains, self._newest_ms)
            )

    def _look_at_lag(self, now_s: float) -> None:
        """Report whether clocks agree, how far this reader lags, and which locations are silent."""
        runtime, session = self._runtime, self._session
        runtime.problems["clock"] = self._clock_problem()
        ends = retry_until_available(lambda: runtime.log.ends(session.chains.keys()))
        positions = {partition: chain.position for partition, chain in session.chains.items()}
        session.lag.look(positions, ends, runtime.clock.now_ms())
        if self._report is not None:
            retry_until_available(
                partial(self._report.look, now_s, session.lag.behind, self._newest_ms)
            )

    def _trim(self, now_s: float) -> None:
        if self._retention is not None:
            retry_until_available(partial(self._retention.trim, now_s, self._session.chains.keys()))

    def _clock_problem(self) -> str | None:
        runtime = self._runtime
        skew_ms = retry_until_available(lambda: runtime.primaries.skew_ms(runtime.clock.now_ms()))
        return (
            f"clock: expected within 1 s of the server's, got {skew_ms} ms"
            if abs(skew_ms) > SKEW_MAX_MS
            else None
        )
