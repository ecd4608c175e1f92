"""A read session: the offset chains of the partitions that a reader reads, and what is in flight.

A session states facts about an immutable log to the shards: "of partition p, these are all events of shard s in
(after, upto]". When a shard answers that it is behind, the session is dead: what it has in flight is not applied, and
the reader begins another one from the watermarks as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.log.base import Partition, Record
from flows.ingest.arrivals import Arrivals
from flows.ingest.consumer_lag import ConsumerLag
from state.protocol.common import Behind
from state.protocol.pack import Chain


@dataclass(slots=True)
class ReadSession:
    """One read session. A dead one is no longer applied."""

    log_ids: dict[str, str]
    chains: dict[Partition, Chain] = field(default_factory=dict)
    outstanding: int = 0
    behind: dict[int, Behind] = field(default_factory=dict)
    """Shards that turned out to be behind, with their watermarks. Not empty = the session is dead."""
    due_age_ms: int = 0
    """At the last answer, how long the SKU had been due that had been due longest."""
    lag: ConsumerLag = field(default_factory=ConsumerLag)
    arrivals: Arrivals = field(default_factory=Arrivals)
    in_flight: Callable[[], object] | None = None
    """Waits for the answers to the batch that was sent last, if nothing has waited for them yet."""

    def lose(self, shard: int, lost: Behind) -> None:
        """Note that a shard is behind this session."""
        self.behind[shard] = lost

    def wait_in_flight(self) -> object:
        """Wait until the batch that was sent last is applied, or the session is dead. None: there was none."""
        in_flight, self.in_flight = self.in_flight, None
        return None if in_flight is None else in_flight()


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one session, and for each partition the last offset among them."""

    run: ReadSession
    records: Sequence[Record]
    upto: dict[Partition, int]
