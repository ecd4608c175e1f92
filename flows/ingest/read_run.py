"""One read session: the offset chains of its partitions, and what is in flight."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.log.base import Partition, Record
from flows.ingest.arrivals import Heard
from flows.ingest.consumer_lag import Lag
from state.protocol.common import Behind
from state.protocol.pack import Chain


@dataclass(slots=True)
class Run:
    """One reading run: the chains of the partitions read in it. A dead one is no longer applied."""

    log_ids: dict[str, str]
    chains: dict[Partition, Chain] = field(default_factory=dict)
    outstanding: int = 0
    behind: dict[int, Behind] = field(default_factory=dict)
    """Shards that turned out to be behind, with what they said. Not empty = the run is dead."""
    due_age_ms: int = 0
    """How long the SKU was due, at the last answer, that had been due longest."""
    lag: Lag = field(default_factory=Lag)
    heard: Heard = field(default_factory=Heard)
    flight: Callable[[], object] | None = None
    """Waits for the answers to the batch that was sent last, if nobody has yet."""

    def lose(self, shard: int, lost: Behind) -> None:
        """Note that a shard is behind this run."""
        self.behind[shard] = lost

    def land(self) -> object:
        """Wait until the batch that was sent last is applied, or the run is dead. None: there was none."""
        flight, self.flight = self.flight, None
        return None if flight is None else flight()


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one run, and for each partition the last offset among them."""

    run: Run
    records: Sequence[Record]
    upto: dict[Partition, int]
