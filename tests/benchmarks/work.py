"""The streams of the harness, and what must come of them.

Made from a seed, so that each run of a `Work` reads the same. A SKU lies at eight locations at most; sales happen
only where it lies, and sell less than there is. What must come out is worked out from the plan of the stream, by
none of the code that is measured.

The baskets are those of the demo: 141,089 with 10.2 lines on average, 433 shops, 68,151 products. They are repeated
under new ids when more are asked for, and shops fold onto the locations of the work when those are fewer.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flows.demo.grocery_year import read_trading
from flows.demo.sales import Sales
from tests.benchmarks.system import RESENT_WITHIN, Work

SEED = 20_261
LOCATIONS_OF_A_SKU = 8
COPIES_ONE_IN = 100
WARM_UP_ONE_IN = 10
RECEIPT_LINES = 100
MARKER_STOCK = 2
"""Units of a marked SKU; one is sold."""
SPARE_MAX = 20
QUANTITY_MAX = 3

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Expected:
    """What must stand in Redis, and in the last update of each SKU."""

    stock: Mapping[str, int]
    """On hand by SKU, over all locations."""
    available: Mapping[str, int]
    """Sum over the locations of max(0, on hand), by SKU."""
    channels: int

    def levels(self, sku: str) -> dict[str, int]:
        """Return what each channel must have been told of a SKU."""
        available = self.available[sku]
        return {f"c{i}": max(0, available - i) for i in range(self.channels)}


class Line(NamedTuple):
    """Units of a SKU."""

    sku: str
    quantity: int


class Event(NamedTuple):
    """A receipt or a sale, before it is written down. The number makes its id."""

    number: int
    location: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Plan:
    """A stream by figures. Positions are the pairs of SKU and location that hold stock.

    Lines of sale i are `line_position[first[i]:first[i + 1]]`; `messages[p]` are the sales of a partition in order,
    copies among them.
    """

    work: Work
    skus: Sequence[str]
    places: Sequence[str]
    position_sku: IntArray
    position_place: IntArray
    opening: IntArray
    first: IntArray
    place: IntArray
    line_position: IntArray
    line_quantity: IntArray
    messages: Sequence[IntArray]

    @property
    def warm_up(self) -> list[int]:
        """Return, per partition, how many sales stand before the warm-up marker."""
        return [len(mine) // WARM_UP_ONE_IN for mine in self.messages]

    @property
    def measured_events(self) -> int:
        """Sales behind the warm-up markers, copies among them."""
        return sum(len(m) - w for m, w in zip(self.messages, self.warm_up, strict=True))

    @property
    def measured_lines(self) -> int:
        """Lines of those."""
        sizes = np.diff(self.first)
        return sum(
            int(sizes[m[w:]].sum()) for m, w in zip(self.messages, self.warm_up, strict=True)
        )

    def expected(self) -> Expected:
        """Return what must come of the stream."""
        sold = _sums(self.line_position, self.line_quantity, len(self.opening))
        left = self.opening - sold
        by_sku = _sums(self.position_sku, left, len(self.skus)).tolist()
        told = _sums(self.position_sku, np.maximum(0, left), len(self.skus)).tolist()
        marked = dict.fromkeys(markers(self.work.partitions), MARKER_STOCK - 1)
        stock = dict(zip(self.skus, by_sku, strict=True)) | marked
        available = dict(zip(self.skus, told, strict=True)) | marked
        return Expected(stock, available, self.work.channels)

    def receipts(self) -> Iterator[tuple[int, Event]]:
        """Yield the opening stock: the partition, and the event."""
        numbers = count(1)
        for partition in range(self.work.partitions):
            lines = [Line(f"{kind}-{partition}", MARKER_STOCK) for kind in ("warm", "end")]
            yield partition, Event(next(numbers), self._marker_place(partition), lines)
        bounds = np.searchsorted(self.position_place, np.arange(len(self.places) + 1)).tolist()
        for place, (start, end) in enumerate(pairwise(bounds)):
            location = self.places[place]
            partition = partition_of(location, self.work.partitions)
            for at in range(start, end, RECEIPT_LINES):
                part = slice(at, min(end, at + RECEIPT_LINES))
                skus, units = self.position_sku[part].tolist(), self.opening[part].tolist()
                lines = [Line(self.skus[s], u) for s, u in zip(skus, units, strict=True)]
                yield partition, Event(next(numbers), location, lines)

    def sales(self, partition: int) -> Iterator[Event]:
        """Yield the sales of a partition in order, copies and markers among them."""
        mine, warm_up = self.messages[partition], self.warm_up[partition]
        total, where = len(self.place), self._marker_place(partition)
        yield from self._events(mine[:warm_up])
        yield Event(total + 2 * partition, where, [Line(f"warm-{partition}", 1)])
        yield from self._events(mine[warm_up:])
        yield Event(total + 2 * partition + 1, where, [Line(f"end-{partition}", 1)])

    def _events(self, numbers: IntArray, step: int = 20_000) -> Iterator[Event]:
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            begins, ends = self.first[part], self.first[part + 1]
            bounds = np.concatenate(([0], np.cumsum(ends - begins)))
            rows = np.repeat(begins - bounds[:-1], ends - begins) + np.arange(bounds[-1])
            sku_of = self.position_sku[self.line_position[rows]].tolist()
            units = self.line_quantity[rows].tolist()
            lines = [Line(self.skus[s], u) for s, u in zip(sku_of, units, strict=True)]
            at = pairwise(bounds.tolist())
            places = self.place[part].tolist()
            for number, place, (begin, end) in zip(part.tolist(), places, at, strict=True):
                yield Event(number, self.places[place], lines[begin:end])

    def _marker_place(self, partition: int) -> str:
        """Return a location of the partition; any, when none has its key there."""
        fits = (x for x in self.places if partition_of(x, self.work.partitions) == partition)
        return next(fits, self.places[0])


def markers(partitions: int) -> list[str]:
    """Return the marked SKUs of all partitions."""
    return [f"{kind}-{n}" for kind in ("warm", "end") for n in range(partitions)]


def partition_of(location: str, partitions: int) -> int:
    """Return the partition of a key, as librdkafka's `consistent` partitioner chooses it."""
    return zlib.crc32(location.encode()) % partitions


def location_ids(locations: int, partitions: int) -> list[str]:
    """Return the names of shops, as many of each partition as can be."""
    room = [-(-locations // partitions)] * partitions
    found = []
    for number in count(1):
        name = f"s{number:04d}"
        n = partition_of(name, partitions)
        if room[n]:
            room[n] -= 1
            found.append(name)
        if len(found) == locations:
            return found
    raise AssertionError("numbers do not end")


def places_of(work: Work) -> list[str]:
    """Return the locations of a work."""
    return location_ids(work.locations, work.partitions)


def plan_of(work: Work, seed: int = SEED) -> Plan:
    """Return the plan of a work's stream."""
    random = np.random.default_rng(seed)
    originals = max(1, work.events - work.events // COPIES_ONE_IN)
    make = _made_up if work.lines else _baskets
    return make(work, originals, random)


def _made_up(work: Work, originals: int, random: np.random.Generator) -> Plan:
    """Plan sales of random SKUs at random locations, all with the same number of lines."""
    spread = min(work.locations, LOCATIONS_OF_A_SKU)
    sku = np.repeat(np.arange(work.skus), spread)
    # A step that shares no divisor with the locations leads each SKU to different ones.
    step = next(
        s for s in count(max(1, work.locations // spread)) if np.gcd(s, work.locations) == 1
    )
    place = (sku + step * np.tile(np.arange(spread), work.skus)) % work.locations
    order = np.lexsort((sku, place))
    sku, place = sku[order], place[order]
    bounds = np.searchsorted(place, np.arange(work.locations + 1))
    where = random.integers(0, work.locations, originals)
    sizes = np.diff(bounds)
    if not sizes.all():
        where = random.choice(np.flatnonzero(sizes), originals)
    chance = random.random((originals, work.lines))
    line = bounds[where][:, None] + (chance * sizes[where][:, None]).astype(np.int64)
    units = random.integers(1, QUANTITY_MAX + 1, originals * work.lines)
    first = np.arange(originals + 1) * work.lines
    names = [f"{number:07d}" for number in range(work.skus)]
    return _planned(work, names, (sku, place), first, where, line.ravel(), units, random)


@cache
def _trading() -> Sales:
    return read_trading()


def _baskets(work: Work, originals: int, random: np.random.Generator) -> Plan:
    """Plan the baskets of the demo, from the first on."""
    sales = _trading()
    _, start = np.unique(sales.basket, return_index=True)
    start = np.sort(start)
    ends = np.append(start[1:], len(sales))
    _, shop = np.unique(sales.store, return_inverse=True)
    turn = np.arange(originals) % len(start)
    sizes = (ends - start)[turn]
    first = np.concatenate(([0], np.cumsum(sizes)))
    rows = np.repeat(start[turn] - first[:-1], sizes) + np.arange(first[-1])
    where = shop[start[turn]] % work.locations
    product = sales.product[rows]
    products, at = np.unique(product, return_inverse=True)
    keys, line = np.unique(np.repeat(where, sizes) * len(products) + at, return_inverse=True)
    positions = (keys % len(products), keys // len(products))
    names = [str(number) for number in products.tolist()]
    return _planned(
        work, names, positions, first, where, line, sales.quantity[rows], random
    )  # fmt: skip


def _planned(
    work: Work,
    names: Sequence[str],
    positions: tuple[IntArray, IntArray],
    first: IntArray,
    where: IntArray,
    line: IntArray,
    units: IntArray,
    random: np.random.Generator,
) -> Plan:
    """Complete a plan: what every position opens with, and the order of the messages."""
    places = places_of(work)
    partition = np.array([partition_of(x, work.partitions) for x in places])[where]
    mine = [np.flatnonzero(partition == n) for n in range(work.partitions)]
    sold = _sums(line, units, len(positions[0]))
    opening = sold + random.integers(1, SPARE_MAX + 1, len(sold))
    messages = [_with_copies(numbers, random) for numbers in mine]
    return Plan(
        work, names, places, *positions, opening, first, where, line, units, messages
    )  # fmt: skip


def _with_copies(numbers: IntArray, random: np.random.Generator) -> IntArray:
    """Return the sales of a partition with one copy among a hundred, of a sale not long before."""
    copies = len(numbers) // (COPIES_ONE_IN - 1)
    if not copies:
        return numbers
    is_copy = np.zeros(len(numbers) + copies, np.bool_)
    is_copy[random.choice(np.arange(1, len(is_copy)), copies, replace=False)] = True
    newest = np.cumsum(~is_copy) - 1
    # Copies stand between the originals: a little less than the bound keeps to it in messages.
    reach = np.minimum(newest + 1, RESENT_WITHIN * 9 // 10)
    back = (random.random(len(is_copy)) * reach).astype(np.int64)
    found: IntArray = numbers[np.where(is_copy, newest - back, newest)]
    return found


def _sums(index: IntArray, amounts: IntArray, size: int) -> IntArray:
    totals = np.zeros(size, np.int64)
    np.add.at(totals, index, amounts)
    return totals
