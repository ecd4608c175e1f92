"""What there was at each moment of the morning, worked out from the events alone.

Shares no code with the engine: it knows the meaning of the events and the order of the rules of a level, both
from the contract, and reads of the configuration what this chain uses. All stock counts from the first moment on,
loaded yet or not; a policy that was wrong and a feed that was held back are not in it.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Levels = dict[str, int]
Json = dict[str, Any]

UNCAPPED = 1 << 62


class Rules:
    """The part of a configuration that this chain uses."""

    def __init__(self, document: Json) -> None:
        self.places: dict[str, Json] = {each["id"]: each for each in document["locations"]}
        self.floors: dict[str, int] = document["policies"]["floors"]
        self.threshold: int = document["policies"]["network_threshold"]
        self.channels: dict[str, Json] = {each["id"]: each for each in document["channels"]}
        self.campaigns: list[Json] = document["campaigns"]

    def may_sell(self, channel: str, location: str) -> bool:
        """Say whether a channel may sell what lies at a location."""
        asked, place = self.channels[channel]["locations"], self.places[location]
        if location in asked.get("exclude", ()):
            return False
        in_region = asked["regions"] == "all" or place["region"] in asked["regions"]
        return in_region and place["kind"] in asked["kinds"]

    def level(self, channel: str, pool: int) -> int:
        """Return what a channel shows of a pool."""
        rules = self.channels[channel]
        level = pool * rules["share_bp"] // 10_000 - rules["buffer"]["units"]
        return 0 if level <= max(0, rules["cutoff"]) else min(level, rules.get("cap", UNCAPPED))


class Point(NamedTuple):
    """What a SKU's channels may show from a moment on; the lower one where two are possible."""

    at_ms: int
    levels: Levels
    lowest: Levels
    """Whether a campaign's lock holds at that moment or not."""
    quiet: Levels
    """The same with what lies at the silent shop left out."""
    pool: int
    """What is there less what orders were promised; below zero = promised twice."""


@dataclass(slots=True)
class Order:
    """What is known of one order, in units by SKU."""

    asked: Counter[str] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    shipped: Counter[str] = field(default_factory=Counter)
    placed: bool = False
    void: bool = False

    def open(self, sku: str) -> int:
        """Units that are still to be sent."""
        if self.void or not self.placed:
            return 0
        return max(0, self.asked[sku] - self.cancelled[sku] - self.shipped[sku])


class Truth:
    """The pool, event by event. `silent` is a shop that is silent during `quiet_ms`, from and to."""

    def __init__(
        self,
        stock: Mapping[str, Mapping[str, int]],
        rules: Rules,
        silent: str,
        quiet_ms: tuple[int, int] = (0, 0),
    ) -> None:
        self.rules = rules
        self.quiet_ms = quiet_ms
        self.silent = silent
        self.on_hand: dict[str, Counter[str]] = defaultdict(Counter)
        """SKU -> location -> units."""
        self.damaged: dict[str, Counter[str]] = defaultdict(Counter)
        self.orders: dict[str, Order] = defaultdict(Order)
        self.unrouted: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.course: dict[str, list[Point]] = {}
        for location, there in stock.items():
            for sku, units in there.items():
                self.on_hand[sku][location] = units
        for sku in list(self.on_hand):
            self._note(sku, 0)

    def apply(self, kind: str, data: Mapping[str, Any], at_ms: int) -> None:
        """Take an event in."""
        lines = [(line["sku"], line["quantity"], line) for line in data.get("lines", ())]
        if kind.startswith("order.") or kind == "wms.shipment":
            self._apply_order(kind, data, lines)
        for sku, units, line in lines:
            match kind:
                case "pos.sale" | "wms.shipment":
                    self.on_hand[sku][data["location"]] -= units
                case "pos.return" | "order.returned":
                    self.on_hand[sku][data["location"]] += units
                    if line["condition"] == "damaged":
                        self.damaged[sku][data["location"]] += units
                case "wms.receipt":
                    self.on_hand[sku][data["location"]] += units
                case "wms.transfer" if data["stage"] == "shipped":
                    self.on_hand[sku][data["from"]] -= units
                case "wms.transfer":
                    self.on_hand[sku][data["to"]] += units
                case "supplier.stock":
                    self.on_hand[sku][data["location"]] = units
        for sku in self._touched(data, lines):
            self._note(sku, at_ms)

    def hold(self, sku: str, units: int, at_ms: int) -> None:
        """Units are held, or (below zero) let go."""
        self.held[sku] += units
        self._note(sku, at_ms)

    def levels(self, sku: str, *, without: str = "", locked: bool = True) -> Levels:
        """What each channel may show of a SKU."""
        return {
            channel: self._level(sku, channel, without, locked=locked)
            for channel in self.rules.channels
        }

    def could_be_zero(self, sku: str, channel: str, from_ms: int, to_ms: int) -> bool:
        """Say whether there was a moment between two at which the channel had nothing to show."""
        points = self.course.get(sku, [])
        first = max(0, bisect_right(points, from_ms, key=lambda point: point.at_ms) - 1)
        last = bisect_right(points, to_ms, key=lambda point: point.at_ms)
        is_quiet = from_ms <= self.quiet_ms[1] and to_ms >= self.quiet_ms[0]
        return not points or any(
            (point.quiet if is_quiet else point.lowest)[channel] <= 0
            for point in points[first:last]
        )

    def oversold(self) -> dict[str, int]:
        """Units that were promised though they were not there, by SKU, at the worst moment."""
        worst = {sku: min(point.pool for point in points) for sku, points in self.course.items()}
        return {sku: -pool for sku, pool in worst.items() if pool < 0}

    def _apply_order(
        self, kind: str, data: Mapping[str, Any], lines: Iterable[tuple[str, int, Any]]
    ) -> None:
        order = self.orders[data["order"]]
        units = Counter[str]()
        for sku, quantity, _ in lines:
            units[sku] += quantity
        before = {sku: order.open(sku) for sku in order.asked | units}
        if kind == "order.placed" and not order.placed:
            order.placed, order.asked = True, units
        elif kind == "order.cancelled" and not units:
            order.void = True
        elif kind == "order.cancelled":
            order.cancelled += units
        elif kind == "wms.shipment":
            order.shipped += units
        for sku in order.asked | units:
            self.unrouted[sku] += order.open(sku) - before.get(sku, 0)

    def _touched(self, data: Mapping[str, Any], lines: Iterable[tuple[str, int, Any]]) -> set[str]:
        named = {sku for sku, _, _ in lines}
        return named | set(self.orders[data["order"]].asked) if "order" in data else named

    def _note(self, sku: str, at_ms: int) -> None:
        levels = self.levels(sku)
        lowest = levels
        if any(c["sku"] == sku for c in self.rules.campaigns):
            lowest = _lower(levels, self.levels(sku, locked=False))
        quiet = lowest
        if self.silent in self.on_hand[sku]:
            others = [self.levels(sku, without=self.silent, locked=lock) for lock in (False, True)]
            quiet = _lower(lowest, *others)
        own = sum(
            max(0, units - self.damaged[sku][location])
            for location, units in self.on_hand[sku].items()
        )
        pool = own - self.unrouted[sku]
        self.course.setdefault(sku, []).append(Point(at_ms, levels, lowest, quiet, pool))

    def _level(self, sku: str, channel: str, without: str, *, locked: bool) -> int:
        rules = self.rules
        pool = -self.unrouted[sku] - self.held[sku] - rules.threshold
        for location, units in self.on_hand[sku].items():
            if location != without and rules.may_sell(channel, location):
                floor = rules.floors.get(rules.places[location]["kind"], 0)
                pool += max(0, units - self.damaged[sku][location] - floor)
        for campaign in rules.campaigns:
            if locked and campaign["sku"] == sku and campaign["channel"] != channel:
                pool -= campaign["lock"]
        return rules.level(channel, pool)


def _lower(*several: Levels) -> Levels:
    return {channel: min(each[channel] for each in several) for channel in several[0]}
