"""Hearing: which locations have been silent for longer than is usual for them.

What is usual is kept in one hash for all processes; whoever writes a location last, wins. A note that is lost so
is told once more with the next look, and what is lost for good costs a minute of what is usual: it is only watched
by, nothing is decided by it.
"""

import uuid
from collections.abc import Iterable, Mapping

import msgspec

from connectors.log.base import Partition
from flows.ingest.arrivals import Heard
from flows.runtime.context import Runtime
from monitoring import metrics
from state.demand import arrival_rhythm as silence
from state.demand.arrival_rhythm import EXPECTED, MINUTE_MS, Rhythm

LOOK_S = 10.0
DEAF_AFTER_MS, FORGOTTEN_AFTER_MS = 60_000, 600_000
"""A reader that says nothing for so long is not waited for; its note is removed."""

_READER = b"\x1f"
"""Begins the field of a reader; no id of a location does."""


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
