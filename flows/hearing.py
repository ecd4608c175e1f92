"""Hearing: which locations have been silent for longer than is usual for them.

What is usual is kept in one hash for all processes; whoever writes a location last, wins. A note that is lost so
is told once more with the next look, and what is lost for good costs a minute of what is usual: it is only watched
by, nothing is decided by it.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from connectors.log.base import Partition
from flows.runtime.context import Runtime
from monitoring import metrics
from state.demand import arrival_rhythm as silence
from state.demand.arrival_rhythm import EXPECTED, MINUTE_MS, Rhythm
from state.events.ops import COUNT, INCOMING, MOVE
from state.protocol.pack import NormalEvent

LOOK_S = 10.0
DEAF_AFTER_MS, FORGOTTEN_AFTER_MS = 60_000, 600_000
"""A reader that says nothing for so long is not waited for; its note is removed."""

_OF_A_LOCATION = frozenset((MOVE, COUNT, INCOMING))
_READER = b"\x1f"
"""Begins the field of a reader; no id of a location does."""


class Heard:
    """What a reader has heard since it was last asked: which location spoke in which minute, and how far it read.

    Costs one set of a batch, not one call an event.
    """

    def __init__(self, *, by_event: bool = False) -> None:
        self._by_event = by_event
        self._minutes: set[tuple[str, int]] = set()
        self.newest_ms: dict[Partition, int] = {}
        self.last_ms: dict[str, int] = {}
        """When each watched location was heard last, at the latest: the newest event of its batch tells."""
        self.spoke = False
        """One did that was silent."""
        self._watched: frozenset[str] = frozenset()
        self._silent: frozenset[str] = frozenset()

    def watch(self, watched: Iterable[str], silent: Iterable[str]) -> None:
        """Say which locations are watched, and which of them are silent."""
        self._watched, self._silent, self.spoke = frozenset(watched), frozenset(silent), False

    def note(self, events: Mapping[Partition, Sequence[NormalEvent]]) -> None:
        """Note the events of a batch that was applied."""
        for partition, mine in events.items():
            if not mine:
                continue
            if self._by_event:
                found = {
                    (e.ops[0][2], e.time_ms // MINUTE_MS)
                    for e in mine
                    if e.ops and e.ops[0][0] in _OF_A_LOCATION
                }
                self.newest_ms[partition] = mine[-1].time_ms
            else:
                found = {
                    (e.ops[0][2], e.log_ms // MINUTE_MS)
                    for e in mine
                    if e.ops and e.ops[0][0] in _OF_A_LOCATION
                }
                self.newest_ms[partition] = mine[-1].log_ms
            self._minutes |= found
            if self._watched:
                self._hear(found, self.newest_ms[partition])

    def _hear(self, found: Iterable[tuple[str, int]], newest_ms: int) -> None:
        """Note when watched locations spoke: no later than the end of the minute, and the newest of the batch."""
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


class Hearing:
    """Keeps what is usual, and says who is silent, for one reader."""

    def __init__(self, runtime: Runtime, heard: Heard) -> None:
        self._runtime = runtime
        self._heard = heard
        self._looked_s = 0.0
        self._before: dict[str, set[int]] = {}
        self._field = _READER + uuid.uuid4().hex.encode()
        self._added_up: dict[str, tuple[int, int, float]] = {}
        """By location: its newest event, until when silence was added up since, and what would have been usual."""

    def look(self, now_s: float, behind: Iterable[Partition], newest_ms: int) -> None:
        """Take down what was heard, and tell who is silent, if it is time to.

        `behind` are the partitions that are not read to their end, `newest_ms` the time up to which all is
        heard if there are none: the business time.
        """
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        runtime = self._runtime
        client, key = runtime.server.client, runtime.keys.silence()
        listed = runtime.policy.compiled.locations
        kept: dict[bytes, bytes] = client.hgetall(key)  # type: ignore[assignment]  # not awaited
        minutes = self._heard.take()
        changed: dict[str | bytes, bytes] = {}
        rhythms: dict[str, Rhythm] = {}
        for location in listed:
            text = kept.get(location.encode(), b"")
            rhythm = silence.decode(text)
            told = minutes.get(location, set()) | self._before.get(location, set())
            if told:
                rhythm = silence.heard(rhythm, told, self._timezone)
                if (written := silence.encode(rhythm)) != text:
                    changed[location] = written
            if rhythm is not None:
                rhythms[location] = rhythm
        self._before = minutes
        wall_ms = runtime.clock.now_ms()
        upto_ms = min((self._heard.newest_ms.get(each, 0) for each in behind), default=newest_ms)
        changed[self._field] = msgspec.msgpack.encode((upto_ms, wall_ms))
        client.hset(key, mapping=changed)  # type: ignore[arg-type]  # invariant in its stub
        self._tell(rhythms, min(upto_ms, self._others_ms(kept, wall_ms)))

    @property
    def _timezone(self) -> str:
        return self._runtime.policy.compiled.policy.timezone

    def _others_ms(self, kept: Mapping[bytes, bytes], wall_ms: int) -> int:
        """Return how far the slowest of the other readers has heard; forget those that are long gone."""
        found, gone = [], []
        for field, text in kept.items():
            if field.startswith(_READER) and field != self._field:
                upto_ms, said_ms = msgspec.msgpack.decode(text, type=tuple[int, int])
                if wall_ms - said_ms < DEAF_AFTER_MS:
                    found.append(upto_ms)
                elif wall_ms - said_ms > FORGOTTEN_AFTER_MS:
                    gone.append(field)
        if gone:
            self._runtime.server.client.hdel(self._runtime.keys.silence(), *gone)
        return min(found, default=1 << 62)

    def _tell(self, rhythms: Mapping[str, Rhythm], now_ms: int) -> None:
        silent = {
            location: now_ms - rhythm.newest_ms
            for location, rhythm in rhythms.items()
            if self._usual(location, rhythm, now_ms) >= EXPECTED
        }
        metrics.LOCATION_SILENT.put({(location,): ms / 1000 for location, ms in silent.items()})
        metrics.LOCATIONS_SILENT.set(len(silent))

    def _usual(self, location: str, rhythm: Rhythm, now_ms: int) -> float:
        """Return in how many minutes it would have spoken since; adds up only what passed since the last look."""
        newest_ms, until_ms, usual = self._added_up.get(location, (0, 0, 0.0))
        if newest_ms != rhythm.newest_ms:
            newest_ms, until_ms, usual = rhythm.newest_ms, rhythm.newest_ms + MINUTE_MS, 0.0
        if now_ms > until_ms:
            usual += silence.expected(rhythm, until_ms, now_ms, self._timezone)
            until_ms = now_ms
        self._added_up[location] = (newest_ms, until_ms, usual)
        return usual
