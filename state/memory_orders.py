"""The record of an order number in one shard: facts that only grow, and what is open by them.

    open = max(0, asked - cancelled - shipped), 0 when void or not placed

Every fact may come in any order and the end is the same. Two shops may use one number: facts are
kept per channel. Facts that name no channel (a warehouse rarely knows one) count once against all.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class OrderRecord:
    """Facts by channel, "" for those that name none."""

    events: set[str] = field(default_factory=set)
    """Hashes of the events met, for longer than the duplicate guard keeps them."""
    placed: dict[str, str] = field(default_factory=dict)
    """Channel -> hash of the event that placed the order first."""
    asked: dict[tuple[str, str], int] = field(default_factory=dict)
    """(channel, SKU) -> units."""
    cancelled: dict[tuple[str, str], int] = field(default_factory=dict)
    shipped: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """(channel, SKU, location) -> units."""
    voided: set[str] = field(default_factory=set)
    unrouted: dict[str, int] = field(default_factory=dict)
    """SKU -> what is open and was added to the pool's unrouted demand."""

    def place(self, channel: str, event: str, sku: str, quantity: int) -> bool:
        """Ask for units; the first event that places the order counts, any other is ignored."""
        if self.placed.setdefault(channel, event) != event:
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
        """Bring the unrouted part to what is open; return by how much it moved."""
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
