"""Whether the figures of one SKU agree with each other, and with what the log still has of it.

The log is replayed into a pool in memory, by the same rules. Where it begins later than the SKU did, only
positions counted since can be compared.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from connectors.log.base import INPUT_TOPICS, Partition
from flows.runtime.context import Runtime
from flows.services.queries.sku_history import Touch, touched
from state.events.ops import CONSUME
from state.memory.shard import MemoryShard
from state.protocol.common import ABSENT
from state.protocol.figures import Position, SkuState
from state.protocol.inspect import Inspect, encode_places
from state.protocol.pack import Chain, NormalEvent, Packer
from state.protocol.sharding import event_hash, shard_of

TRIES = 20
LATE_MS = 300_000
MARGIN_MS = 10_000
FIELDS = 100_000


class Discrepancy(NamedTuple):
    """Two figures that should be the same."""

    what: str
    expected: str
    found: str


class Audit(NamedTuple):
    """What was looked at, and what is wrong."""

    state: SkuState
    touches: list[Touch]
    findings: list[Discrepancy]
    unproven: list[str]
    """Locations of which the log does not have enough."""
    is_whole: bool
    """The log still holds all there ever was."""


class Moving(Exception):
    """The SKU changes all the time: nothing could be compared."""


def audit(runtime: Runtime, sku: str) -> Audit | None:
    """Look at one SKU; None if the store does not know it.

    Raises:
        Moving: it changed each time it was looked at.
    """
    for _ in range(TRIES):
        before = runtime.store.read(sku)
        if before is None:
            return None
        marks = runtime.store.marks()[shard_of(sku, runtime.store.shards)]
        state = runtime.store.read(sku)
        if state is not None and state.version == before.version:
            break
    else:
        raise Moving(f"{sku}: it changed {TRIES} times while it was looked at")
    ids = {topic: runtime.log.log_id(topic) for topic in INPUT_TOPICS}
    touches = [
        touch
        for touch in touched(runtime, sku, None)
        if touch.offset <= marks.get(f"{ids[touch.topic]}/{touch.partition}", -1)
    ]
    first = runtime.log.first_offset
    is_whole = all(
        start <= first
        for topic in INPUT_TOPICS
        for start in runtime.log.start_offsets(topic).values()
    )
    replayed = laid_out(runtime, touches, ids, sku)
    findings = [*_inspected(runtime, state)]
    unproven: list[str] = []
    counted_since_ms = 0 if is_whole else _begins_ms(runtime)
    findings += _compared(state, replayed, counted_since_ms, unproven)
    if is_whole and (replayed.unrouted if replayed else 0) != state.unrouted:
        wanted = replayed.unrouted if replayed else 0
        findings.append(Discrepancy("unrouted", f"{wanted} by the log", str(state.unrouted)))
    return Audit(state, touches, findings, unproven, is_whole)


def laid_out(
    runtime: Runtime, touches: Sequence[Touch], ids: dict[str, str], sku: str
) -> SkuState | None:
    """Return the SKU as these events alone make it."""
    pool, packer, policy = MemoryShard(), Packer(1, runtime.guard_ms), runtime.policy
    chains: dict[str, Chain] = {}
    for touch in touches:
        mark = f"{ids[touch.topic]}/{touch.partition}"
        chain = chains.setdefault(mark, Chain.starting(mark, ABSENT, 1))
        event = NormalEvent(
            touch.offset,
            event_hash(touch.source, touch.id),
            runtime.slice_of(touch.log_ms),
            touch.time_ms,
            touch.log_ms,
            tuple(op for op in touch.ops if op[0] != CONSUME),
        )
        batch = [(chain, touch.offset, [event])]
        for call in packer.pack(batch, policy.locate, touch.log_ms * 1000, 1).values():
            pool.apply(call)
    return pool.read(sku)


def _inspected(runtime: Runtime, state: SkuState) -> Iterator[Discrepancy]:
    """Yield what the walk over the pool would find in this SKU."""
    policy, settings, now_ms = runtime.policy, runtime.settings, runtime.clock.now_ms()
    soon_ms = now_ms + settings.lease_ms + settings.tick_ms + MARGIN_MS
    known = {*policy.compiled.locations, *(each.location for each in state.positions)}
    places = encode_places([policy.locate(state.sku, each) for each in sorted(known)])
    shard = shard_of(state.sku, runtime.store.shards)
    call = Inspect(soon_ms, now_ms - LATE_MS, policy.sums_revision, FIELDS, (state.sku,))
    for fault in runtime.store.inspect(shard, call, places).faults:
        yield Discrepancy(fault.invariant, fault.expected, fault.found)


def _compared(
    state: SkuState, replayed: SkuState | None, since_ms: int, unproven: list[str]
) -> Iterator[Discrepancy]:
    """Yield where a position is not what the log makes it; those that it has too little of are `unproven`."""
    by_log = {each.location: each for each in replayed.positions} if replayed is not None else {}
    kept = {each.location: each for each in state.positions}
    for location in sorted(by_log.keys() | kept.keys()):
        wanted = by_log.get(location, Position(location, 0, 0, 0, 0, None))
        found = kept.get(location, Position(location, 0, 0, 0, 0, None))
        names: tuple[str, ...] = ("on_hand", "unavailable", "incoming", "counted_at_ms")
        if since_ms:
            if found.counted_at_ms is None or found.counted_at_ms < since_ms:
                unproven.append(location)
                continue
            names = ("on_hand",)
        for name in names:
            expected, got = getattr(wanted, name), getattr(found, name)
            if expected != got:
                yield Discrepancy(f"{location}: {name}", f"{expected} by the log", str(got))


def _begins_ms(runtime: Runtime) -> int:
    """Return from when on the log holds everything, of every partition (log time)."""
    latest = 1
    for topic in INPUT_TOPICS:
        for n, start in runtime.log.start_offsets(topic).items():
            for record in runtime.log.read({Partition(topic, n): start}, max_records=1):
                latest = max(latest, record.timestamp_ms)
    return latest
