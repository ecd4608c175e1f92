"""Reading: which partitions this worker reads, from where on, and what happens when a shard went back.

A reading run states facts about an immutable log to the shards: "of partition p, these are all events of
shard s in (after, upto]". It resumes after the minimum of the marks over all shards. When any shard
answers that it is behind, the run is dropped, the shard recovers, and a new run starts from the marks as
they are then. Two workers may read one partition for a while: the shards' fences make that harmless.

Delivery guarantee: every record is handed on at least once, in the order of its partition; the watermark
only passes what was applied or is safe in dead.letters.
"""

import uuid
from functools import partial

import structlog

from connectors.log.base import (
    INPUT_TOPICS,
    Member,
    OffsetOutOfRange,
    Partition,
    TailLost,
    UnknownTopic,
    last_offsets,
)
from connectors.redis.server import SKEW_MAX_MS
from flows.ingest.arrivals import Heard
from flows.ingest.consumer_lag import Lag
from flows.ingest.log_retention import Retention
from flows.ingest.read_run import Batch, Run
from flows.ingest.resume import LogLost, check_resume
from flows.ingest.silence_report import Hearing
from flows.ingest.silence_watchdog import Watching
from flows.ingest.throttle import Brake
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.idle import Idle
from flows.runtime.retry import insist
from monitoring import metrics
from state.protocol.common import ABSENT, Behind
from state.protocol.control import REPETITION, Tick
from state.protocol.pack import Chain

GROUP = "penstock.ingest"
TICK_S = 1.0
LOG_ID_S = 60.0
WATCH_S = 5.0
"""Between two looks at what no event waits for: each holds the reader up for as long as servers take to answer."""
WAIT_MS, GLANCE_MS = 20, 1
OUTSTANDING_MAX = 2
"""Batches handed on and not applied yet: what holds reading back when Redis is slow."""

_log = structlog.get_logger(__name__)


class Reader:
    """Reads the input topics for one worker. Not shared between threads."""

    def __init__(self, runtime: Runtime, *, until_idle: bool = False) -> None:
        self.runtime = runtime
        self._member: Member = runtime.log.member(GROUP, INPUT_TOPICS, str(uuid.uuid4()))
        heard = Heard(by_event=runtime.settings.clock == "event")
        self._run = Run(self._log_ids(), lag=Lag(), heard=heard)
        # Only the metrics tell who is silent.
        is_watched = runtime.settings.metrics_address is not None
        self._hearing = Hearing(runtime, heard) if is_watched else None
        self._watching = Watching(runtime, heard)
        self._ticked_s = 0.0
        self._ids_seen_s = 0.0
        self._watched_s = 0.0
        self._idle = Idle(runtime, due=False) if until_idle else None
        self._retention = Retention(runtime) if runtime.log.is_trimmed_by_readers else None
        self._business_ms = 0
        self._brake = Brake(runtime.settings.tick_ms)

    def next_batch(self, now_s: float) -> Batch | None:
        """Return the next records, None when there are none yet.

        Raises:
            StopIteration: asked to stop, or idle and that was asked for. All that was read is applied.
            LogLost: the log was made again, lost its tail, or was trimmed where it was still needed.
        """
        run = self._run
        is_due = now_s - self._ticked_s >= TICK_S or run.heard.spoke
        if is_due or stop.wanted():
            run.land()
        if run.outstanding == 0:
            if stop.wanted() or (self._idle is not None and self._idle.for_long(now_s)):
                self._member.leave()
                self._watching.leave()
                run.lag.end()
                raise StopIteration
            if run.behind:
                self._start_again()
            elif is_due:
                self._tick(now_s)
        if run.behind or run.outstanding >= OUTSTANDING_MAX:
            return None
        batch = self._unless_held(now_s)
        if batch is not None:
            self._brake.handed(now_s)
        return batch

    def _unless_held(self, now_s: float) -> Batch | None:
        run = self._run
        if self._brake.holds(now_s, run.due_age_ms):
            return None
        if run.flight is not None:
            # What is there already is read while Redis is at work; only then it is waited for more.
            batch = self._read(run, GLANCE_MS)
            if batch is not None:
                return batch
            run.land()
        return None if run.behind else self._read(run, WAIT_MS)

    def _read(self, run: Run, wait_ms: int) -> Batch | None:
        if not run.chains:
            self.runtime.clock.wait(wait_ms / 1000)
            return None
        positions = {partition: chain.position + 1 for partition, chain in run.chains.items()}
        settings = self.runtime.settings
        try:
            records = insist(
                lambda: self.runtime.log.read(
                    positions, settings.batch_events, settings.batch_bytes, wait_ms
                )
            )
        except (OffsetOutOfRange, TailLost, UnknownTopic) as error:
            # A topic that was made again may show as any of these.
            self._check_log_ids()
            trimmed = isinstance(error, OffsetOutOfRange)
            more = ": events were trimmed before every shard had applied them" if trimmed else ""
            raise LogLost(f"{error}{more}") from error
        if not records:
            for partition, end in self.runtime.log.reached(positions).items():
                run.chains[partition].position = end - 1
            return None
        upto = last_offsets(records)
        for partition, offset in upto.items():
            run.chains[partition].position = offset
        run.outstanding += 1
        run.lag.handed_on(records)
        return Batch(run, records, upto)

    def _tick(self, now_s: float) -> None:
        """Stay a member, take up and drop partitions, and tell every shard how far all is applied."""
        self._ticked_s = now_s
        run, runtime = self._run, self.runtime
        if now_s - self._ids_seen_s >= LOG_ID_S:
            self._ids_seen_s = now_s
            self._check_log_ids()
        insist(runtime.follow_policy)
        mine = insist(lambda: self._member.heartbeat(runtime.clock.now_ms()))
        for partition in set(run.chains) - mine:
            del run.chains[partition]
        self._open(run, mine - set(run.chains))

        facts = [chain.catch_up() for chain in run.chains.values()]
        servers = insist(lambda: runtime.server.identities(runtime.store.shards))
        business_ms = self._business_ms if runtime.settings.clock == "event" else 0
        calls = {
            shard: Tick(
                runtime.clock.now_us(), servers[shard], runtime.policy.revision, business_ms,
                tuple(f[shard] for f in facts),
            )
            for shard in range(runtime.store.shards)
        }  # fmt: skip
        again = False
        for shard, reply in insist(lambda: runtime.store.tick(calls)).items():
            if isinstance(reply, Behind):
                run.lose(shard, reply)
                continue
            self._business_ms = max(self._business_ms, reply.business_ms)
            again = again or bool(reply.touching)
            if reply.recover:
                _log.warning("shard recovers", shard=shard, repetition=reply.recover == REPETITION)
                runtime.recover(shard, reply.recover)
        if again:
            self._ticked_s = 0.0
        if not run.behind:
            applied = {partition: chain.position + 1 for partition, chain in run.chains.items()}
            insist(lambda: self._member.commit(applied))
            newest_ms = runtime.business_ms(self._business_ms)
            insist(lambda: self._watching.look(now_s, run.chains, newest_ms))
        if now_s - self._watched_s >= WATCH_S:
            self._watched_s = now_s
            self._watch(run, now_s)
        if self._retention is not None:
            retention = self._retention
            insist(lambda: retention.trim(now_s, run.chains.keys()))

    def _start_again(self) -> None:
        """Drop the run: recover the shards that are behind, then resume from the marks as they are."""
        for shard, lost in sorted(self._run.behind.items()):
            _log.warning("shard went back", shard=shard, marks=lost.watermarks)
            self.runtime.recover(shard, 1)
        metrics.REWINDS.inc()
        self._run.lag.drop()
        run = Run(self._run.log_ids, lag=self._run.lag, heard=self._run.heard)
        self._open(run, frozenset(self._run.chains))
        self._run = run

    def _open(self, run: Run, partitions: frozenset[Partition]) -> None:
        """Take partitions up, each after the minimum of its marks over all shards."""
        if not partitions:
            return
        self._check_log_ids()
        runtime = self.runtime
        marks = insist(runtime.store.marks)
        topics = sorted({partition.topic for partition in partitions})
        starts = {topic: insist(partial(runtime.log.start_offsets, topic)) for topic in topics}
        ends = {topic: insist(partial(runtime.log.end_offsets, topic)) for topic in topics}
        for partition in sorted(partitions):
            mark = f"{run.log_ids[partition.topic]}/{partition.n}"
            found = [shard.get(mark, ABSENT) for shard in marks]
            start, end = starts[partition.topic][partition.n], ends[partition.topic][partition.n]
            check_resume(partition, found, start, end)
            run.chains[partition] = Chain.starting(mark, min(found), runtime.store.shards)

    def _log_ids(self) -> dict[str, str]:
        return {topic: insist(partial(self.runtime.log.log_id, topic)) for topic in INPUT_TOPICS}

    def _check_log_ids(self) -> None:
        for topic, log_id in self._log_ids().items():
            if log_id != self._run.log_ids[topic]:
                raise LogLost(
                    f"{topic}: expected the log {self._run.log_ids[topic]}, got {log_id}: "
                    "the topic was made again while it was read; start again to read the new one"
                )

    def _clock_problem(self) -> str | None:
        runtime = self.runtime
        skew_ms = insist(lambda: runtime.server.skew_ms(runtime.clock.now_ms()))
        return (
            f"clock: expected within 1 s of the server's, got {skew_ms} ms"
            if abs(skew_ms) > SKEW_MAX_MS
            else None
        )

    def _watch(self, run: Run, now_s: float) -> None:
        """Tell whether clocks agree, how far this reader is behind, and who is silent."""
        runtime, hearing = self.runtime, self._hearing
        runtime.problems["clock"] = self._clock_problem()
        ends = insist(lambda: runtime.log.ends(run.chains.keys()))
        positions = {partition: chain.position for partition, chain in run.chains.items()}
        run.lag.look(positions, ends, runtime.clock.now_ms())
        if hearing is not None:
            newest_ms = runtime.business_ms(self._business_ms)
            insist(lambda: hearing.look(now_s, run.lag.behind, newest_ms))
