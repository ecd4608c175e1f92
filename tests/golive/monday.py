"""What the chain has at midnight, and what it trades that Monday: real trading, as the demo tells it.

The facts before that midnight are folded into what lies where; orders that are open at midnight are told
first. A dropship supplier is added, whose goods nobody else has.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.demo.dump import sales_of
from flows.demo.events import Fact
from flows.demo.sales import Sales
from flows.demo.stream import Story
from state.durations import DAY_MS

MIDNIGHT_MS = 1_483_920_000_000
"""Monday 2017-01-09T00:00:00Z: the second one of the data, all shops have traded for a week."""
UNTIL_MS = MIDNIGHT_MS + DAY_MS
MONTHS = 1
SUPPLIER = "sup-a"
SUPPLIED = {f"drop-{n:03}": 4 + n % 9 for n in range(1, 61)}
"""What lies at the supplier: SKU -> units."""

Stock = dict[str, dict[str, int]]
"""location -> SKU -> units"""


@dataclass(frozen=True, slots=True)
class Monday:
    """One chain on one day."""

    stock: Stock
    """What lies where at midnight, zeros included: what was sold out is counted as 0."""
    open_orders: list[Fact]
    """Orders placed before midnight of which units are still to be sent."""
    facts: list[Fact]
    """What is traded from midnight on, in time order."""
    best_seller: str
    shops: list[int]

    def alone_at(self, shop: str, units: int) -> list[str]:
        """Return the SKUs that lie at one shop and nowhere else, at least `units` of each."""
        places: dict[str, list[str]] = defaultdict(list)
        for location, there in self.stock.items():
            for sku, quantity in there.items():
                if quantity:
                    places[sku].append(location)
        there = self.stock[shop]
        return sorted(s for s, found in places.items() if found == [shop] and there[s] >= units)


def monday(shops_max: int | None) -> Monday:
    """Return that Monday of the chain, or of the shops that sell most."""
    sales = _of_busiest(sales_of(months=MONTHS, synthetic=False), shops_max)
    stock: Stock = defaultdict(lambda: defaultdict(int))
    still_open: dict[str, tuple[Fact, Counter[str]]] = {}
    facts: list[Fact] = []
    for fact in Story(sales).facts():
        if fact.business_ms < MIDNIGHT_MS:
            _fold(fact, stock, still_open)
        elif fact.business_ms < UNTIL_MS:
            facts.append(fact)
    stock[SUPPLIER] = dict(SUPPLIED)
    sold = Counter[str]()
    for fact in facts:
        sold.update({line["sku"]: line["quantity"] for line in fact.data.get("lines", ())})
    return Monday(
        stock={location: dict(there) for location, there in stock.items()},
        open_orders=[fact for fact, left in still_open.values() if +left],
        facts=facts,
        best_seller=max(sold, key=lambda sku: (sold[sku], sku)),
        shops=sorted(set(sales.store.tolist())),
    )


def _of_busiest(sales: Sales, shops_max: int | None) -> Sales:
    if shops_max is None:
        return sales
    stores, lines = np.unique(sales.store, return_counts=True)
    kept = stores[np.argsort(-lines, kind="stable")[:shops_max]]
    keep = np.isin(sales.store, kept)
    return Sales(**{name: getattr(sales, name)[keep] for name in Sales.__slots__})


def _fold(fact: Fact, stock: Stock, still_open: dict[str, tuple[Fact, Counter[str]]]) -> None:
    """Let a fact of the past work: what lies where, and what is still to be sent."""
    data: dict[str, Any] = fact.data
    units = {line["sku"]: line["quantity"] for line in data.get("lines", ())}
    match fact.type:
        case "wms.count":
            stock[data["location"]].update(units)
        case "pos.sale" | "wms.shipment":
            _add(stock[data["location"]], units, -1)
        case "wms.receipt":
            _add(stock[data["location"]], units, 1)
        case "wms.transfer" if data["stage"] == "shipped":
            _add(stock[data["from"]], units, -1)
        case "wms.transfer":
            _add(stock[data["to"]], units, 1)
        case "order.returned" if all(e["condition"] == "sellable" for e in data["lines"]):
            _add(stock[data["location"]], units, 1)
    match fact.type:
        case "order.placed":
            still_open[data["order"]] = (fact, Counter(units))
        case "order.cancelled":
            del still_open[data["order"]]
        case "wms.shipment" if data["order"] in still_open:
            still_open[data["order"]][1].subtract(units)


def _add(there: dict[str, int], units: dict[str, int], sign: int) -> None:
    for sku, quantity in units.items():
        there[sku] = there.get(sku, 0) + sign * quantity
