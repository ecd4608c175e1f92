"""The steps of ingest, each a plain function over a batch.

Dead letters are written before the batch is applied: the watermark then never passes a message that is
neither applied nor kept. A batch is a value; a step adds what it found out.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from connectors.log.base import (
    AppendFailed,
    LogRefused,
    LogUnavailable,
    Outgoing,
    Partition,
    Record,
)
from connectors.messages import dead_letters
from connectors.messages.decode import Unread, read
from flows.ingest.read_session import Batch, ReadSession
from flows.ingest.shrink_guard import why_quarantined
from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.runtime.retry import pipelined_retry, retry_until_available
from monitoring import metrics
from state.events.messages import Event
from state.events.normalise import effects
from state.events.rejection import Rejection
from state.protocol.apply import Applied, Apply
from state.protocol.common import Behind
from state.protocol.pack import NormalEvent, Packer, rounds
from state.protocol.sharding import event_hash


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that goes to the dead letters, and why."""

    record: Record
    step: str
    reason: str
    type: str = ""


class Guarded(NamedTuple):
    """A message whose effects depend on the shrink guard."""

    record: Record
    event: Event
    normal: NormalEvent


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch with its records read as events."""

    batch: Batch
    events: Sequence[tuple[Record, Event]]
    rejected: Sequence[Rejected]


@dataclass(frozen=True, slots=True)
class Normal:
    """A batch ready to apply, the events of each partition in the order of their offsets."""

    batch: Batch
    events: dict[Partition, list[NormalEvent]]
    types: dict[Partition, list[str]]
    rejected: Sequence[Rejected]
    to_guard: Sequence[Guarded] = ()
    """Supplier figures of guarded locations, which the shrink guard has to pass first."""


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of a batch."""

    events: int
    duplicates: int
    dead: int
    lost: bool = False


def decode(batch: Batch) -> Decoded:
    """Read each record's envelope and data; what cannot be read is rejected with its reason."""
    events: list[tuple[Record, Event]] = []
    rejected: list[Rejected] = []
    for record in batch.records:
        event = read(record)
        if isinstance(event, Unread):
            rejected.append(Rejected(record, "decode", event.reason, event.type))
        else:
            events.append((record, event))
    return Decoded(batch, events, rejected)


def normalise(runtime: Runtime, decoded: Decoded) -> Normal:
    """Turn events into what they do to the pool, under the active policy.

    A process that slept since it looked for code tables looks again: a message must mean what it means to all.
    """
    newest_ms = max((record.timestamp_ms for record in decoded.batch.records), default=0)
    if newest_ms >= runtime.codes_until_ms:
        retry_until_available(partial(follow_policy, runtime))
    compiled, codes = runtime.policy.compiled, runtime.policy.codes
    guarded = compiled.guarded
    events: dict[Partition, list[NormalEvent]] = {partition: [] for partition in decoded.batch.upto}
    types: dict[Partition, list[str]] = {partition: [] for partition in decoded.batch.upto}
    rejected, to_guard = list(decoded.rejected), list[Guarded]()
    partition, log_ms, slice_ = Partition("", 0), -1, 0
    for record, event in decoded.events:
        if record.timestamp_ms != log_ms:
            log_ms = record.timestamp_ms
            slice_ = runtime.slice_of(log_ms)
        ops = effects(event, log_ms, compiled, codes)
        if isinstance(ops, Rejection):
            rejected.append(Rejected(record, "normalise", ops.reason, event.type))
            continue
        # The records of a partition follow each other.
        if record.partition != partition.n or record.topic != partition.topic:
            partition = Partition(record.topic, record.partition)
        identity = event_hash(event.source, event.id)
        normal = NormalEvent(record.offset, identity, slice_, event.time_ms, log_ms, ops)
        events[partition].append(normal)
        types[partition].append(event.type)
        if guarded and event.type == "supplier.stock":
            to_guard.append(Guarded(record, event, normal))
    return Normal(decoded.batch, events, types, rejected, to_guard)


def guard(runtime: Runtime, normal: Normal) -> Normal:
    """Quarantine supplier figures that would take too much away at once: they are rejected, with the reason."""
    quarantined: dict[Partition, set[int]] = defaultdict(set)
    rejected = list(normal.rejected)
    for record, event, effect in normal.to_guard:
        reason = why_quarantined(runtime, normal.batch.run, record, event, effect.ops)
        if reason:
            quarantined[Partition(record.topic, record.partition)].add(record.offset)
            rejected.append(Rejected(record, "normalise", reason, event.type))
    if not quarantined:
        return normal
    events, types = dict(normal.events), dict(normal.types)
    for partition, offsets in quarantined.items():
        kept = [
            (event, name)
            for event, name in zip(events[partition], types[partition], strict=True)
            if event.offset not in offsets
        ]
        events[partition] = [event for event, _ in kept]
        types[partition] = [name for _, name in kept]
    return Normal(normal.batch, events, types, rejected)


def to_dead_letters(runtime: Runtime, normal: Normal) -> Normal:
    """Put what was rejected on dead.letters, whole, and wait until the log confirms it."""
    if normal.rejected:
        log_ids = normal.batch.run.log_ids
        letters = [
            dead_letters.to_message(
                dead_letters.from_rejected(
                    each.record, log_ids[each.record.topic], each.step, each.reason
                ),
                runtime.clock.now_ms(),
            )
            for each in normal.rejected
        ]
        append_all(runtime, letters)
        metrics.count_dead_letters(each.reason for each in normal.rejected)
    return normal


def apply(runtime: Runtime, packer: Packer, normal: Normal) -> BatchOutcome:
    """Apply the batch: a call for each shard that it touches, or several if it has many lines there.

    A call is repeated until the shard has answered.
    """
    return _sent(runtime, packer, normal)()


def send(runtime: Runtime, packer: Packer, normal: Normal) -> None:
    """Apply the batch as `apply` does, but wait only for the one before it.

    So the next one is read and understood while Redis is at work. There is never more than one in flight: the
    reader waits for the last, when nothing is left to read.
    """
    run = normal.batch.run
    run.wait_in_flight()
    run.in_flight = _sent(runtime, packer, normal)


def _sent(runtime: Runtime, packer: Packer, normal: Normal) -> Callable[[], BatchOutcome]:
    """Send the calls of a batch; what is returned waits for the answers."""
    batch = normal.batch
    run = batch.run
    if run.behind:
        run.outstanding -= 1
        return lambda: BatchOutcome(0, 0, 0, lost=True)
    policy = runtime.policy
    by_chain = [
        (chain, offset, normal.events[partition])
        for partition, offset in batch.upto.items()
        if (chain := run.chains.get(partition)) is not None
    ]
    packed = packer.pack(by_chain, policy.locate, runtime.clock.now_us(), policy.sums_revision)
    turns = list(rounds(packed))
    answers = pipelined_retry(partial(runtime.store.begin_apply, turns))
    return lambda: _applied(runtime, normal, turns, answers)


def _applied(
    runtime: Runtime,
    normal: Normal,
    turns: Sequence[Mapping[int, Apply]],
    answers: Callable[[], list[dict[int, Applied | Behind]]],
) -> BatchOutcome:
    """Wait until every shard has answered, and take down what became of the batch."""
    run = normal.batch.run
    duplicates: set[tuple[str, int]] = set()
    absorbed = 0
    due_since_ms: dict[int, int] = {}
    for calls, replies in zip(turns, answers(), strict=True):
        for shard, reply in replies.items():
            if isinstance(reply, Behind):
                run.lose(shard, reply)
                continue
            absorbed += reply.absorbed
            due_since_ms[shard] = reply.oldest_due_ms
            for part, event in reply.duplicates:
                fact = calls[shard].parts[part]
                duplicates.add((fact.watermark, fact.events[event].offset))
    run.outstanding -= 1
    run.lag.applied(normal.batch.upto)
    oldest_ms = min(filter(None, due_since_ms.values()), default=0)
    run.due_age_ms = max(0, runtime.clock.now_ms() - oldest_ms) if oldest_ms else 0
    if run.behind:
        return BatchOutcome(0, 0, 0, lost=True)
    _measure(run, normal, duplicates, absorbed, runtime.clock.now_ms())
    total = sum(len(events) for events in normal.events.values())
    return BatchOutcome(total, len(duplicates), len(normal.rejected))


def append_all(runtime: Runtime, messages: Sequence[Outgoing]) -> None:
    """Append messages, repeating those that were not confirmed until all are."""
    waiting = list(messages)

    def attempt() -> None:
        results = runtime.log.append(waiting)
        failed = [r.error for r in results if isinstance(r, AppendFailed)]
        waiting[:] = [
            m for m, r in zip(waiting, results, strict=True) if isinstance(r, AppendFailed)
        ]
        if failed:
            # What the log refuses for good stops the flow: it would be refused again.
            lasting = (e for e in failed if isinstance(e, LogUnavailable | LogRefused))
            raise next(lasting, LogUnavailable(str(failed[0])))

    retry_until_available(attempt)


def _measure(
    run: ReadSession, normal: Normal, duplicates: set[tuple[str, int]], absorbed: int, now_ms: int
) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for partition, types in normal.types.items():
        for name, events in Counter(types).items():
            counts[name, "applied"] += events
        if duplicates:
            mark = f"{run.log_ids[partition.topic]}/{partition.n}"
            for event, name in zip(normal.events[partition], types, strict=True):
                if (mark, event.offset) in duplicates:
                    counts[name, "applied"] -= 1
                    counts[name, "duplicate"] += 1
    for each in normal.rejected:
        counts[each.type, "dead"] += 1
    if absorbed:
        counts["wms.count", "absorbed"] += absorbed
    metrics.count_events(counts)
    run.arrivals.note(normal.events)
    timestamps = [event.log_ms for events in normal.events.values() for event in events]
    metrics.LOG_TO_APPLIED.observe_ages(now_ms, timestamps)
