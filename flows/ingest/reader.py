"""The reader: which partitions a worker reads, from which offset, and what happens when a shard rolled back.

A reader runs one read session after the other. A session resumes after the minimum of the watermarks over all shards.
When a shard answers that it is behind, the session is dropped, the shard recovers, and a new session starts from the
watermarks as they are then. Two workers may read one partition for a while: the shards' fences make that harmless.

Delivery guarantee: every record is handed on at least once, in the order of its partition; the watermark only passes
what was applied or is safe in dead.letters.
"""

import uuid
from functools import partial

import structlog

from connectors.log.base import (
    INPUT_TOPICS,
    Member,
    OffsetOutOfRange,
    TailLost,
    UnknownTopic,
    last_offsets,
)
from flows.ingest.arrivals import Arrivals
from flows.ingest.read_session import Batch, ReadSession
from flows.ingest.resume import LogLost, check_log_ids, log_ids_of, opened
from flows.ingest.throttle import Throttle
from flows.ingest.upkeep import Upkeep
from flows.runtime import signals
from flows.runtime.context import Runtime
from flows.runtime.idle import Idle
from flows.runtime.periodic import Periodic
from flows.runtime.policy_follower import follow_policy
from flows.runtime.retry import retry_until_available
from flows.runtime.shard_tick import recover, tick
from monitoring import metrics

GROUP = "penstock.ingest"
TICK_S = 1.0
LOG_ID_S = 60.0
WAIT_MS, GLANCE_MS = 20, 1
OUTSTANDING_MAX = 2
"""Batches handed on and not applied yet: what holds reading back when Redis is slow."""

_log = structlog.get_logger(__name__)


class Reader:
    """Reads the input topics for one worker. Not shared between threads."""

    def __init__(self, runtime: Runtime, *, until_idle: bool = False) -> None:
        self.runtime = runtime
        self._member: Member = runtime.log.member(GROUP, INPUT_TOPICS, str(uuid.uuid4()))
        arrivals = Arrivals(by_event=runtime.settings.clock == "event")
        self._session = ReadSession(log_ids_of(runtime), arrivals=arrivals)
        self._ticked_s = 0.0
        self._business_ms = 0
        self._idle = Idle(runtime, due=False) if until_idle else None
        self._throttle = Throttle(runtime.settings.tick_ms)
        self._log_ids = Periodic(LOG_ID_S, lambda _now_s: self._check_log_ids())
        self._upkeep = Upkeep(runtime, self._session)

    def next_batch(self, now_s: float) -> Batch | None:
        """Return the next records, None when there are none yet.

        Raises:
            StopIteration: asked to stop, or idle and that was asked for. All that was read is applied.
            LogLost: the log was created again, lost its tail, or was trimmed where it was still needed.
        """
        session = self._session
        is_due = now_s - self._ticked_s >= TICK_S or session.arrivals.spoke
        if is_due or signals.wanted():
            session.wait_in_flight()
        if session.outstanding == 0:
            if signals.wanted() or (self._idle is not None and self._idle.for_long(now_s)):
                self._member.leave()
                self._upkeep.leave()
                raise StopIteration
            if session.behind:
                self._start_again()
            elif is_due:
                self._tick(now_s)
        if session.behind or session.outstanding >= OUTSTANDING_MAX:
            return None
        batch = self._unless_throttled(now_s)
        if batch is not None:
            self._throttle.handed(now_s)
        return batch

    def _unless_throttled(self, now_s: float) -> Batch | None:
        session = self._session
        if self._throttle.holds(now_s, session.due_age_ms):
            return None
        if session.in_flight is not None:
            # What is there already is read while Redis is at work; only then the reader waits for more.
            batch = self._read(session, GLANCE_MS)
            if batch is not None:
                return batch
            session.wait_in_flight()
        return None if session.behind else self._read(session, WAIT_MS)

    def _read(self, session: ReadSession, wait_ms: int) -> Batch | None:
        if not session.chains:
            self.runtime.clock.wait(wait_ms / 1000)
            return None
        positions = {partition: chain.position + 1 for partition, chain in session.chains.items()}
        settings = self.runtime.settings
        try:
            records = retry_until_available(
                lambda: self.runtime.log.read(
                    positions, settings.batch_events, settings.batch_bytes, wait_ms
                )
            )
        except (OffsetOutOfRange, TailLost, UnknownTopic) as error:
            # A topic that was created again may show as any of these.
            self._check_log_ids()
            trimmed = isinstance(error, OffsetOutOfRange)
            more = ": events were trimmed before every shard had applied them" if trimmed else ""
            raise LogLost(f"{error}{more}") from error
        if not records:
            for partition, end in self.runtime.log.reached(positions).items():
                session.chains[partition].position = end - 1
            return None
        upto = last_offsets(records)
        for partition, offset in upto.items():
            session.chains[partition].position = offset
        session.outstanding += 1
        session.lag.handed_on(records)
        return Batch(session, records, upto)

    def _tick(self, now_s: float) -> None:
        """Stay a member, take up and drop partitions, and state to every shard how far all is applied."""
        self._ticked_s = now_s
        session, runtime = self._session, self.runtime
        self._log_ids.run(now_s)
        retry_until_available(partial(follow_policy, runtime))
        own = retry_until_available(lambda: self._member.heartbeat(runtime.clock.now_ms()))
        for partition in set(session.chains) - own:
            del session.chains[partition]
        session.chains |= opened(runtime, session.log_ids, own - set(session.chains))

        facts = [chain.catch_up() for chain in session.chains.values()]
        event_ms = self._business_ms if runtime.settings.clock == "event" else 0
        ticks = tick(runtime, lambda shard: tuple(fact[shard] for fact in facts), event_ms)
        for shard, lost in ticks.behind.items():
            session.lose(shard, lost)
        self._business_ms = max(self._business_ms, ticks.business_ms)
        if ticks.requeues:
            self._ticked_s = 0.0
        if not session.behind:
            applied = {partition: chain.position + 1 for partition, chain in session.chains.items()}
            retry_until_available(lambda: self._member.commit(applied))
        self._upkeep.run(now_s, session, runtime.business_ms(self._business_ms))

    def _start_again(self) -> None:
        """Drop the session: recover the shards that are behind, then resume from the watermarks as they are."""
        session = self._session
        for shard, lost in sorted(session.behind.items()):
            _log.warning("shard went back", shard=shard, marks=lost.watermarks)
            recover(self.runtime, shard, 1)
        metrics.REWINDS.inc()
        session.lag.drop()
        chains = opened(self.runtime, session.log_ids, frozenset(session.chains))
        self._session = ReadSession(
            session.log_ids, chains, lag=session.lag, arrivals=session.arrivals
        )

    def _check_log_ids(self) -> None:
        check_log_ids(self.runtime, self._session.log_ids)
