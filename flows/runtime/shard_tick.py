"""The shard tick: what a process states to every shard once a second, and what the shards answer.

A tick states the active policy, the server that answers for the shard, the newest business time, and of each partition
that no event of the shard is missing. A shard whose server has changed answers that it has to recover; the recovery is
carried through here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from connectors.redis.server import SKEW_MAX_MS
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from monitoring import metrics
from state.protocol.apply import Part
from state.protocol.common import Behind
from state.protocol.control import REPETITION, RESYNC, Recover, Tick

RECOVER_CHUNK: Final = 500
"""SKUs that one call of a recovery makes due."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Ticks:
    """The answers of all shards to one tick."""

    servers: Sequence[str]
    """The identity of each shard's server."""
    behind: dict[int, Behind] = field(default_factory=dict)
    """Shards whose watermark is below what the parts begin after."""
    business_ms: int = 0
    """The newest event time that any shard has seen."""
    due: int = 0
    """SKUs that are due, over all shards."""
    oldest_due_ms: int = 0
    """Since when the SKU that is due longest has been due; 0 when none is."""
    requeues: bool = False
    """A shard has not yet requeued all of its SKUs: it wants another tick soon."""


def tick(
    runtime: Runtime,
    parts: Callable[[int], tuple[Part, ...]] | None = None,
    business_ms: int = 0,
    pace_us: int = 0,
) -> Ticks:
    """Tick every shard, and recover those that ask for it; repeated until the store answers.

    `parts` returns for a shard what is known of the log, `business_ms` is the newest event time known here, `pace_us`
    the time between SKUs that the shard requeues after a new policy.
    """
    servers = retry_until_available(lambda: runtime.primaries.identities(runtime.store.shards))
    calls = calls_of(runtime, servers, parts, business_ms, pace_us)
    ticks = Ticks(servers)
    for shard, reply in retry_until_available(lambda: runtime.store.tick(calls)).items():
        if isinstance(reply, Behind):
            if parts is None:
                raise TypeError("a tick without parts cannot be behind")
            ticks.behind[shard] = reply
            continue
        ticks.business_ms = max(ticks.business_ms, reply.business_ms)
        ticks.requeues = ticks.requeues or bool(reply.touching)
        ticks.due += reply.due
        if reply.oldest_due_ms:
            ticks.oldest_due_ms = min(
                ticks.oldest_due_ms or reply.oldest_due_ms, reply.oldest_due_ms
            )
        if reply.recover:
            _log.warning("shard recovers", shard=shard, repetition=reply.recover == REPETITION)
            recover(runtime, shard, reply.recover)
    return ticks


def calls_of(
    runtime: Runtime,
    servers: Sequence[str],
    parts: Callable[[int], tuple[Part, ...]] | None = None,
    business_ms: int = 0,
    pace_us: int = 0,
) -> dict[int, Tick]:
    """Return the tick of each shard, given the identity of its server."""
    revision = runtime.policy.revision
    return {
        shard: Tick(
            runtime.clock.now_us(), server, revision, business_ms,
            parts(shard) if parts is not None else (), pace_us=pace_us,
        )
        for shard, server in enumerate(servers)
    }  # fmt: skip


def recover(runtime: Runtime, shard: int, begin: int) -> None:
    """Carry a shard through a recovery (1), its repetition (2), or a resync (`RESYNC`)."""
    servers = retry_until_available(lambda: runtime.primaries.identities(runtime.store.shards))
    call = Recover(runtime.clock.now_us(), servers[shard], begin, SKEW_MAX_MS, RECOVER_CHUNK)
    retry_until_available(lambda: runtime.store.recover(shard, call))
    if begin != RESYNC:
        metrics.RECOVERIES.inc()
