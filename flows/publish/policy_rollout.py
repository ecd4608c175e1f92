"""Policy rollout: SKUs whose level may drop are republished first; the rest follow at a limited rate.

After a new policy each shard requeues all of its SKUs, `pace_us` apart. A publisher finds the SKUs of which a level may
drop by their names, and makes them due at once: they are claimed before the others, for the oldest due is claimed
first. When every SKU may drop, there is nothing to find: all are requeued at once.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from state.protocol.claim import Hasten
from state.rules.impact import PolicyChange

AT_ONCE_US: Final = 1
"""Hardly any time between SKUs that are requeued."""
GRACE_S: Final = 2.0
"""For so long only what may drop is republished; then the other SKUs begin to be requeued, too."""
REQUEUED_PER_S: Final = 16_000
"""SKUs that are requeued in a second: about as many as one publisher derives."""


class PolicyRollout:
    """The rollout of each new policy, as one publisher takes part in it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pace_us = 1_000_000 * runtime.store.shards // REQUEUED_PER_S
        self._known = runtime.policy_before or runtime.policy
        """The policy that all SKUs of the store have been requeued under, as far as this process knows."""
        self._followed = self._known
        """The policy whose rollout this publisher has begun."""
        self._expediting: Iterator[int] | None = None
        self._all_at_once = False
        """Every SKU may drop by the new policy, and some were not requeued yet."""
        self._grace_until_s = 0.0

    @property
    def expedites(self) -> bool:
        """Say whether there are SKUs left to look through for those that may drop."""
        return self._expediting is not None

    @property
    def is_idle(self) -> bool:
        """Say whether there is nothing to do before the next claim."""
        return self._expediting is None and self._runtime.policy is self._followed

    def advance(self, now_s: float) -> bool:
        """Begin the rollout of a new policy, or go on with it. Return whether a tick is to follow soon."""
        policy = self._runtime.policy
        wants_tick = False
        if policy is not self._followed:
            self._followed = policy
            self._expediting = expedite(self._runtime, self._known, policy)
            self._all_at_once = self._expediting is None
            self._grace_until_s = now_s + GRACE_S
            wants_tick = True
        if self._expediting is not None and next(self._expediting, None) is None:
            self._expediting, self._known = None, policy
            wants_tick = True
        return wants_tick

    def pace_us(self, now_s: float, *, is_behind: bool) -> int:
        """Return how far apart SKUs are requeued; 0 during the grace period, while others have to drop first.

        `is_behind` says that the last round left SKUs behind.
        """
        if self._runtime.policy is not self._followed:
            return 0
        if self._all_at_once:
            return AT_ONCE_US
        drops = self._expediting is not None or is_behind
        return 0 if drops and now_s < self._grace_until_s else self._pace_us

    def ticked(self, pace_us: int, *, requeues: bool) -> None:
        """Note what a tick with this pace found: whether a shard has still SKUs to requeue."""
        if self._all_at_once and pace_us and not requeues:
            self._all_at_once, self._known = False, self._runtime.policy


def expedite(runtime: Runtime, before: ActivePolicy, after: ActivePolicy) -> Iterator[int] | None:
    """Make those SKUs due at once that may drop from one policy to the next; None when every SKU may.

    What is returned yields, after some thousands of SKUs each, how many these were. It may be given up half way, or
    done again: the other SKUs are requeued all the same, only later.
    """
    change = PolicyChange(before.compiled, after.compiled)
    drops_by_silence = not set(after.silent).issubset(before.silent)
    return None if drops_by_silence or change.all_may_fall else _expedited(runtime, change)


def _expedited(runtime: Runtime, change: PolicyChange) -> Iterator[int]:
    if change.none_may_fall:
        return
    store = runtime.store
    cursors: dict[int, int] = dict.fromkeys(range(store.shards), 0)
    while cursors:
        found = retry_until_available(partial(store.scan, cursors))
        now_ms = runtime.clock.now_ms() - runtime.settings.tick_ms
        calls = {
            shard: Hasten(now_ms, tuple(filter(change.may_fall, names)))
            for shard, (_, names) in found.items()
        }
        calls = {shard: call for shard, call in calls.items() if call.skus}
        if calls:
            retry_until_available(partial(store.hasten, calls))
        cursors = {shard: cursor for shard, (cursor, _) in found.items() if cursor}
        yield sum(len(call.skus) for call in calls.values())
