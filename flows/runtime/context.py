"""The context of one process: what its flows and commands share. `flows.runtime.session` makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.config.settings import Settings
from connectors.log.base import Log
from connectors.redis.server import Server
from flows.engine.failure import DeferredFailure
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.clock import Clock
from state.durations import HOUR_MS
from state.protocol.keys import GUARD_ALLOWANCE_MS
from state.store.shards import Store
from state.store.shared import Shared

CODES_AHEAD_MS = 5_000
"""A new code holds from a little later, so that every reader has it by then."""


@dataclass(slots=True)
class Runtime:
    """Everything that the flows and commands of one process share."""

    settings: Settings
    primaries: Server
    """The servers that keep the stock: their identities and their clocks. Data is behind `store` and `shared`."""
    store: Store
    shared: Shared
    log: Log
    policy: ActivePolicy
    policy_before: ActivePolicy | None = None
    """The one that was active when this process activated its own."""
    problems: dict[str, str | None] = field(default_factory=dict)
    """Named checks for readiness: None = fine."""
    failure: DeferredFailure = field(default_factory=DeferredFailure)
    clock: Clock = field(default_factory=Clock)
    push_lags: Mapping[str, int] = field(default_factory=dict)
    """The push lag of channels (ms), where it was measured and a buffer depends on it."""
    codes_until_ms: int = 0
    """No message of the log before this time is read by other code tables than those known."""

    @property
    def guard_ms(self) -> int:
        """How long a set of the duplicate guard lives after its last entry."""
        return self.settings.dedup_h * HOUR_MS + GUARD_ALLOWANCE_MS

    def slice_of(self, timestamp_ms: int) -> int:
        """Return the slice of the duplicate guard for a log timestamp."""
        return timestamp_ms // (self.settings.dedup_h * HOUR_MS)

    def business_ms(self, newest_ms: int) -> int:
        """Return the time that business rules run on: the system's, or the newest event's."""
        return newest_ms if self.settings.clock == "event" else self.clock.now_ms()

    def business_now_ms(self) -> int:
        """Return the business time of this moment; where events set it, the system's until there is one."""
        newest_ms = self.store.business_ms() if self.settings.clock == "event" else 0
        return newest_ms or self.clock.now_ms()
