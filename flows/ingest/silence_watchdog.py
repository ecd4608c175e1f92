"""The silence watchdog: excludes a location from availability while it is silent though it has to send events.

The last arrival of each watched location is kept in one hash for all readers, with the progress of each reader. A
location is silent when it was open for as long as it may be silent since its last event, up to the time that every
reader has reached. It counts again with its first event.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

import structlog

from connectors.log.base import Partition
from flows.ingest.arrivals import Arrivals
from flows.runtime.context import Runtime
from flows.services.policy.overlay import change_overlay
from monitoring import metrics
from state.policy.document import Location
from state.policy.opening_hours import open_ms
from state.policy.overlay import SILENT_MAX, change_silent
from state.protocol.pack import Chain

BEGIN_S: Final = 5.0
"""A reader that has just taken up partitions decides nothing yet: other readers may still have to take up theirs."""

_log = structlog.get_logger(__name__)


class SilenceWatchdog:
    """Finds silent locations for one reader. `look` at each tick, when nothing is in flight."""

    def __init__(self, runtime: Runtime, arrivals: Arrivals, reader: str) -> None:
        self._runtime = runtime
        self._arrivals = arrivals
        self._progress = runtime.shared.arrivals(reader)
        self._began_s = 0.0
        self._partitions: frozenset[Partition] = frozenset()
        self._watched: tuple[int, dict[str, Location]] = (-1, {})

    def look(self, now_s: float, chains: Mapping[Partition, Chain], newest_ms: int) -> None:
        """Note the arrivals; exclude locations that fell silent, and include those that sent an event again.

        `newest_ms` is the time up to which all is read when every partition is read to its end: the business time.
        """
        watched = self._locations()
        self._arrivals.watch(watched.keys(), self._runtime.policy.silent)
        if not watched:
            self._report({})
            return
        if chains.keys() != self._partitions:
            self._partitions, self._began_s = frozenset(chains), now_s
        last, upto_ms = self._last_arrivals(watched, self._read_upto_ms(chains, newest_ms))
        is_new = not chains or now_s - self._began_s < BEGIN_S
        fell = {} if is_new else self._silent(watched, last, upto_ms)
        self._report(fell)
        self._exclude(watched, last, fell)

    def leave(self) -> None:
        """Let no other reader wait for this one any more."""
        if self._watched[1]:
            self._progress.leave()

    def _locations(self) -> dict[str, Location]:
        """Return the locations that have to send events, by their ids."""
        policy = self._runtime.policy
        if self._watched[0] != policy.revision:
            found = policy.of_file.locations
            watched = {each.id: each for each in found if each.silent_after_s is not None}
            self._watched = (policy.revision, watched)
        return self._watched[1]

    def _read_upto_ms(self, chains: Mapping[Partition, Chain], newest_ms: int) -> int:
        """Return up to when this reader has read everything."""
        ends = self._runtime.log.ends(chains.keys()) if chains else {}
        behind = [each for each, end in ends.items() if chains[each].position < end - 1]
        return min((self._arrivals.newest_ms.get(each, 0) for each in behind), default=newest_ms)

    def _last_arrivals(self, watched: Iterable[str], upto_ms: int) -> tuple[dict[str, int], int]:
        """Write this reader's arrivals; return the last of each location, and how far the slowest reader has read."""
        own, now_ms = self._arrivals.last_ms, self._runtime.clock.now_ms()
        fields = self._progress.read()
        last: dict[str, int] = {}
        changed: dict[str, bytes | int] = {}
        for location in watched:
            known = int(fields.get(location.encode(), 0))
            # A location without any arrival has to send an event from now on.
            last[location] = max(known, own.get(location, 0)) or upto_ms
            if last[location] > known:
                changed[location] = last[location]
        self._progress.write(changed, upto_ms, now_ms)
        slowest_ms = self._progress.slowest_ms(fields, now_ms)
        return last, upto_ms if slowest_ms is None else min(upto_ms, slowest_ms)

    def _silent(
        self, watched: Mapping[str, Location], last: Mapping[str, int], upto_ms: int
    ) -> dict[str, int]:
        """Return the locations that are silent for too long, with their last events."""
        timezone = self._runtime.policy.of_file.timezone
        found = {}
        for name, location in watched.items():
            allowed_ms = (location.silent_after_s or 0) * 1000
            passed_ms = upto_ms - last[name]
            if (
                passed_ms >= allowed_ms
                and open_ms(location.hours, timezone, last[name], upto_ms) >= allowed_ms
            ):
                found[name] = last[name]
        return found

    def _exclude(
        self, watched: Mapping[str, Location], last: Mapping[str, int], fell: Mapping[str, int]
    ) -> None:
        overlay = self._runtime.policy.overlay
        spoke = [
            name for name, ms in overlay.silent.items() if name not in watched or last[name] > ms
        ]
        new = {name: ms for name, ms in fell.items() if name not in overlay.silent}
        room = SILENT_MAX - len(overlay.silent) + len(spoke)
        if not spoke and not (new and room > 0):
            return
        if change_overlay(self._runtime, partial(change_silent, fell=new, spoke=spoke)):
            left_out = self._runtime.policy.silent
            self._arrivals.watch(watched.keys(), left_out)
            for name in sorted(set(left_out) - overlay.silent.keys()):
                _log.warning("location left out", location=name, heard_ms=last[name])
            for name in sorted(overlay.silent.keys() - set(left_out)):
                _log.warning("location counts again", location=name)

    def _report(self, fell: Mapping[str, int]) -> None:
        left_out = self._runtime.policy.silent
        metrics.LOCATION_LEFT_OUT.put({(location,): 1 for location in left_out})
        metrics.LOCATIONS_KEPT.set(len(fell.keys() - set(left_out)))
