"""How far a reader is behind, in messages and in seconds, partition by partition."""

from collections import deque
from collections.abc import Mapping, Sequence

from connectors.log.base import Partition, Record
from monitoring import metrics


class ConsumerLag:
    """The lag of one reader.

    In seconds it is the age of the oldest message in the log that is not applied. Of a message
    that was not read yet only is known that it is younger than the last one applied, and than the last check
    that found nothing.
    """

    def __init__(self) -> None:
        self._under_way: deque[dict[Partition, int]] = deque()
        """Of each batch handed on and not applied, the oldest log timestamp by partition."""
        self._ends: dict[Partition, int] = {}
        self._since: dict[Partition, int] = {}
        self._looked_ms = 0
        self.behind: frozenset[Partition] = frozenset()
        """Partitions of which not everything was read, at the last check."""

    def handed_on(self, records: Sequence[Record]) -> None:
        """Note a batch, to be applied after those before it."""
        first = {(r.topic, r.partition): r.timestamp_ms for r in reversed(records)}
        oldest = {Partition(topic, n): ms for (topic, n), ms in first.items()}
        self._under_way.append(oldest)
        for partition, ms in oldest.items():
            if not self._since.get(partition):
                self._report(partition, ms)

    def applied(self, upto: Mapping[Partition, int]) -> None:
        """Note that the oldest of the batches handed on is applied."""
        if not self._under_way:
            return
        done = self._under_way.popleft()
        for partition, ms in done.items():
            next_ms = next((each[partition] for each in self._under_way if partition in each), 0)
            if not next_ms and upto[partition] < self._ends.get(partition, 0) - 1:
                next_ms = ms
            self._report(partition, next_ms)

    def drop(self) -> None:
        """Forget what was handed on: it is read again."""
        self._under_way.clear()

    def look(
        self, positions: Mapping[Partition, int], ends: Mapping[Partition, int], now_ms: int
    ) -> None:
        """Compare what is applied, the last offset by partition, with where the log ends."""
        self._ends = dict(ends)
        behind = set()
        for partition, end in ends.items():
            lag = max(0, end - 1 - positions[partition])
            metrics.LAG.labels(partition.topic, str(partition.n)).set(lag)
            if lag:
                behind.add(partition)
            since = self._since.get(partition) or self._looked_ms or now_ms
            self._report(partition, since if lag else 0)
        for gone in self._since.keys() - ends.keys():
            self._forget(gone)
        self.behind, self._looked_ms = frozenset(behind), now_ms

    def end(self) -> None:
        """Report no partition any more: another reader reads them."""
        for partition in list(self._since):
            self._forget(partition)

    def _report(self, partition: Partition, since_ms: int) -> None:
        self._since[partition] = since_ms
        metrics.LAG_AGE.since(since_ms, partition.topic, str(partition.n))

    def _forget(self, partition: Partition) -> None:
        del self._since[partition]
        metrics.LAG_AGE.forget(partition.topic, str(partition.n))
        metrics.LAG.remove(partition.topic, str(partition.n))
