"""What the peers in Python share: an event as it is read, and what is on hand of a SKU."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.benchmarks.system import RESENT_WITHIN

SIGNS = {"pos.sale": -1, "wms.receipt": 1}

Headers = Iterable[tuple[str, bytes]]


class Event(NamedTuple):
    """A sale or a receipt. Quantities have their sign: sales take."""

    identity: str
    location: str
    lines: list[tuple[str, int]]


class Told(NamedTuple):
    """What the world hears of a SKU."""

    version: int
    available: int
    total: int


def structured(body: Any) -> Event:
    """Read the JSON of an event in structured mode."""
    return _event(body["source"], body["id"], body["type"], body["data"])


def binary(headers: Headers, data: Any) -> Event:
    """Read an event in binary mode: headers, and the JSON of its data."""
    named = dict(headers)
    source, number, kind = named["ce_source"], named["ce_id"], named["ce_type"]
    return _event(source.decode(), number.decode(), kind.decode(), data)


def _event(source: str, number: str, kind: str, data: Any) -> Event:
    sign = SIGNS[kind]
    lines = [(line["sku"], sign * line["quantity"]) for line in data["lines"]]
    return Event(f"{source} {number}", data["location"], lines)


@dataclass(slots=True)
class Seen:
    """The newest identities, between one and two times as many as a copy may come late."""

    new: set[str] = field(default_factory=set)
    old: set[str] = field(default_factory=set)

    def before(self, identity: str) -> bool:
        """Say whether it was seen before; it is now."""
        if identity in self.new or identity in self.old:
            return True
        self.new.add(identity)
        if len(self.new) >= RESENT_WITHIN:
            self.old, self.new = self.new, set()
        return False


@dataclass(slots=True)
class Position:
    """What is on hand of a SKU, by location, with the sums kept along."""

    version: int = 0
    available: int = 0
    total: int = 0
    on_hand: dict[str, int] = field(default_factory=dict)

    def move(self, location: str, quantity: int) -> Told:
        """Add to what is at a location; return what is to be told."""
        before = self.on_hand.get(location, 0)
        after = self.on_hand[location] = before + quantity
        self.available += max(0, after) - max(0, before)
        self.total += quantity
        self.version += 1
        return Told(self.version, self.available, self.total)


class Levels:
    """Says what channels are told: `c<i>` the available quantity less i."""

    def __init__(self, channels: int) -> None:
        self._less = [(f"c{i}", i) for i in range(channels)]

    def update(self, sku: str, version: int, available: int) -> dict[str, Any]:
        """Return the update of a SKU."""
        levels = {name: max(0, available - less) for name, less in self._less}
        return {"sku": sku, "version": version, "available": available, "levels": levels}
