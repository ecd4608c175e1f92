"""What there was at each moment of a run: the pool in the order of the log, event by event.

`expected` works out where a run must end, from its events in any order. This is about the way there: what a channel
could have been shown, and whether units were promised that were not there. All stock counts from the first moment on,
counted yet or not. Holds, of which the log knows nothing, are told beside it. A buffer by risk is none here.
"""

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.oracle.columns import Ints, ints, pack
from tests.oracle.expected import Expected
from tests.oracle.levels import available, pool_levels
from tests.oracle.policy import Policy
from tests.oracle.positions import FIELDS, Positions
from tests.oracle.stream import Names
from tests.oracle.verdict import Check, Finding

Levels = dict[str, int]


@dataclass(slots=True)
class Order:
    """What is known of one order, in units by SKU."""

    asked: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    """Cancelled or shipped."""
    placed: bool = False
    void: bool = False

    def open(self, sku: str) -> int:
        """Units that are still to be sent."""
        if self.void or not self.placed:
            return 0
        return max(0, self.asked[sku] - self.given[sku])


class Moments:
    """One row for each change of a SKU: whose it is, when it came, what was promised, and what lay where."""

    def __init__(self) -> None:
        self.of: dict[str, list[int]] = defaultdict(list)
        """SKU -> its rows, in the order of the log."""
        self.at_ms = array("q")
        self.sku, self.unrouted, self.held = array("q"), array("q"), array("q")
        self.row, self.location, self.atp = array("q"), array("q"), array("q")

    def add(self, sku: str, code: int, at_ms: int, promised: tuple[int, int]) -> int:
        """Add a row; return its number."""
        row = len(self.at_ms)
        self.of[sku].append(row)
        self.at_ms.append(at_ms)
        self.sku.append(code)
        self.unrouted.append(promised[0])
        self.held.append(promised[1])
        return row

    def positions(self, without: int | None) -> Positions:
        """What lay where, by row, with a location left out."""
        row, location, atp = ints(self.row), ints(self.location), ints(self.atp)
        rows = np.zeros((row.size, len(FIELDS)), dtype=np.int64)
        rows[:, FIELDS.index("atp")] = np.where(location == without, 0, atp)
        return Positions(pack(row, location), rows)


class Course:
    """The pool at every moment. `silent` is a location that is silent during `quiet_ms`, from and to."""

    def __init__(
        self,
        stock: Mapping[str, Mapping[str, int]],
        policy: Policy,
        silent: str,
        quiet_ms: tuple[int, int] = (0, 0),
    ) -> None:
        self.policy = policy
        self.silent = silent
        self.quiet_ms = quiet_ms
        self.on_hand: dict[str, Counter[str]] = defaultdict(Counter)
        """SKU -> location -> units."""
        self.damaged: dict[str, Counter[str]] = defaultdict(Counter)
        self.orders: dict[str, Order] = defaultdict(Order)
        self.unrouted: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self._names = Names()
        self._moments = Moments()
        self._tables: dict[tuple[str, bool], Ints] = {}
        for location, there in stock.items():
            for sku, units in there.items():
                self.on_hand[sku][location] = units
        for sku in list(self.on_hand):
            self._note(sku, 0)

    def apply(self, kind: str, data: Mapping[str, Any], at_ms: int) -> None:
        """Take an event in."""
        lines = [(line["sku"], line["quantity"], line) for line in data.get("lines", ())]
        if "order" in data:
            self._apply_order(kind, data, lines)
        for sku, units, line in lines:
            match kind:
                case "pos.sale" | "wms.shipment":
                    self.on_hand[sku][data["location"]] -= units
                case "pos.return" | "order.returned":
                    self.on_hand[sku][data["location"]] += units
                    if line["condition"] == "damaged":
                        self.damaged[sku][data["location"]] += units
                case "wms.receipt" | "wms.adjustment":
                    self.on_hand[sku][data["location"]] += units
                case "wms.transfer" if data["stage"] == "shipped":
                    self.on_hand[sku][data["from"]] -= units
                case "wms.transfer" if data["stage"] == "received":
                    self.on_hand[sku][data["to"]] += units
                case "supplier.stock" | "wms.count":
                    self.on_hand[sku][data["location"]] = units
        named = {sku for sku, _, _ in lines}
        for sku in named | set(self.orders[data["order"]].asked) if "order" in data else named:
            self._note(sku, at_ms)

    def hold(self, sku: str, units: int, at_ms: int) -> None:
        """Units are held, or (below zero) let go."""
        self.held[sku] += units
        self._note(sku, at_ms)

    def levels(self, sku: str, *, without: str = "") -> Levels:
        """What each channel may show of a SKU by now; campaigns hold their locks."""
        row = self._table(without, locked=True)[self._moments.of[sku][-1]]
        return dict(zip((c.id for c in self.policy.channels), row.tolist(), strict=True))

    def could_be_zero(self, sku: str, channel: str, from_ms: int, to_ms: int) -> bool:
        """Say whether there was a moment between two at which the channel had nothing to show.

        Where two levels are possible the lower one counts: with a campaign's lock and without, and while a location is
        silent, with what lies there and without.
        """
        rows, at_ms = self._moments.of.get(sku, []), self._moments.at_ms
        first = max(0, bisect_right(rows, from_ms, key=at_ms.__getitem__) - 1)
        last = bisect_right(rows, to_ms, key=at_ms.__getitem__)
        places = [""]
        if from_ms <= self.quiet_ms[1] and to_ms >= self.quiet_ms[0]:
            places.append(self.silent)
        column = [each.id for each in self.policy.channels].index(channel)
        return not rows or any(
            (self._table(place, locked=locked)[rows[first:last], column] <= 0).any()
            for place in places
            for locked in (True, False)
        )

    def oversold(self) -> dict[str, int]:
        """Units that were promised though they were not there, by SKU, at the worst moment."""
        pool = self._pool()
        worst = {sku: int(pool[rows].min()) for sku, rows in self._moments.of.items()}
        return {sku: -left for sku, left in worst.items() if left < 0}

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
        elif kind in {"order.cancelled", "wms.shipment", "pos.sale"}:
            order.given += units
        for sku in order.asked | units:
            self.unrouted[sku] += order.open(sku) - before.get(sku, 0)

    def _note(self, sku: str, at_ms: int) -> None:
        moments, names = self._moments, self._names
        promised = (self.unrouted[sku], self.held[sku])
        row = moments.add(sku, names.sku[sku], at_ms, promised)
        for location, units in self.on_hand[sku].items():
            moments.row.append(row)
            moments.location.append(names.location[location])
            moments.atp.append(units - self.damaged[sku][location])
        self._tables.clear()

    def _table(self, without: str, *, locked: bool) -> Ints:
        """The levels at every moment, a column for each channel."""
        found = self._tables.get((without, locked))
        if found is None:
            moments, names = self._moments, self._names
            always = [replace(each, start_ms=0, end_ms=1) for each in self.policy.campaigns]
            policy = replace(self.policy, campaigns=tuple(always) if locked else ())
            by_channel = pool_levels(
                moments.positions(names.location.get(without)),
                ints(moments.unrouted) + ints(moments.held),
                policy, names, 0, np.zeros(len(names.sku)), ints(moments.sku),
            )  # fmt: skip
            found = np.column_stack([by_channel[each.id] for each in policy.channels])
            self._tables[without, locked] = found
        return found

    def _pool(self) -> Ints:
        """At every moment what is there less what orders were promised; below zero = promised twice."""
        positions = self._moments.positions(None)
        return available(positions, ints(self._moments.unrouted), self.policy, self._names)

    def check_end(self, expected: Expected) -> Check:
        """The way leads to the end that was worked out; if it does not, it excuses and accuses at random."""
        check, pool = Check("course"), self._pool()
        code_of = {sku: code for code, sku in enumerate(expected.skus)}
        for sku, rows in self._moments.of.items():
            check.compared += 1
            want = self._end_of(expected, code_of.get(sku))
            got = int(pool[rows[-1]]), self.levels(sku)
            if want != got:
                check.found(f"{sku}: expected available and levels {want}, got {got}", Finding(sku))
        return check

    def _end_of(self, expected: Expected, code: int | None) -> tuple[int, Levels] | None:
        if code is None:
            return None
        levels = expected.levels[code].tolist()
        return int(expected.available[code]), dict(zip(expected.channels, levels, strict=True))
