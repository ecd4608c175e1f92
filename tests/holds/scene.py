"""The shop that is fought over: what is on sale, where it lies, and what is claimed of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from flows.services.holds.values import Wanted

CONFIG: Final = """
version: 1
locations:
  - {id: wh, kind: warehouse, region: north}
  - {id: s1, kind: store, region: north}
  - {id: s2, kind: store, region: south}
channels:
  - {id: shop}
  - {id: shopee, share_bp: 9000, buffer: {units: 2}}
  - {id: north, locations: {regions: [north]}}
"""
LOCATIONS: Final = ("wh", "s1", "s2")
TILLS: Final = ("s1", "s2")

SCARCE: Final = tuple(f"SCARCE{n}" for n in range(4))
"""Fought over from beginning to end: few units, given back again and again."""
HOT: Final = tuple(f"HOT{n}" for n in range(6))
PLAIN: Final = tuple(f"P{n}" for n in range(2_000))
SKUS: Final = SCARCE + HOT + PLAIN

LINES_MAX: Final = 4
PARTIAL, LOCAL, MANY_LINES = 0.05, 0.15, 0.25
"""Shares of the claims that take what there is, that are a till's, that name several SKUs."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is: units of each SKU by location, for so many claims."""

    claims: int

    def units(self, sku: str) -> dict[str, int]:
        """Return the units of a SKU by location."""
        if sku in SCARCE:
            whole = max(60, self.claims // 2_000)
        elif sku in HOT:
            whole = max(90, self.claims // 60)
        else:
            whole = max(12, self.claims // 12_000)
        at_till = whole // 4
        return {"wh": whole - 2 * at_till, "s1": at_till, "s2": at_till}

    def total(self) -> int:
        """Return the units of all SKUs."""
        return sum(sum(self.units(sku).values()) for sku in SKUS)

    def receipts(self, lines_max: int = 500) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """Yield (location, lines) of the receipts that bring it in."""
        for location in LOCATIONS:
            lines = [(sku, self.units(sku)[location]) for sku in SKUS]
            lines = [line for line in lines if line[1]]
            for at in range(0, len(lines), lines_max):
                yield location, lines[at : at + lines_max]


class Claims:
    """Claims of one process, drawn from a seed."""

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._chance = Random(seed)
        self._made = 0

    def draw(self) -> Wanted:
        """Return the next claim."""
        chance = self._chance
        self._made += 1
        hold = f"{self._name}-{self._made}"
        many = chance.randint(2, LINES_MAX) if chance.random() < MANY_LINES else 1
        lines = tuple((self._sku(), chance.randint(1, 3)) for _ in range(many))
        ttl_s = chance.choice((1, 2, 2, 3))
        partial = chance.random() < PARTIAL
        if chance.random() < LOCAL:
            return Wanted(hold, lines, location=chance.choice(TILLS), ttl_s=ttl_s, partial=partial)
        channel = chance.choice(("shop", "shop", "shopee", "north"))
        return Wanted(hold, lines, channel=channel, ttl_s=ttl_s, partial=partial)

    def _sku(self) -> str:
        draw = self._chance.random()
        if draw < 0.25:
            return self._chance.choice(SCARCE)
        return self._chance.choice(HOT if draw < 0.6 else PLAIN)


def write_config(folder: Path) -> None:
    """Write the configuration of the shop."""
    (folder / "penstock.yaml").write_text(CONFIG)
