"""Read a topic on: what follows from a position, again and again.

Delivery: each record of a partition once and in order. Records that were trimmed before they could be read are a gap.
"""

from collections.abc import Callable
from typing import Final

from connectors.log.base import Log, OffsetOutOfRange, Partition, Record
from flows.runtime.retry import retry_until_available

WAIT_MS: Final = 200


class TopicTail:
    """The position in each partition of a topic: at its start, or at its end when this is made."""

    def __init__(
        self, log: Log, topic: str, gap: Callable[[OffsetOutOfRange], None], *, from_start: bool
    ) -> None:
        """`gap` gets each gap before the reading goes on behind it."""
        self._log, self._gap = log, gap
        offsets = log.start_offsets(topic) if from_start else log.end_offsets(topic)
        self._positions = {Partition(topic, n): offset for n, offset in offsets.items()}

    def read(self) -> list[Record]:
        """Return what follows, nothing if nothing came for `WAIT_MS`; wait while the log is unavailable.

        Raises:
            Stopped: the process was asked to stop meanwhile.
        """
        return retry_until_available(self._read)

    def _read(self) -> list[Record]:
        try:
            records = self._log.read(self._positions, wait_ms=WAIT_MS)
        except OffsetOutOfRange as error:
            self._gap(error)
            self._positions[error.partition] = error.start
            return []
        for record in records:
            self._positions[Partition(record.topic, record.partition)] = record.offset + 1
        return records
