"""Watching: locations that have to speak while they are open, and do not count while they are silent.

When each was heard last lies in one hash for all readers; there a reader also says how far it has heard. A location is
silent when it was open for as long as it may be silent since its last event, up to the moment that every reader has
heard. It counts again with its first event.
"""

import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

import msgspec
import structlog

from connectors.log.base import Partition
from flows.ingest.arrivals import Heard
from flows.runtime.context import Runtime
from flows.services.policy.overlay import steer
from monitoring import metrics
from state.policy.document import Location
from state.policy.opening_hours import open_ms
from state.policy.overlay import SILENT_MAX, change_silent
from state.protocol.pack import Chain

BEGIN_S: Final = 5.0
"""A reader that has just taken up partitions says nothing yet: others may be without one."""
DEAF_AFTER_MS: Final = 30_000
"""A reader that says nothing for so long is not waited for; its note is removed."""

_READER: Final = b"\x1f"
"""Begins the field of a reader; no id of a location does."""

_log = structlog.get_logger(__name__)


class Watching:
    """Tells for one reader which locations are silent. `look` at each tick, when nothing is under way."""

    def __init__(self, runtime: Runtime, heard: Heard) -> None:
        self._runtime = runtime
        self._heard = heard
        self._field = _READER + uuid.uuid4().hex.encode()
        self._began_s = 0.0
        self._partitions: frozenset[Partition] = frozenset()
        self._watched: tuple[int, dict[str, Location]] = (-1, {})

    def look(self, now_s: float, chains: Mapping[Partition, Chain], newest_ms: int) -> None:
        """Note what was heard, and leave out, or take back, what fell silent or spoke.

        `newest_ms` is the time up to which all is heard when every partition is read to its end: the business time.
        """
        runtime, heard = self._runtime, self._heard
        watched = self._locations()
        heard.watch(watched.keys(), runtime.policy.silent)
        if not watched:
            self._tell({})
            return
        if chains.keys() != self._partitions:
            self._partitions, self._began_s = frozenset(chains), now_s
        now_ms = self._heard_upto_ms(chains, newest_ms)
        last = self._exchange(watched, now_ms)
        upto_ms = min(now_ms, last.pop("", now_ms))
        is_new = not chains or now_s - self._began_s < BEGIN_S
        fell = {} if is_new else self._silent(watched, last, upto_ms)
        self._tell(fell)
        self._steer(watched, last, fell)

    def leave(self) -> None:
        """Let nobody wait for this reader any more."""
        if self._watched[1]:
            self._runtime.server.client.hdel(self._runtime.keys.heard(), self._field)

    def _locations(self) -> dict[str, Location]:
        """Return the locations that have to speak, by their ids."""
        policy = self._runtime.policy
        if self._watched[0] != policy.revision:
            found = policy.of_file.locations
            watched = {each.id: each for each in found if each.silent_after_s is not None}
            self._watched = (policy.revision, watched)
        return self._watched[1]

    def _heard_upto_ms(self, chains: Mapping[Partition, Chain], newest_ms: int) -> int:
        """Return up to when this reader has heard everything."""
        ends = self._runtime.log.ends(chains.keys()) if chains else {}
        behind = [each for each, end in ends.items() if chains[each].position < end - 1]
        return min((self._heard.newest_ms.get(each, 0) for each in behind), default=newest_ms)

    def _exchange(self, watched: Iterable[str], upto_ms: int) -> dict[str, int]:
        """Tell what was heard here, and return when each location was heard last anywhere.

        Under "" stands up to when the slowest of the other readers has heard everything, if there is one.
        """
        runtime, mine = self._runtime, self._heard.last_ms
        client, key, wall_ms = runtime.server.client, runtime.keys.heard(), runtime.clock.now_ms()
        kept: dict[bytes, bytes] = client.hgetall(key)  # type: ignore[assignment]  # not awaited
        last: dict[str, int] = {}
        changed: dict[bytes, bytes | int] = {}
        for location in watched:
            known = int(kept.get(location.encode(), 0))
            # Who was never heard has to speak from now on.
            last[location] = max(known, mine.get(location, 0)) or upto_ms
            if last[location] > known:
                changed[location.encode()] = last[location]
        changed[self._field] = msgspec.msgpack.encode((upto_ms, wall_ms))
        client.hset(key, mapping=changed)  # type: ignore[arg-type]  # invariant in its stub
        for field, text in kept.items():
            if field.startswith(_READER) and field != self._field:
                their_ms, said_ms = msgspec.msgpack.decode(text, type=tuple[int, int])
                if wall_ms - said_ms < DEAF_AFTER_MS:
                    last[""] = min(last.get("", their_ms), their_ms)
                else:
                    client.hdel(key, field)
        return last

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

    def _steer(
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
        if steer(self._runtime, partial(change_silent, fell=new, spoke=spoke)):
            left_out = self._runtime.policy.silent
            self._heard.watch(watched.keys(), left_out)
            for name in sorted(set(left_out) - overlay.silent.keys()):
                _log.warning("location left out", location=name, heard_ms=last[name])
            for name in sorted(overlay.silent.keys() - set(left_out)):
                _log.warning("location counts again", location=name)

    def _tell(self, fell: Mapping[str, int]) -> None:
        left_out = self._runtime.policy.silent
        metrics.LOCATION_LEFT_OUT.put({(location,): 1 for location in left_out})
        metrics.LOCATIONS_KEPT.set(len(fell.keys() - set(left_out)))
