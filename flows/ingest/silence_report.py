"""The silence report: which locations have been silent for longer than is usual for them. It only feeds metrics.

The arrival baseline of each location is kept in one hash for all readers; the last writer wins. A lost write is
repeated with the next report; what is lost for good costs a minute of the baseline, on which nothing is decided.
"""

from collections.abc import Iterable, Mapping

from connectors.log.base import Partition
from flows.ingest.arrivals import Arrivals
from flows.runtime.context import Runtime
from monitoring import metrics
from state.demand import arrival_rhythm
from state.demand.arrival_rhythm import EXPECTED, MINUTE_MS, Rhythm

LOOK_S = 10.0


class SilenceReport:
    """Keeps the arrival baselines, and reports silent locations, for one reader."""

    def __init__(self, runtime: Runtime, arrivals: Arrivals, reader: str) -> None:
        self._runtime = runtime
        self._arrivals = arrivals
        self._progress = runtime.shared.arrival_rhythms(reader)
        self._looked_s = 0.0
        self._before: dict[str, set[int]] = {}
        self._added_up: dict[str, tuple[int, int, float]] = {}
        """By location: its newest event, until when silence was added up since, and what would have been usual."""

    def look(self, now_s: float, behind: Iterable[Partition], newest_ms: int) -> None:
        """Write down the arrivals, and report which locations are silent, if it is time to.

        `behind` are the partitions that are not read to their end, `newest_ms` the time up to which all is
        read if there are none: the business time.
        """
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        fields, wall_ms = self._progress.read(), self._runtime.clock.now_ms()
        changed, rhythms = self._brought_up_to_date(fields)
        newest = self._arrivals.newest_ms
        upto_ms = min((newest.get(each, 0) for each in behind), default=newest_ms)
        self._progress.write(changed, upto_ms, wall_ms)
        slowest_ms = self._progress.slowest_ms(fields, wall_ms)
        self._report(rhythms, upto_ms if slowest_ms is None else min(upto_ms, slowest_ms))

    def _brought_up_to_date(
        self, fields: Mapping[bytes, bytes]
    ) -> tuple[dict[str, bytes], dict[str, Rhythm]]:
        """Return the baselines that the new arrivals change, as written, and all baselines."""
        minutes = self._arrivals.take()
        changed: dict[str, bytes] = {}
        rhythms: dict[str, Rhythm] = {}
        for location in self._runtime.policy.compiled.locations:
            text = fields.get(location.encode(), b"")
            rhythm = arrival_rhythm.decode(text)
            arrived = minutes.get(location, set()) | self._before.get(location, set())
            if arrived:
                rhythm = arrival_rhythm.heard(rhythm, arrived, self._timezone)
                if (written := arrival_rhythm.encode(rhythm)) != text:
                    changed[location] = written
            if rhythm is not None:
                rhythms[location] = rhythm
        self._before = minutes
        return changed, rhythms

    @property
    def _timezone(self) -> str:
        return self._runtime.policy.compiled.policy.timezone

    def _report(self, rhythms: Mapping[str, Rhythm], now_ms: int) -> None:
        silent = {
            location: now_ms - rhythm.newest_ms
            for location, rhythm in rhythms.items()
            if self._usual(location, rhythm, now_ms) >= EXPECTED
        }
        metrics.LOCATION_SILENT.put({(location,): ms / 1000 for location, ms in silent.items()})
        metrics.LOCATIONS_SILENT.set(len(silent))

    def _usual(self, location: str, rhythm: Rhythm, now_ms: int) -> float:
        """Return in how many minutes it would usually have sent an event since; adds up only new time."""
        newest_ms, until_ms, usual = self._added_up.get(location, (0, 0, 0.0))
        if newest_ms != rhythm.newest_ms:
            newest_ms, until_ms, usual = rhythm.newest_ms, rhythm.newest_ms + MINUTE_MS, 0.0
        if now_ms > until_ms:
            usual += arrival_rhythm.expected(rhythm, until_ms, now_ms, self._timezone)
            until_ms = now_ms
        self._added_up[location] = (newest_ms, until_ms, usual)
        return usual
