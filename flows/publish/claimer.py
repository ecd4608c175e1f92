"""Claiming: the SKUs whose levels must be looked at, taken from the due queues of all shards.

Delivery guarantee: a claimed SKU is emitted and settled, or comes back when its lease ends. Any number
of publishers may claim from the same queues.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

import structlog

from flows.publish.circuit_breaker import tell_held
from flows.publish.policy_rollout import hasten
from flows.publish.preflight import Foresight
from flows.publish.publish_lag import Unsettled
from flows.runtime import signals as stop
from flows.runtime.active_policy import PolicyInForce
from flows.runtime.context import Runtime
from flows.runtime.idle import Idle
from flows.runtime.retry import insist, insistent
from flows.services.policy.rebuild_sums import rebuild
from monitoring import metrics
from state.protocol.claim import Claim, Claimed
from state.protocol.common import Behind, StalePolicy
from state.protocol.control import REPETITION, Tick

TICK_S = 1.0
CLAIM_MAX = 128
"""SKUs claimed from one shard at once: bounds a batch and the time a call holds the server."""
OUTSTANDING_MAX = 1
AT_ONCE_US = 1
"""Hardly any time between SKUs that come up after a new policy."""
PATIENCE_S = 2.0
"""What falls by a new policy goes first for so long; then the other SKUs begin to come up, too."""
TOUCHED_PER_S = 16_000
"""SKUs that come up again in a second after a new policy: about as many as one publisher derives."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Claims:
    """Claims of one round, by shard, under one policy and at one business time."""

    owner: "Claimer"
    policy: PolicyInForce
    business_ms: int
    by_shard: dict[int, Claimed]


@dataclass(slots=True)
class _Asked:
    """A claim under way. Its `answers` are waited for once."""

    policy: PolicyInForce
    business_ms: int
    answers: Callable[[], Mapping[int, Claimed | StalePolicy]]


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
        self._foresight = Foresight(runtime)
        self._pace_us = 1_000_000 * runtime.store.shards // TOUCHED_PER_S
        self._known = runtime.policy_before or runtime.policy
        """The policy that all SKUs of the store have come up under, as far as this process knows."""
        self._hastens = self._known
        self._hastening: Iterator[int] | None = None
        self._all_at_once = False
        """Every SKU may fall by the new policy, and some did not come up yet."""
        self._patient_until_s = 0.0
        self._was_full = False
        self.flight: Callable[[], object] | None = None
        """Waits for the settlement that is under way, if one is."""
        self._ahead: _Asked | None = None
        """What was asked for while the last round is still emitted."""
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
        asked, self._ahead = self._ahead, None
        if asked is None:
            self.land()
            if stop.wanted() or (self._idle is not None and self._idle.for_long(now_s)):
                raise StopIteration
            if now_s - self._ticked_s >= TICK_S:
                self._tick(now_s)
            self._foresight.look()
            self._hasten(now_s)
            asked = self._ask()
        runtime, policy, business_ms = self.runtime, asked.policy, asked.business_ms
        replies = asked.answers()
        moved = self._moved()
        by_shard: dict[int, Claimed] = {}
        refused = False
        for shard, reply in replies.items():
            if shard in moved:
                continue
            if isinstance(reply, StalePolicy):
                refused = True
                metrics.REFUSED_CLAIMS.inc()
                insist(runtime.follow_policy)
                continue
            self._newest_ms = max(self._newest_ms, reply.business_ms)
            metrics.HOLDS.labels("lapsed").inc(reply.expired)
            self.more = self.more or len(reply.due) + len(reply.stale) >= CLAIM_MAX
            if reply.stale:
                insist(partial(rebuild, runtime, shard, reply.stale))
                self.more = True
            if reply.due:
                by_shard[shard] = reply
        self._was_full = self.more
        if not (self.more or moved or refused):
            self._unsettled.all_claimed()
        if not by_shard:
            return None
        self.outstanding += 1
        self._unsettled.claimed(by_shard.values())
        if self.more and not (moved or refused) and self._may_ask_ahead(now_s):
            self._ahead = self._ask()
        return Claims(self, policy, business_ms, by_shard)

    def land(self) -> object:
        """Wait until the round is settled that is under way to be; return what came of it, None if none was."""
        flight, self.flight = self.flight, None
        return None if flight is None else flight()

    def _may_ask_ahead(self, now_s: float) -> bool:
        """Say whether nothing has to be done before the next claims but to settle those of this round."""
        is_known = self._hastening is None and self.runtime.policy is self._hastens
        return is_known and now_s - self._ticked_s < TICK_S and not stop.wanted()

    def _ask(self) -> "_Asked":
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
        return _Asked(policy, business_ms, insistent(partial(runtime.store.begin_claim, calls)))

    def _hasten(self, now_s: float) -> None:
        """Go on with looking for the SKUs that a new policy may let fall."""
        policy = self.runtime.policy
        if policy is not self._hastens:
            self._hastens = policy
            self._hastening = hasten(self.runtime, self._known, policy)
            self._all_at_once = self._hastening is None
            self._patient_until_s = now_s + PATIENCE_S
            self._ticked_s = 0.0
        if self._hastening is None:
            return
        self.more = next(self._hastening, None) is not None
        if not self.more:
            self._hastening, self._known = None, policy
            self._ticked_s = 0.0

    def _pace(self, now_s: float) -> int:
        """Return how far apart SKUs come up after a new policy; for a while 0, when others have to fall first."""
        if self.runtime.policy is not self._hastens:
            return 0
        if self._all_at_once:
            return AT_ONCE_US
        falling = self._hastening is not None or self._was_full
        return 0 if falling and now_s < self._patient_until_s else self._pace_us

    def done(self, claims: Claims, settled: AbstractSet[str]) -> None:
        """Note that a round is over: the SKUs named were emitted, the others are left to their lease."""
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
        tell_held(runtime.policy)
        self._connections = runtime.server.connections.made
        servers = insist(lambda: runtime.server.identities(runtime.store.shards))
        self._servers = servers
        business_ms = self._newest_ms if runtime.settings.clock == "event" else 0
        pace_us = self._pace(now_s)
        calls = {
            shard: Tick(
                runtime.clock.now_us(),
                server,
                runtime.policy.revision,
                business_ms,
                pace_us=pace_us,
            )
            for shard, server in enumerate(servers)
        }
        replies = insist(lambda: runtime.store.tick(calls))
        due, oldest_ms, touching = 0, 0, False
        for shard, reply in replies.items():
            if isinstance(reply, Behind):
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
        elif self._all_at_once and pace_us:
            self._all_at_once, self._known = False, runtime.policy
        metrics.DUE_DEPTH.set(due)
        now_ms = runtime.clock.now_ms()
        self._unsettled.due(oldest_ms, now_ms)
        age_ms = max(0, now_ms - oldest_ms) if oldest_ms else 0
        metrics.DUE_AGE.set(age_ms / 1000)
