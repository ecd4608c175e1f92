"""Sources that ask for their next item, and the sink at the end of a flow.

Delivery guarantee: the engine hands on what `ask` returned, once and in order, in the process that asked; it keeps no
copy. What must survive a crash is in the log and in the store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Poll(Generic[Item]):
    """How a source is asked."""

    ask: Callable[[], Item | None]
    """Return the next item, None when there is none yet; raise StopIteration at the end of the source."""
    pause: Callable[[], timedelta | None]
    """Return how long to wait before the next `ask`, None to ask at once."""


class PollingSource(DynamicSource[Item]):
    """A source that polls: each worker makes its own `Poll`."""

    def __init__(self, make: Callable[[], Poll[Item]]) -> None:
        self._make = make

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "_Polled[Item]":
        """Make the source of one worker."""
        return _Polled(self._make())


class _Polled(StatelessSourcePartition[Item]):
    def __init__(self, poll: Poll[Item]) -> None:
        self._poll = poll

    def next_batch(self) -> list[Item]:
        item = self._poll.ask()
        return [] if item is None else [item]

    def next_awake(self) -> datetime | None:
        pause = self._poll.pause()
        return None if pause is None else datetime.now(UTC) + pause


class NullSink(DynamicSink[object]):
    """The end of a flow whose steps have done all that counts."""

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "_Nothing":
        """Make the sink of one worker."""
        return _Nothing()


class _Nothing(StatelessSinkPartition[object]):
    def write_batch(self, items: list[object]) -> None:
        """Write nothing."""
