"""The composition root: what one process works with, built from its settings and its `penstock.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.config.settings import Settings
from connectors.log.base import (
    Log,
)
from connectors.redis.server import SKEW_MAX_MS, Server
from flows.engine.failure import Ending
from flows.runtime.active_policy import PolicyInForce
from flows.runtime.clock import Clock
from flows.runtime.retry import insist
from monitoring import metrics
from state.protocol.control import Recover
from state.protocol.keys import GUARD_ALLOWANCE_MS, HOUR_MS, Keys
from state.store import policy as policy_store
from state.store import push_lag
from state.store.shards import Store

RECOVER_CHUNK = 500
CODES_AHEAD_MS = 5_000
"""A new code holds from a little later, so that every reader has it by then."""


@dataclass(slots=True)
class Runtime:
    """Everything that the flows and commands of one process share."""

    settings: Settings
    server: Server
    keys: Keys
    store: Store
    log: Log
    policy: PolicyInForce
    policy_before: PolicyInForce | None = None
    """The one that was in force when this process brought its own."""
    problems: dict[str, str | None] = field(default_factory=dict)
    """Named checks for readiness: None = fine."""
    ending: Ending = field(default_factory=Ending)
    clock: Clock = field(default_factory=Clock)
    push_lags: Mapping[str, int] = field(default_factory=dict)
    """How long channels take to show a level (ms), where that was measured and a buffer goes by it."""
    codes_until_ms: int = 0
    """No message of the log before this time is read by other code tables than those known."""

    @property
    def guard_ms(self) -> int:
        """How long a set of the duplicate guard lives after its last entry."""
        return self.settings.dedup_h * HOUR_MS + GUARD_ALLOWANCE_MS

    def slice_of(self, timestamp_ms: int) -> int:
        """Return the slice of the duplicate guard for a log timestamp."""
        return timestamp_ms // (self.settings.dedup_h * HOUR_MS)

    def follow_policy(self) -> None:
        """Take up the policy and the code tables of the store if they are newer than those known.

        Not only when a shard tells of a revision: who brought it may have died before any shard heard of it.
        """
        client, looked_ms = self.server.client, self.clock.now_ms()
        if policy_store.standing(client, self.keys) > self.policy.standing:
            found = policy_store.in_force(client, self.keys)
            if found is not None:
                table = policy_store.read_codes(client, self.keys)
                self.policy = PolicyInForce(found, table)
        if self.policy.goes_by_lag:
            self.push_lags = push_lag.measured(client, self.keys)
        # What was added after this look holds from later on, whosever clock it went by.
        self.codes_until_ms = looked_ms + CODES_AHEAD_MS - 2 * SKEW_MAX_MS

    def recover(self, shard: int, begin: int) -> None:
        """Carry a shard through a recovery (1) or its repetition (2)."""
        servers = insist(lambda: self.server.identities(self.store.shards))
        call = Recover(self.clock.now_us(), servers[shard], begin, SKEW_MAX_MS, RECOVER_CHUNK)
        insist(lambda: self.store.recover(shard, call))
        metrics.RECOVERIES.inc()

    def business_ms(self, newest_ms: int) -> int:
        """Return the time that business rules run on: the system's, or the newest event's."""
        return newest_ms if self.settings.clock == "event" else self.clock.now_ms()

    def business_now_ms(self) -> int:
        """Return the business time of this moment; where events set it, the system's until there is one."""
        newest_ms = self.store.business_ms() if self.settings.clock == "event" else 0
        return newest_ms or self.clock.now_ms()
