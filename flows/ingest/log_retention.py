"""Trimming the embedded log: old records go, but never what a rollback of the store may need again.

Input topics are trimmed only behind a minimum of the watermarks that was seen at least ten minutes ago: the
store may go back by what it had not yet written to disk, and must then be able to read the log again.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from connectors.log.base import OUTPUT_TOPICS, Log, Partition
from flows.runtime.context import Runtime
from state.protocol.common import ABSENT

EVERY_S = 60.0
DURABLE_AFTER_S = 600.0

Marks = Mapping[Partition, int]


class LogRetention:
    """Trims, once a minute, the partitions that a worker reads, and the output topics."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._done_s: float | None = None
        self._seen: deque[tuple[float, Marks]] = deque()

    def trim(self, now_s: float, partitions: Iterable[Partition]) -> None:
        """Trim if a minute has passed since the last time."""
        if self._done_s is not None and now_s - self._done_s < EVERY_S:
            return
        self._done_s = now_s
        runtime = self._runtime
        before_ms = runtime.clock.now_ms() - runtime.settings.log_retention_ms
        for partition, durable in self._durable(now_s, partitions).items():
            limit = durable + 1
            trim_before(
                runtime.log, partition, min(limit, first_since(runtime.log, partition, before_ms))
            )
        for topic in OUTPUT_TOPICS:
            for n in range(runtime.log.partitions(topic)):
                partition = Partition(topic, n)
                trim_before(runtime.log, partition, first_since(runtime.log, partition, before_ms))

    def _durable(self, now_s: float, partitions: Iterable[Partition]) -> Marks:
        """Return the minimum of the watermarks per partition, as it was ten minutes ago."""
        marks = self._runtime.store.marks()
        minimum = {}
        for partition in partitions:
            mark = f"{self._runtime.log.log_id(partition.topic)}/{partition.n}"
            minimum[partition] = min(shard.get(mark, ABSENT) for shard in marks)
        self._seen.append((now_s, minimum))
        durable: Marks = {}
        while self._seen and now_s - self._seen[0][0] >= DURABLE_AFTER_S:
            _, durable = self._seen.popleft()
        return durable


def trim_before(log: Log, partition: Partition, offset: int) -> None:
    """Drop the records below an offset, if there are any."""
    if offset > log.start_offsets(partition.topic)[partition.n]:
        log.trim(partition.topic, partition.n, offset)


def first_since(log: Log, partition: Partition, timestamp_ms: int) -> int:
    """Return the first offset whose record is not older than a log timestamp, by bisection."""
    low = log.start_offsets(partition.topic)[partition.n]
    high = log.end_offsets(partition.topic)[partition.n]
    while low < high:
        middle = (low + high) // 2
        found = log.read({partition: middle}, max_records=1)
        if not found or found[0].timestamp_ms >= timestamp_ms:
            high = middle
        else:
            low = found[0].offset + 1
    return low
