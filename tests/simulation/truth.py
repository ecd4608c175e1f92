"""The truth of a run, worked out from its distinct events by rules written anew: nothing of the engine takes part."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Figures = tuple[int, int, int]
"""on_hand, unavailable, incoming"""


@dataclass(frozen=True, slots=True)
class Fact:
    """An event as it was first appended. `skus` are its lines in SKUs, all times in ms since 1970."""

    kind: str
    time_ms: int
    data: Mapping[str, Any]
    lines: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Truth:
    """What the engine must end with."""

    moves: dict[tuple[str, str], list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    counts: dict[tuple[str, str], list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    unavailable: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    under_way: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    """(order, channel) -> SKU -> units"""
    given: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    """(order, channel, SKU) -> units cancelled or shipped"""
    void: set[tuple[str, str]] = field(default_factory=set)
    shipped: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """(order, SKU) -> units"""
    back: dict[tuple[str, str], list[tuple[int, str, bool, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """(order, SKU) -> (time, location, whether damaged, units) of what came back"""
    closed: set[tuple[str, str]] = field(default_factory=set)
    """(location, reference) under which nothing more is to come"""

    def position(self, sku: str, location: str) -> Figures:
        place = (sku, location)
        back = self._counted_back(*place)
        moves = self.moves.get(place, []) + [(time_ms, units) for time_ms, _, units in back]
        on_hand = sum(delta for _, delta in moves)
        if counts := self.counts.get(place):
            newest_ms = max(time_ms for time_ms, _ in counts)
            counted = min(quantity for time_ms, quantity in counts if time_ms == newest_ms)
            on_hand = counted + sum(delta for time_ms, delta in moves if time_ms > newest_ms)
        incoming = sum(
            max(0, net)
            for (*where, reference), net in self.under_way.items()
            if tuple(where) == place and (location, reference) not in self.closed
        )
        damaged = sum(units for _, is_damaged, units in back if is_damaged)
        return on_hand, self.unavailable.get(place, 0) + damaged, incoming

    def _counted_back(self, sku: str, location: str) -> list[tuple[int, bool, int]]:
        """What came back to a location and counts: (time, whether damaged, units)."""
        counted = []
        for (order, item), every in self.back.items():
            if item != sku:
                continue
            known = any(name == order and sku in asked for (name, _), asked in self.asked.items())
            left = self.shipped.get((order, sku), 0) if known else 10**9
            for time_ms, where, is_damaged, units in sorted(every):
                taken = min(units, left)
                left -= taken
                if where == location:
                    counted.append((time_ms, is_damaged, taken))
        return counted

    def open(self, order: str, sku: str) -> int:
        if (order, "") in self.void:
            return 0
        total = sum(
            max(0, asked.get(sku, 0) - self.given.get((order, channel, sku), 0))
            for (name, channel), asked in self.asked.items()
            if name == order and (order, channel) not in self.void
        )
        return max(0, total - self.given.get((order, "", sku), 0))

    def orders(self) -> set[str]:
        return {order for order, _ in self.asked}

    def take(self, fact: Fact) -> None:
        _TAKES[fact.kind](self, fact)

    def _move(self, fact: Fact, location: str, sign: int) -> None:
        for sku, quantity in fact.lines:
            self.moves[sku, location].append((fact.time_ms, sign * quantity))

    def _expect(self, fact: Fact, location: str, reference: str, sign: int) -> None:
        for sku, quantity in fact.lines:
            self.under_way[sku, location, reference] += sign * quantity

    def _give(self, fact: Fact) -> None:
        for sku, quantity in fact.lines:
            self.given[fact.data["order"], fact.data.get("channel", ""), sku] += quantity


def truth_of(facts: Iterable[Fact]) -> Truth:
    truth = Truth()
    for fact in facts:
        truth.take(fact)
    return truth


def _sale(truth: Truth, fact: Fact) -> None:
    truth._move(fact, fact.data["location"], -1)
    if "order" in fact.data:
        truth._give(fact)
        for sku, quantity in fact.lines:
            truth.shipped[fact.data["order"], sku] += quantity


def _return(truth: Truth, fact: Fact) -> None:
    truth._move(fact, fact.data["location"], 1)
    for line in fact.data["lines"]:
        if line["condition"] == "damaged":
            truth.unavailable[line["sku"], fact.data["location"]] += line["quantity"]


def _receipt(truth: Truth, fact: Fact) -> None:
    truth._move(fact, fact.data["location"], 1)
    reference = "delivery " + fact.data["reference"]
    truth._expect(fact, fact.data["location"], reference, -1)
    if fact.data.get("final"):
        truth.closed.add((fact.data["location"], reference))


def _order_returned(truth: Truth, fact: Fact) -> None:
    where = fact.data["location"]
    for line in fact.data["lines"]:
        came = (fact.time_ms, where, line["condition"] == "damaged", line["quantity"])
        truth.back[fact.data["order"], line["sku"]].append(came)


def _count(truth: Truth, fact: Fact) -> None:
    for sku, quantity in fact.lines:
        truth.counts[sku, fact.data["location"]].append((fact.data["counted_at"], quantity))


def _transfer(truth: Truth, fact: Fact) -> None:
    reference = "transfer " + fact.data["transfer"]
    if fact.data["stage"] == "shipped":
        truth._move(fact, fact.data["from"], -1)
        truth._expect(fact, fact.data["to"], reference, 1)
    else:
        if fact.data["stage"] == "received":
            truth._move(fact, fact.data["to"], 1)
        truth._expect(fact, fact.data["to"], reference, -1)


def _quality(truth: Truth, fact: Fact) -> None:
    stage = fact.data["stage"]
    for sku, quantity in fact.lines:
        truth.unavailable[sku, fact.data["location"]] += quantity if stage == "hold" else -quantity
    if stage == "scrap":
        truth._move(fact, fact.data["location"], -1)


def _placed(truth: Truth, fact: Fact) -> None:
    truth.asked[fact.data["order"], fact.data["channel"]] = dict(fact.lines)


def _cancelled(truth: Truth, fact: Fact) -> None:
    if fact.lines:
        truth._give(fact)
    else:
        truth.void.add((fact.data["order"], fact.data.get("channel", "")))


_TAKES: dict[str, Callable[[Truth, Fact], None]] = {
    "pos.sale": _sale,
    "wms.shipment": _sale,
    "pos.return": _return,
    "order.returned": _order_returned,
    "wms.receipt": _receipt,
    "wms.announced": lambda truth, fact: truth._expect(
        fact, fact.data["location"], "delivery " + fact.data["reference"], 1
    ),
    "wms.adjustment": lambda truth, fact: truth._move(fact, fact.data["location"], 1),
    "wms.count": _count,
    "wms.transfer": _transfer,
    "wms.quality": _quality,
    "order.placed": _placed,
    "order.cancelled": _cancelled,
}
