"""Arrivals: when each location last sent an event."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from connectors.log.base import Partition
from state.demand.arrival_rhythm import MINUTE_MS
from state.events.ops import COUNT, INCOMING, MOVE
from state.protocol.pack import NormalEvent

_OF_A_LOCATION = frozenset((MOVE, COUNT, INCOMING))


class Arrivals:
    """The arrivals of one reader since it was last asked: which location sent an event when, and how far it read.

    Costs one set of a batch, not one call an event.
    """

    def __init__(self, *, by_event: bool = False) -> None:
        self._by_event = by_event
        self._minutes: set[tuple[str, int]] = set()
        self.newest_ms: dict[Partition, int] = {}
        self.last_ms: dict[str, int] = {}
        """The last arrival of each watched location, at the latest: the newest event of its batch counts."""
        self.spoke = False
        """A location that was silent has sent an event."""
        self._watched: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()

    def watch(self, watched: Iterable[str], silent: Iterable[str]) -> None:
        """Say which locations are watched, and which of them are silent."""
        self._watched, self._silent, self.spoke = frozenset(watched), frozenset(silent), False

    def note(self, events: Mapping[Partition, Sequence[NormalEvent]]) -> None:
        """Note the events of a batch that was applied."""
        for partition, own in events.items():
            if not own:
                continue
            if self._by_event:
                found = {
                    (e.ops[0][2], e.time_ms // MINUTE_MS)
                    for e in own
                    if e.ops and e.ops[0][0] in _OF_A_LOCATION
                }
                self.newest_ms[partition] = own[-1].time_ms
            else:
                found = {
                    (e.ops[0][2], e.log_ms // MINUTE_MS)
                    for e in own
                    if e.ops and e.ops[0][0] in _OF_A_LOCATION
                }
                self.newest_ms[partition] = own[-1].log_ms
            self._minutes |= found
            if self._watched:
                self._arrive(found, self.newest_ms[partition])

    def _arrive(self, found: Iterable[tuple[str, int]], newest_ms: int) -> None:
        """Note when watched locations sent an event: at most the end of the minute, and the newest of the batch."""
        for location, minute in found:
            if location in self._watched:
                at_ms = min((minute + 1) * MINUTE_MS - 1, newest_ms)
                self.last_ms[location] = max(at_ms, self.last_ms.get(location, 0))
                self.spoke = self.spoke or location in self._silent

    def take(self) -> dict[str, set[int]]:
        """Return the minutes by location, and forget them."""
        taken, self._minutes = self._minutes, set()
        minutes: dict[str, set[int]] = defaultdict(set)
        for location, minute in taken:
            minutes[location].add(minute)
        return minutes
