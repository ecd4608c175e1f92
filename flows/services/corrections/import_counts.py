"""Importing: a file of what stock is where becomes counts in the log.

Delivery guarantee: an event's id follows from its location, its time and its lines, so that what is sent again counts
once. `unavailable` is a plain sum of changes and has no count: what a position lacks of it, or has too much, is set
aside or released by `wms.quality`. Its id follows from the version of each SKU that the difference was taken from:
an import that is repeated before the first was applied finds the same version, and counts once as well.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

import orjson

from connectors.config.positions_file import Positions
from connectors.log.base import Outgoing
from connectors.messages.cloudevents import STRUCTURED, structured
from state.events.messages import WMS_RECEIPTS
from state.events.timestamps import ms_rfc3339
from state.protocol.figures import SkuState
from state.store.shards import Store

SOURCE: Final = "/penstock/import"
LINES: Final = 500
"""Of one event: half of what one may have, so that the calls to a shard stay short."""
CHUNK: Final = 500

_Line = tuple[str, int, int]
"""SKU, units, and the version of the SKU that they were worked out from."""


@dataclass(slots=True)
class Plan:
    """What is to be sent: lines by location, and by location and stage of `wms.quality`."""

    as_of_ms: int
    counts: dict[str, list[_Line]]
    quality: dict[tuple[str, str], list[_Line]]
    emptied: int = 0
    """Positions that the file does not name, at locations of which it names everything."""

    @property
    def positions(self) -> int:
        """How many positions are counted."""
        return sum(map(len, self.counts.values()))

    @property
    def set_aside(self) -> int:
        """Of how many positions units are set aside or released."""
        return sum(map(len, self.quality.values()))

    def events(self) -> Iterator[tuple[Outgoing, int]]:
        """Yield the messages in a fixed order, and how many lines each has."""
        as_of = ms_rfc3339(self.as_of_ms)
        for location, lines in sorted(self.counts.items()):
            for some in _chunks(sorted(lines)):
                attributes = {"location": location, "counted_at": as_of}
                yield self._event("wms.count", attributes, location, some), len(some)
        for (location, stage), lines in sorted(self.quality.items()):
            for some in _chunks(sorted(lines)):
                attributes = {"location": location, "stage": stage}
                yield self._event("wms.quality", attributes, location, some), len(some)

    def _event(
        self, kind: str, attributes: dict[str, str], location: str, lines: list[_Line]
    ) -> Outgoing:
        versioned = kind == "wms.quality"
        facts = [line if versioned else line[:2] for line in lines]
        # Of a difference the versions identify its base; of a count its time belongs to the fact.
        identity = (kind, attributes, facts)
        digest = hashlib.sha256(orjson.dumps(identity)).hexdigest()[:24]
        data: dict[str, Any] = {
            **attributes,
            "lines": [{"sku": sku, "quantity": units} for sku, units, _ in lines],
        }
        value = structured(f"{location}:{digest}", SOURCE, kind, self.as_of_ms, data)
        return Outgoing(WMS_RECEIPTS, location.encode(), value, STRUCTURED)


def plan(
    found: Positions,
    as_of_ms: int,
    store: Store,
    complete: Iterable[str] = (),
    progress: Callable[[int], None] = lambda _count: None,
) -> Plan:
    """Work out the events of an import. Nothing is sent.

    Args:
        found: by location and SKU, checked.
        as_of_ms: when it was there.
        store: returns what is unavailable now, and what else is at the locations that are `complete`.
        complete: locations that have no stock besides what the file names.
        progress: is called with how many SKUs were read since its last call.
    """
    counts = {
        location: [(sku, counted.on_hand, 0) for sku, counted in there.items()]
        for location, there in found.items()
    }
    made = Plan(as_of_ms, counts, defaultdict(list))
    # What is at hand of a position that the file says has this much unavailable, until the store says otherwise.
    wanted = {
        (location, sku): counted.unavailable
        for location, there in found.items()
        for sku, counted in there.items()
        if counted.unavailable is not None
    }
    whole = frozenset(complete)
    skus = dict.fromkeys(sku for _, sku in wanted)
    for state in _states(chain(skus, store.skus()) if whole else skus, store, progress):
        for position in state.positions:
            here = (position.location, state.sku)
            if position.location in whole and state.sku not in found.get(position.location, {}):
                made.counts.setdefault(position.location, []).append((state.sku, 0, 0))
                made.emptied += 1
                wanted[here] = 0
            units = wanted.pop(here, None)
            if units is not None:
                _set_aside(made, here, units - position.unavailable, state.version)
    for here, units in wanted.items():
        _set_aside(made, here, units, 0)
    return made


def _set_aside(made: Plan, here: tuple[str, str], units: int, version: int) -> None:
    location, sku = here
    if units:
        stage = "hold" if units > 0 else "release"
        made.quality[location, stage].append((sku, abs(units), version))


def _states(
    skus: Iterable[str], store: Store, progress: Callable[[int], None]
) -> Iterator[SkuState]:
    seen: set[str] = set()
    rest = iter(skus)
    while some := list(islice(rest, CHUNK)):
        new = [sku for sku in dict.fromkeys(some) if sku not in seen]
        seen.update(new)
        yield from filter(None, store.read_many(new))
        progress(len(new))


def _chunks(lines: list[_Line]) -> Iterator[list[_Line]]:
    for at in range(0, len(lines), LINES):
        yield lines[at : at + LINES]
