"""The claimer: claims the SKUs whose levels must be looked at, from the due queues of all shards.

Delivery guarantee: a claimed SKU is emitted and settled, or comes back when its lease ends. Any number
of publishers may claim from the same queues.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from flows.publish.circuit_breaker import report_held
from flows.publish.policy_rollout import PolicyRollout
from flows.publish.preflight import Preflight
from flows.publish.publish_lag import PublishLag
from flows.runtime import signals
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.claim_loop import ClaimLoop, Taken
from flows.runtime.context import Runtime
from flows.runtime.idle import Idle
from flows.runtime.policy_follower import follow_policy
from flows.runtime.rebuild_sums import rebuild
from flows.runtime.retry import pipelined_retry, retry_until_available
from flows.runtime.shard_tick import tick
from monitoring import metrics
from state.protocol.claim import Claim, Claimed
from state.protocol.common import StalePolicy

TICK_S = 1.0
CLAIM_MAX = 128
"""SKUs claimed from one shard at once: bounds a batch and the time a call holds the server."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A claim that is in flight. Its `answers` are waited for once."""

    policy: ActivePolicy
    business_ms: int
    answers: Callable[[], Mapping[int, Claimed | StalePolicy]]


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of one round, by shard, under one policy and at one business time."""

    owner: "Claimer"
    policy: ActivePolicy
    business_ms: int
    by_shard: dict[int, Claimed]


Loop: TypeAlias = ClaimLoop[Asked, Claims]


class Claimer:
    """Claims for one worker, as the consumer of a claim loop. Not shared between threads."""

    def __init__(self, runtime: Runtime, *, until_idle: bool = False) -> None:
        self.runtime = runtime
        self.loop: Loop = ClaimLoop(self)
        self._idle = Idle(runtime) if until_idle else None
        self._ticked_s = 0.0
        self._newest_ms = 0
        self._servers: Sequence[str] = []
        """The server of each shard at the last tick, and how many connections had been made before."""
        self._connections = 0
        self._lag = PublishLag()
        self._preflight = Preflight(runtime)
        self._rollout = PolicyRollout(runtime)

    def next_claims(self, now_s: float) -> Claims | None:
        """Return what is due now, None when nothing is.

        Raises:
            StopIteration: asked to stop, or idle and that was asked for. All claims are settled.
        """
        return self.loop.next_claims(now_s)

    def prepare(self, now_s: float) -> None:
        """Stop if that is wanted; tick, and look after a new policy."""
        if signals.wanted() or (self._idle is not None and self._idle.for_long(now_s)):
            raise StopIteration
        if now_s - self._ticked_s >= TICK_S:
            self._tick(now_s)
        self._preflight.look()
        if self._rollout.advance(now_s):
            self._ticked_s = 0.0

    def ask(self) -> Asked:
        """Ask all shards for what is due; wait for nothing."""
        runtime, policy = self.runtime, self.runtime.policy
        business_ms = runtime.business_ms(self._newest_ms)
        # As of a tick ago: what became due since then gathers further changes first.
        gather_ms = runtime.settings.tick_ms
        call = Claim(
            runtime.clock.now_us() - 1000 * gather_ms,
            runtime.settings.lease_ms + gather_ms,
            policy.revision,
            policy.sums_revision,
            business_ms,
            CLAIM_MAX,
            policy.silent,
            tuple(gate for _, gate in policy.gates),
        )
        calls = dict.fromkeys(range(runtime.store.shards), call)
        return Asked(
            policy, business_ms, pipelined_retry(partial(runtime.store.begin_claim, calls))
        )

    def take(self, asked: Asked, now_s: float) -> Taken[Claims]:
        """Wait for the answers; leave out shards that failed over, follow a newer policy, rebuild stale sums."""
        replies = asked.answers()
        moved = self._moved()
        by_shard: dict[int, Claimed] = {}
        more, refused = self._rollout.expedites, False
        for shard, reply in replies.items():
            if shard in moved:
                continue
            if isinstance(reply, StalePolicy):
                refused = True
                metrics.REFUSED_CLAIMS.inc()
                retry_until_available(partial(follow_policy, self.runtime))
                continue
            self._newest_ms = max(self._newest_ms, reply.business_ms)
            metrics.HOLDS.labels("lapsed").inc(reply.expired)
            more = more or len(reply.due) + len(reply.stale) >= CLAIM_MAX
            if reply.stale:
                retry_until_available(partial(rebuild, self.runtime, shard, reply.stale))
                more = True
            if reply.due:
                by_shard[shard] = reply
        is_clean = not (moved or refused)
        if is_clean and not more:
            self._lag.all_claimed()
        if not by_shard:
            return Taken(None, more, may_ask_ahead=False)
        self._lag.claimed(by_shard.values())
        claims = Claims(self, asked.policy, asked.business_ms, by_shard)
        return Taken(claims, more, may_ask_ahead=is_clean and self._may_ask_ahead(now_s))

    def done(self, claims: Claims, settled: AbstractSet[str]) -> None:
        """Note that a round is over: the SKUs named were emitted, the others are left to their lease."""
        every = [due for claimed in claims.by_shard.values() for due in claimed.due]
        left = [due for due in every if due.sku not in settled] if len(settled) < len(every) else ()
        settings = self.runtime.settings
        lease_ms = settings.lease_ms + settings.tick_ms
        self._lag.settled(left, self.runtime.clock.now_ms() + lease_ms)

    def _may_ask_ahead(self, now_s: float) -> bool:
        """Say whether nothing has to be done before the next claims but to settle those of this round."""
        return self._rollout.is_idle and now_s - self._ticked_s < TICK_S and not signals.wanted()

    def _moved(self) -> set[int]:
        """Return the shards that failed over: another server answered for them than at the last tick.

        Such a shard may have rolled back unnoticed, so that a version which it gives out may have been emitted before,
        with other levels. What was claimed there is not emitted; it comes back with the shard's recovery, or when its
        lease ends.
        """
        primaries, made = self.runtime.primaries, self.runtime.primaries.connections.made
        if made == self._connections:
            return set()
        now = retry_until_available(lambda: primaries.identities(self.runtime.store.shards))
        moved = {
            n for n, (was, found) in enumerate(zip(self._servers, now, strict=True)) if was != found
        }
        if moved:
            self._ticked_s = 0.0
        else:
            self._connections = made
        return moved

    def _tick(self, now_s: float) -> None:
        """Assert the policy, spread the newest business time, notice a server that rolled back."""
        self._ticked_s = now_s
        runtime = self.runtime
        retry_until_available(partial(follow_policy, runtime))
        report_held(runtime.policy)
        self._connections = runtime.primaries.connections.made
        event_ms = self._newest_ms if runtime.settings.clock == "event" else 0
        pace_us = self._rollout.pace_us(now_s, is_behind=self.loop.more)
        ticks = tick(runtime, business_ms=event_ms, pace_us=pace_us)
        self._servers = ticks.servers
        self._newest_ms = max(self._newest_ms, ticks.business_ms)
        if ticks.requeues:
            self._ticked_s = 0.0
        self._rollout.ticked(pace_us, requeues=ticks.requeues)
        self._lag.due(ticks.due, ticks.oldest_due_ms, runtime.clock.now_ms())
