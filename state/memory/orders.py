"""The record of an order number in one shard: facts that only grow, and what is open by them.

    open = max(0, asked - cancelled - shipped), 0 when void or not placed

Every fact may come in any order and the end is the same. Two shops may use one number: facts are
kept per channel. Facts that name no channel (a warehouse rarely knows one) count once against all.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


class Back(NamedTuple):
    """Goods that came back. Sorted, they count in this order."""

    sku: str
    time_ms: int
    location: str
    is_damaged: bool


@dataclass(slots=True)
class Answers:
    """The movements of one SKU that an order answers for."""

    moved: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """(location, time in ms) -> change of `on_hand`, of `unavailable`."""
    beyond: int = 0
    """Units that came back beyond those shipped; they are no stock."""

    def add(self, location: str, time_ms: int, on_hand: int, unavailable: int) -> None:
        """Add a movement."""
        so_far = self.moved.get((location, time_ms), (0, 0))
        self.moved[location, time_ms] = (so_far[0] + on_hand, so_far[1] + unavailable)


@dataclass(slots=True)
class OrderRecord:
    """Facts by channel, "" for those that name none."""

    events: set[str] = field(default_factory=set)
    """Hashes of the events met, for longer than the duplicate guard keeps them."""
    placed: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Channel -> hash of the event that placed the order first, and its time (ms)."""
    asked: dict[tuple[str, str], int] = field(default_factory=dict)
    """(channel, SKU) -> units."""
    cancelled: dict[tuple[str, str], int] = field(default_factory=dict)
    shipped: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """(channel, SKU, location) -> units."""
    returned: dict[Back, int] = field(default_factory=dict)
    """What came back -> units."""
    netted: dict[tuple[str, str, str, int], int] = field(default_factory=dict)
    """(channel, SKU, location, event time in ms) -> units shipped by suppliers whose figures are net of orders."""
    voided: set[str] = field(default_factory=set)
    unrouted: dict[str, int] = field(default_factory=dict)
    """SKU -> what is open and was added to the pool's unrouted demand."""

    def place(self, channel: str, event: str, time_ms: int, sku: str, quantity: int) -> bool:
        """Ask for units; the first event that places the order counts, any other is ignored."""
        if self.placed.setdefault(channel, (event, time_ms))[0] != event:
            return False
        self.asked[channel, sku] = self.asked.get((channel, sku), 0) + quantity
        return True

    def cancel(self, channel: str, sku: str, quantity: int) -> None:
        """Give up units; partial cancels add up."""
        self.cancelled[channel, sku] = self.cancelled.get((channel, sku), 0) + quantity

    def void(self, channel: str) -> None:
        """Give up the whole order."""
        self.voided.add(channel)

    def ship(self, channel: str, sku: str, location: str, quantity: int) -> None:
        """Note units that left a location."""
        key = (channel, sku, location)
        self.shipped[key] = self.shipped.get(key, 0) + quantity

    def ship_netted(
        self, channel: str, sku: str, location: str, time_ms: int, quantity: int
    ) -> None:
        """Note units that left a supplier whose figures are net of orders."""
        self.ship(channel, sku, location, quantity)
        key = (channel, sku, location, time_ms)
        self.netted[key] = self.netted.get(key, 0) + quantity

    def take_back(self, back: Back, quantity: int) -> None:
        """Note units that came back."""
        if quantity:
            self.returned[back] = self.returned.get(back, 0) + quantity

    def answers(self, sku: str) -> Answers:
        """Return the movements of a SKU that follow from the facts.

        Of what came back as much counts as was shipped, in the order of `Back`; all of it where nothing says
        that the SKU was asked for. A netted shipment happened when its order was placed, if that was earlier.
        """
        placed = {c: self.placed[c][1] for c, item in self.asked if item == sku}
        total = sum(units for back, units in self.returned.items() if back.sku == sku)
        shipped = sum(units for (_, item, _), units in self.shipped.items() if item == sku)
        left = min(total, shipped) if placed else total
        answers = Answers(beyond=total - left)
        for back in sorted(self.returned):
            if back.sku == sku:
                units = min(left, self.returned[back])
                left -= units
                answers.add(back.location, back.time_ms, units, units * back.is_damaged)
        for (channel, item, location, time_ms), units in self.netted.items():
            if item == sku:
                known = [at for c, at in placed.items() if channel in {"", c}]
                answers.add(location, min([time_ms, *known]), -units, 0)
        return answers

    def open(self, sku: str) -> int:
        """Return the units of a SKU that are still to be shipped."""
        if "" in self.voided:
            return 0
        total = sum(
            max(0, self.asked.get((channel, sku), 0) - self._given(channel, sku))
            for channel in self.placed
            if channel not in self.voided
        )
        return max(0, total - self._given("", sku))

    def rebalance(self, sku: str) -> int:
        """Set the unrouted part to what is open; return by how much it moved."""
        now_open = self.open(sku)
        moved = now_open - self.unrouted.get(sku, 0)
        if moved:
            self.unrouted[sku] = now_open
        return moved

    def _given(self, channel: str, sku: str) -> int:
        shipped = sum(
            quantity
            for (by, item, _), quantity in self.shipped.items()
            if (by, item) == (channel, sku)
        )
        return self.cancelled.get((channel, sku), 0) + shipped
