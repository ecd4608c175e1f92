"""The figures of one SKU in memory: positions, class sums, movements under counts, demand, alerts.

Plain sums, so that the order in which movements, counts and announcements arrive changes nothing.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from state.demand.velocity import BUCKET_DAYS
from state.durations import DAY_MS
from state.protocol.claim import Gate
from state.protocol.common import LocationTerms
from state.protocol.figures import MOVEMENTS_KEPT, MOVEMENTS_WINDOW_MS, Position
from state.rules.exclusions import uncounted


@dataclass(slots=True)
class PositionRecord:
    """The quantities of the SKU at one location."""

    on_hand: int = 0
    reserved: int = 0
    unavailable: int = 0
    incoming: int = 0
    counted: tuple[int, int] | None = None
    """Time (ms) and quantity of the newest count."""
    movements: tuple[tuple[int, int], ...] = ()
    """(event time, delta) of the recent movements that changed `on_hand`, oldest first."""
    evicted_ms: int = 0
    """Event time of the newest movement that is no longer kept, 0 for none."""

    def atp(self) -> int:
        """Return what is available to promise."""
        return self.on_hand - self.reserved - self.unavailable

    def contribution(self, floor: int) -> int:
        """Return what the location gives to a pool: its ATP above `floor`, never less than 0."""
        return max(0, self.atp() - floor)

    def has_figures(self) -> bool:
        """Say whether there is more to it than a history."""
        figures = (self.on_hand, self.reserved, self.unavailable, self.incoming)
        return any(figures) or self.counted is not None

    def listed(self, location: str) -> Position:
        """Return the figures as the outside sees them."""
        counted_at_ms = self.counted[0] if self.counted else None
        return Position(
            location, self.on_hand, self.reserved, self.unavailable, self.incoming, counted_at_ms
        )

    def is_empty(self) -> bool:
        """Say whether nothing is known of the location."""
        return self == PositionRecord()

    def moved(self, time_ms: int, delta: int) -> "PositionRecord":
        """Return the position after a movement of `on_hand`; it keeps what is recent."""
        movements = list(self.movements)
        movements.insert(
            bisect_right(movements, time_ms, key=lambda movement: movement[0]), (time_ms, delta)
        )
        oldest_kept = movements[-1][0] - MOVEMENTS_WINDOW_MS
        evicted_ms = self.evicted_ms
        while len(movements) > MOVEMENTS_KEPT or movements[0][0] < oldest_kept:
            evicted_ms = max(evicted_ms, movements.pop(0)[0])
        return replace(
            self,
            on_hand=self.on_hand + delta,
            movements=tuple(movements),
            evicted_ms=evicted_ms,
        )

    def laid_on(self, time_ms: int, quantity: int) -> "PositionRecord":
        """Return the position after a count: later movements are added to it."""
        later = tuple(movement for movement in self.movements if movement[0] > time_ms)
        return replace(
            self,
            on_hand=quantity + sum(delta for _, delta in later),
            counted=(time_ms, quantity),
            movements=later,
            evicted_ms=self.evicted_ms if self.evicted_ms > time_ms else 0,
        )


@dataclass(frozen=True, slots=True)
class Before:
    """Figures of a SKU before a call: alerts name the call by which they fell below zero."""

    available: int
    on_hand: Mapping[str, int]
    queued: bool
    """Changed before and not claimed since, so that it is due already."""


@dataclass(slots=True)
class SkuRecord:
    """All figures of one SKU."""

    revision: int
    """Policy revision that the sums were made under, 0 when other floors got into them."""
    version: int = 0
    newest_ms: int = 0
    unrouted: int = 0
    held: int = 0
    base: int = 0
    """Sum of `max(0, ATP)` over the locations that count for `available`."""
    cause_ms: int = 0
    """Log timestamp of the oldest change not yet claimed, 0 when none."""
    sums: dict[int, int] = field(default_factory=dict)
    """By class."""
    demand: dict[int, int] = field(default_factory=dict)
    """Units by UTC day."""
    positions: dict[str, PositionRecord] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    last: str = ""
    """The event that touched it last: `<watermark>/<offset>`."""

    def available(self) -> int:
        """Return what all channels together may sell; below 0 = oversold."""
        return self.base - self.unrouted - self.held

    def before(self) -> Before:
        """Return what the alerts and the due queue compare with at the end of a call."""
        on_hand = {location: position.on_hand for location, position in self.positions.items()}
        return Before(self.available(), on_hand, self.cause_ms > 0)

    def touch(self, time_ms: int, log_ms: int, last: str) -> None:
        """Note an event that names this SKU."""
        self.newest_ms = max(self.newest_ms, time_ms)
        self.cause_ms = min(self.cause_ms, log_ms) if self.cause_ms else log_ms
        self.last = last

    def move(
        self, terms: LocationTerms, time_ms: int, delta: int, unavailable: int, revision: int
    ) -> bool:
        """Move the figures of one position. Return whether a count had seen the movement."""
        before = self._position(terms.location)
        absorbed = bool(delta and before.counted and time_ms <= before.counted[0])
        after = before.moved(time_ms, delta) if delta and not absorbed else before
        after = replace(after, unavailable=before.unavailable + unavailable)
        self._put(terms, after, revision)
        return absorbed

    def count(self, terms: LocationTerms, time_ms: int, quantity: int, revision: int) -> None:
        """Apply a count under the movements newer than it. An older count changes nothing."""
        before = self._position(terms.location)
        if before.counted and (-time_ms, quantity) >= (-before.counted[0], before.counted[1]):
            return
        if before.evicted_ms > time_ms:
            self.alerts[f"drift:{terms.location}"] = f"{time_ms} {self.last}"
        self._put(terms, before.laid_on(time_ms, quantity), revision)

    def reserve(self, terms: LocationTerms, units: int, revision: int) -> None:
        """Take units of a position, or give them back; sums of another revision than the terms are given up."""
        if self.revision != revision:
            self.revision = 0
        before = self._position(terms.location)
        self._put(terms, replace(before, reserved=before.reserved + units), revision)

    def announce(self, location: str, moved: int) -> None:
        """Move `incoming` of a location."""
        self.positions.setdefault(location, PositionRecord()).incoming += moved

    def sell(self, time_ms: int, units: int) -> None:
        """Count units as demand of their day."""
        day = time_ms // DAY_MS
        self.demand[day] = self.demand.get(day, 0) + units

    def rebuild(self, places: Mapping[str, LocationTerms], revision: int) -> bool:
        """Recompute the sums. Do nothing, and return False, when there is stock at a location not listed."""
        if any(p.contribution(0) for where, p in self.positions.items() if where not in places):
            return False
        self.sums, self.base, self.revision = {}, 0, revision
        for location, terms in places.items():
            if position := self.positions.get(location):
                self._add(terms, position.contribution(terms.floor), position.contribution(0))
        return True

    def finish(self, before: Before, revision: int) -> None:
        """Close a call: raise alerts, forget what weighs nothing any more."""
        for location, position in self.positions.items():
            if position.on_hand < 0 <= before.on_hand.get(location, 0):
                self.alerts[f"negative:{location}"] = f"{position.on_hand} {self.last}"
        self.drop_empty()
        if self.revision != revision:
            self.revision = 0
        elif self.available() < 0 <= before.available:
            self.alerts["oversold:"] = f"{self.available()} {self.last}"
        if self.demand:
            oldest = max(self.demand) - BUCKET_DAYS
            self.demand = {day: units for day, units in self.demand.items() if day > oldest}

    def drop_empty(self) -> None:
        """Forget the positions of which nothing is known."""
        empty = [name for name, position in self.positions.items() if position.is_empty()]
        for name in empty:
            del self.positions[name]

    def days(self) -> tuple[tuple[int, int], ...]:
        """Return (UTC day, units), newest first."""
        return tuple(sorted(self.demand.items(), reverse=True))

    def vector(self) -> tuple[int, ...]:
        """Return the sums in the order of the classes."""
        return tuple(self.sums.get(klass, 0) for klass in range(max(self.sums, default=-1) + 1))

    def listed(self) -> tuple[Position, ...]:
        """Return the positions by location."""
        return tuple(
            position.listed(location)
            for location, position in sorted(self.positions.items())
            if position.has_figures()
        )

    def listed_at(self, locations: Sequence[str]) -> tuple[Position, ...]:
        """Return those of the positions at some locations that are known."""
        return tuple(self.positions[w].listed(w) for w in locations if w in self.positions)

    def is_closed(self, gate: Gate, levels: str) -> bool:
        """Say whether a channel has no level yet, for it never had one and a location was not counted."""
        counted = {w for w, position in self.positions.items() if position.counted is not None}
        return bool(uncounted(counted, gate.locations)) and gate.needle not in levels

    def _position(self, location: str) -> PositionRecord:
        return self.positions.get(location) or PositionRecord()

    def _put(self, terms: LocationTerms, after: PositionRecord, revision: int) -> None:
        """Store a position, and move the sums by the difference if they are of this revision."""
        before = self._position(terms.location)
        self.positions[terms.location] = after
        if self.revision == revision:
            self._add(
                terms,
                after.contribution(terms.floor) - before.contribution(terms.floor),
                after.contribution(0) - before.contribution(0),
            )

    def _add(self, terms: LocationTerms, contribution: int, base: int) -> None:
        self.sums[terms.klass] = self.sums.get(terms.klass, 0) + contribution
        self.base += terms.base * base
