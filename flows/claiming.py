"""Claiming: the SKUs whose levels must be looked at, taken from the due queues of all shards.

Delivery guarantee: a claimed SKU is emitted and settled, or comes back when its lease ends. Any number
of publishers may claim from the same queues.
"""

from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

import structlog

from flows import stop
from flows.idle import Idle
from flows.runtime import PolicyInForce, Runtime, insist
from flows.unsettled import Unsettled
from monitoring import metrics
from state.calls import REPETITION, Claim, Claimed, Lost, Place, Rebuild, Refused, Tick

TICK_S = 1.0
CLAIM_MAX = 128
"""SKUs claimed from one shard at once: bounds a batch and the time a call holds the server."""
REBUILD_MAX = 50
OUTSTANDING_MAX = 1

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Claims:
    """Claims of one round, by shard, under one policy and at one business time."""

    owner: "Claimer"
    policy: PolicyInForce
    business_ms: int
    by_shard: dict[int, Claimed]


class Claimer:
    """Claims for one worker. Not shared between threads."""

    def __init__(self, runtime: Runtime, *, until_idle: bool = False) -> None:
        self.runtime = runtime
        self.outstanding = 0
        self._idle = Idle(runtime) if until_idle else None
        self._ticked_s = 0.0
        self._newest_ms = 0
        self._servers: list[str] = []
        """The server of each shard at the last tick, and how many connections had been made before."""
        self._connections = 0
        self._unsettled = Unsettled()
        self.more = False
        """The last round left SKUs behind: claim again at once."""

    def next_claims(self, now_s: float) -> Claims | None:
        """Return what is due now, None when nothing is.

        Raises:
            StopIteration: asked to stop, or idle and that was asked for. All claims are settled.
        """
        self.more = False
        if self.outstanding >= OUTSTANDING_MAX:
            return None
        if stop.wanted() or (self._idle is not None and self._idle.for_long(now_s)):
            raise StopIteration
        if now_s - self._ticked_s >= TICK_S:
            self._tick(now_s)
        runtime, policy = self.runtime, self.runtime.policy
        business_ms = runtime.business_ms(self._newest_ms)
        # As of a tick ago: what became due since then gathers further changes first.
        gather_ms = runtime.settings.tick_ms
        call = Claim(
            runtime.clock.now_us() - 1000 * gather_ms,
            runtime.settings.lease_ms + gather_ms,
            policy.revision,
            business_ms,
            CLAIM_MAX,
        )
        replies = insist(
            lambda: runtime.store.claim(dict.fromkeys(range(runtime.store.shards), call))
        )
        moved = self._moved()
        by_shard: dict[int, Claimed] = {}
        refused = False
        for shard, reply in replies.items():
            if shard in moved:
                continue
            if isinstance(reply, Refused):
                refused = True
                metrics.REFUSED_CLAIMS.inc()
                insist(runtime.follow_policy)
                continue
            self._newest_ms = max(self._newest_ms, reply.business_ms)
            self.more = self.more or len(reply.due) + len(reply.stale) >= CLAIM_MAX
            if reply.stale:
                self._rebuild(shard, reply.stale)
                self.more = True
            if reply.due:
                by_shard[shard] = reply
        if not (self.more or moved or refused):
            self._unsettled.all_claimed()
        if not by_shard:
            return None
        self.outstanding += 1
        self._unsettled.claimed(by_shard.values())
        return Claims(self, policy, business_ms, by_shard)

    def done(self, claims: Claims, settled: AbstractSet[str]) -> None:
        """Note that a round is over: the SKUs named were emitted, the others are left to their lease."""
        self.outstanding -= 1
        every = [due for claimed in claims.by_shard.values() for due in claimed.due]
        left = [due for due in every if due.sku not in settled] if len(settled) < len(every) else ()
        settings = self.runtime.settings
        lease_ms = settings.lease_ms + settings.tick_ms
        self._unsettled.settled(left, self.runtime.clock.now_ms() + lease_ms)

    def _moved(self) -> set[int]:
        """Return the shards that another server answered for than at the last tick.

        Such a shard may have gone back without anybody having noticed, so that a version which it gives out
        may have been told before, with other levels. What was claimed there is not told; it comes back
        with the shard's recovery, or when its lease ends.
        """
        server, made = self.runtime.server, self.runtime.server.connections.made
        if made == self._connections:
            return set()
        now = insist(lambda: server.identities(self.runtime.store.shards))
        moved = {
            n for n, (was, found) in enumerate(zip(self._servers, now, strict=True)) if was != found
        }
        if moved:
            self._ticked_s = 0.0
        else:
            self._connections = made
        return moved

    def _tick(self, now_s: float) -> None:
        """Assert the policy, spread the newest business time, notice a server that went back."""
        self._ticked_s = now_s
        runtime = self.runtime
        insist(runtime.follow_policy)
        self._connections = runtime.server.connections.made
        servers = insist(lambda: runtime.server.identities(runtime.store.shards))
        self._servers = servers
        business_ms = self._newest_ms if runtime.settings.clock == "event" else 0
        calls = {
            shard: Tick(runtime.clock.now_us(), server, runtime.policy.revision, business_ms)
            for shard, server in enumerate(servers)
        }
        replies = insist(lambda: runtime.store.tick(calls))
        due, oldest_ms, touching = 0, 0, False
        for shard, reply in replies.items():
            if isinstance(reply, Lost):
                raise TypeError("a tick without parts cannot be behind")
            if reply.recover:
                _log.warning("shard recovers", shard=shard, repetition=reply.recover == REPETITION)
                runtime.recover(shard, reply.recover)
            self._newest_ms = max(self._newest_ms, reply.business_ms)
            touching = touching or bool(reply.touching)
            due += reply.due
            if reply.oldest_due_ms:
                oldest_ms = min(oldest_ms or reply.oldest_due_ms, reply.oldest_due_ms)
        if touching:
            self._ticked_s = 0.0
        metrics.DUE_DEPTH.set(due)
        now_ms = runtime.clock.now_ms()
        self._unsettled.due(oldest_ms, now_ms)
        age_ms = max(0, now_ms - oldest_ms) if oldest_ms else 0
        metrics.DUE_AGE.set(age_ms / 1000)

    def _rebuild(self, shard: int, skus: tuple[str, ...]) -> None:
        """Make class sums anew that another policy made. The SKUs are due again at once.

        One that came to another location meanwhile is left as it is, and comes up once more.
        """
        runtime, policy = self.runtime, self.runtime.policy
        groups: dict[tuple[Place, ...], list[str]] = defaultdict(list)
        for state in insist(lambda: list(runtime.store.read_many(skus))):
            if state is not None:
                places = tuple(policy.place(state.sku, p.location) for p in state.positions)
                groups[places].append(state.sku)
        for places, members in groups.items():
            for i in range(0, len(members), REBUILD_MAX):
                chunk = tuple(members[i : i + REBUILD_MAX])
                call = Rebuild(runtime.clock.now_us(), policy.revision, places, chunk)
                insist(partial(runtime.store.rebuild, shard, call))
