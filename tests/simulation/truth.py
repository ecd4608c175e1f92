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

    def position(self, sku: str, location: str) -> Figures:
        place = (sku, location)
        moves = self.moves.get(place, [])
        on_hand = sum(delta for _, delta in moves)
        if counts := self.counts.get(place):
            newest_ms = max(time_ms for time_ms, _ in counts)
            counted = min(quantity for time_ms, quantity in counts if time_ms == newest_ms)
            on_hand = counted + sum(delta for time_ms, delta in moves if time_ms > newest_ms)
        incoming = sum(
            max(0, net) for (*where, _), net in self.under_way.items() if tuple(where) == place
        )
        return on_hand, self.unavailable.get(place, 0), incoming

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


def _return(truth: Truth, fact: Fact) -> None:
    truth._move(fact, fact.data["location"], 1)
    for line in fact.data["lines"]:
        if line["condition"] == "damaged":
            truth.unavailable[line["sku"], fact.data["location"]] += line["quantity"]


def _receipt(truth: Truth, fact: Fact) -> None:
    truth._move(fact, fact.data["location"], 1)
    truth._expect(fact, fact.data["location"], "delivery " + fact.data["reference"], -1)


def _count(truth: Truth, fact: Fact) -> None:
    for sku, quantity in fact.lines:
        truth.counts[sku, fact.data["location"]].append((fact.data["counted_at"], quantity))


def _transfer(truth: Truth, fact: Fact) -> None:
    reference = "transfer " + fact.data["transfer"]
    if fact.data["stage"] == "shipped":
        truth._move(fact, fact.data["from"], -1)
        truth._expect(fact, fact.data["to"], reference, 1)
    else:
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
