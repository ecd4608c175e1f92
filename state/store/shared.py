"""What the processes of one namespace share beside the shards, each part behind its own wrapper."""

from dataclasses import dataclass

from state.protocol.keys import Keys
from state.store.client import Client
from state.store.guard_decisions import GuardDecisions
from state.store.health import ServerHealth
from state.store.lease import Lease
from state.store.listed_counts import ListedCounts
from state.store.policy import PolicyStore
from state.store.push_lag import PushLags
from state.store.reader_progress import ReaderProgress
from state.store.record import StoreRecord


@dataclass(frozen=True, slots=True)
class Shared:
    """All of it. Calls raise as those of `state.store.shards` do."""

    client: Client
    keys: Keys
    record: StoreRecord
    policy: PolicyStore
    decisions: GuardDecisions
    push_lags: PushLags
    listed: ListedCounts

    @classmethod
    def over(cls, client: Client, keys: Keys, shards: int) -> "Shared":
        """Return it as it is seen through a client."""
        return cls(
            client,
            keys,
            StoreRecord(client, keys),
            PolicyStore(client, keys),
            GuardDecisions(client, keys),
            PushLags(client, keys),
            ListedCounts(client, keys, shards),
        )

    def arrivals(self, reader: str) -> ReaderProgress:
        """Return when each watched location last sent an event."""
        return ReaderProgress(self.client, self.keys.heard(), reader)

    def arrival_rhythms(self, reader: str) -> ReaderProgress:
        """Return how each location usually sends events."""
        return ReaderProgress(self.client, self.keys.silence(), reader)

    def scrub_lease(self, owner: str, life_ms: int) -> Lease:
        """Return the lease of the process that scrubs."""
        return Lease(self.client, self.keys.walk(), owner, life_ms)

    def server_health(self) -> ServerHealth:
        """Return what asks the servers how they are."""
        return ServerHealth(self.client, self.keys)
