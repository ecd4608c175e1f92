"""Holding the player back when the engine is behind, and saying for how long.

A real shop does not wait for the engine; a demo on a small machine may have to, or it would only show
a queue. What was held back is reported in the result, and `--speed max` never holds back.
"""

import time
from collections import deque
from collections.abc import Sequence

from connectors.log.base import Appended, Partition
from flows.demo.events import StreamEvent
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from state.protocol.common import ABSENT

LINES_MAX = 3_000
"""Lines appended and not applied."""
DUE_AGE_MAX_MS = 120
"""For how long, after it has gathered its changes, the SKU that is due longest may wait."""
LOOK_EVERY_S = 0.02


class Governor:
    """Knows what was appended, asks the store what was applied and published."""

    def __init__(self, runtime: Runtime) -> None:
        self.held_s = 0.0
        self._runtime = runtime
        self._ids: dict[str, str] = {}
        self._open: dict[Partition, deque[tuple[int, int]]] = {}
        self._lines = 0
        self._looked_s = 0.0

    def appended(self, events: Sequence[StreamEvent], places: Sequence[Appended]) -> None:
        """Note a batch, and hold the caller while the engine is behind."""
        for event, place in zip(events, places, strict=True):
            waiting = self._open.setdefault(Partition(place.topic, place.partition), deque())
            waiting.append((place.offset, event.lines))
            self._lines += event.lines
        began = time.monotonic()
        if self._lines <= LINES_MAX and began - self._looked_s < LOOK_EVERY_S:
            return
        while self._is_behind():
            time.sleep(LOOK_EVERY_S)
        self._looked_s = time.monotonic()
        self.held_s += self._looked_s - began

    def _is_behind(self) -> bool:
        store = self._runtime.store
        marks = store.marks()
        for partition, waiting in self._open.items():
            mark = f"{self._log_id(partition.topic)}/{partition.n}"
            # Shards without lines of an event pass it only with the next tick: the newest watermark says more.
            applied = max(shard.get(mark, ABSENT) for shard in marks)
            while waiting and waiting[0][0] <= applied:
                self._lines -= waiting.popleft()[1]
        if self._lines > LINES_MAX:
            return True
        oldest_ms = store.oldest_due_ms()
        return (
            oldest_ms > 0 and now_ms() - oldest_ms > DUE_AGE_MAX_MS + self._runtime.settings.tick_ms
        )

    def _log_id(self, topic: str) -> str:
        if topic not in self._ids:
            self._ids[topic] = self._runtime.log.log_id(topic)
        return self._ids[topic]
