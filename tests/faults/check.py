"""What must be true after every fault, worked out anew from the events that lie in the log.

The figures come from `tests.oracle`, which shares no code with the engine. Three counts sum up what is wrong:

    lost     confirmed events that the log or the stock does not hold
    doubled  events that took effect more than once, and copies that were not told apart
    stale    SKUs whose last update is not the truth, or whose versions contradict each other, or that are left open
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import orjson

from tests.oracle.columns import NONE, unpack
from tests.oracle.expected import Expected, work_out
from tests.oracle.levels import ABSENT
from tests.oracle.policy import read_policy
from tests.oracle.positions import FIELDS
from tests.oracle.stream import Names, read_stream

EXAMPLES_MAX = 8
ORDERS = ""
"""Stands for a location where units of orders are meant."""
SIGNS = {
    "pos.sale": -1,
    "pos.return": 1,
    "order.returned": 1,
    "wms.receipt": 1,
    "wms.adjustment": 1,
    "wms.shipment": -1,
    "order.placed": 1,
    "order.cancelled": -1,
}
"""Which way an event moves stock, or the units of orders."""


class Figures(NamedTuple):
    """One position. `counted_at` in ms, -1 for never."""

    on_hand: int
    unavailable: int
    incoming: int
    counted_at: int


class Stock(NamedTuple):
    """A SKU as the store has it in the end."""

    version: int
    unrouted: int
    open: bool
    positions: Mapping[str, Figures]


class Told(NamedTuple):
    """A stock update as a consumer keeps it: of each SKU the one with the highest version."""

    version: int
    available: int
    levels: Mapping[str, int]


@dataclass(slots=True)
class Consumer:
    """Reads stock.updates, and keeps what a consumer keeps."""

    last: dict[str, Told] = field(default_factory=dict)
    contradicted: set[str] = field(default_factory=set)
    """SKUs of which one version was told with two contents."""
    late: int = 0
    """Updates that came behind one with a higher version; a consumer ignores them."""
    _contents: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, sku: str, told: Told) -> None:
        """Take one update in the order of the log."""
        content = hash((told.available, tuple(sorted(told.levels.items()))))
        if self._contents.setdefault((sku, told.version), content) != content:
            self.contradicted.add(sku)
        last = self.last.get(sku)
        if last is None or told.version > last.version:
            self.last[sku] = told
        elif told.version < last.version:
            self.late += 1


@dataclass(frozen=True, slots=True)
class Found:
    """What a scenario left behind."""

    stream: Path
    """A dump of the inputs, as `tests.oracle.stream` reads it."""
    policy: Path
    missing: AbstractSet[str]
    """Ids of events that the log confirmed and does not hold."""
    applied: int
    duplicates: int
    dead: int
    stock: Mapping[str, Stock]
    consumer: Consumer


@dataclass(slots=True)
class Verdict:
    """How much is wrong, and the first of it in words."""

    lost: int = 0
    doubled: int = 0
    stale: int = 0
    events: int = 0
    copies: int = 0
    examples: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Say whether all is right."""
        return not (self.lost or self.doubled or self.stale)

    def __iadd__(self, other: "Verdict") -> Self:
        self.lost += other.lost
        self.doubled += other.doubled
        self.stale += other.stale
        self.events += other.events
        self.copies += other.copies
        for text in other.examples:
            self.say(text)
        return self

    def say(self, text: str) -> None:
        """Keep an example if there is room."""
        if len(self.examples) < EXAMPLES_MAX and text not in self.examples:
            self.examples.append(text)


def judge(found: Found) -> Verdict:
    """Compare what was left behind with the truth."""
    names = Names()
    stream = read_stream(found.stream, names)
    expected = work_out(stream, read_policy(found.policy), names, len(names.sku))
    verdict = Verdict(events=stream.good, copies=stream.duplicates)
    _judge_counts(found, verdict)
    _judge_positions(found, expected, verdict)
    _judge_updates(found, expected, verdict)
    return verdict


def _judge_counts(found: Found, verdict: Verdict) -> None:
    distinct, copies = verdict.events, verdict.copies
    gone = len(found.missing) + max(0, distinct - found.applied) + found.dead
    if gone:
        verdict.lost += gone
        verdict.say(
            f"events: expected {distinct} applied and none rejected, got {found.applied} applied, "
            f"{found.dead} rejected, {len(found.missing)} not in the log"
        )
    more = max(0, found.applied - distinct) or abs(copies - found.duplicates)
    if more:
        verdict.doubled += more
        verdict.say(
            f"events: expected {distinct} applied and {copies} known as copies, "
            f"got {found.applied} and {found.duplicates}"
        )


def _judge_positions(found: Found, expected: Expected, verdict: Verdict) -> None:
    """Count figures that are not the truth."""
    columns = [FIELDS.index(name) for name in Figures._fields]
    codes, places = unpack(expected.positions.keys)
    truth: dict[tuple[str, str], Figures] = {
        (expected.skus[sku], expected.locations[place]): Figures(*row)
        for sku, place, row in zip(
            codes.tolist(),
            places.tolist(),
            expected.positions.rows[:, columns].tolist(),
            strict=True,
        )
    }
    stock = found.stock
    kept = {(sku, place): f for sku, s in stock.items() for place, f in s.positions.items()}
    nothing = Figures(0, 0, 0, NONE)
    wrong: dict[tuple[str, str], int] = {}
    for key in truth.keys() | kept.keys():
        want, got = truth.get(key, nothing), kept.get(key, nothing)
        if want != got:
            wrong[key] = got.on_hand - want.on_hand
            verdict.say(f"{key[0]} at {key[1]}: expected {want}, got {got}")
    for sku, unrouted in zip(expected.skus, expected.unrouted.tolist(), strict=True):
        have = stock[sku].unrouted if sku in stock else 0
        if have != unrouted:
            wrong[sku, ORDERS] = have - unrouted
            verdict.say(f"{sku}: expected {unrouted} unrouted, got {have}")
    if wrong:
        _blame(found, wrong, verdict)


def _blame(found: Found, wrong: Mapping[tuple[str, str], int], verdict: Verdict) -> None:
    """Count a wrong figure as lost or doubled, by the sizes of its events: which of them explains it?

    Where both would do, or none, it is what most events are by their number.
    """
    too_many = found.applied > verdict.events
    sizes: dict[tuple[str, str], set[int]] = {}
    with found.stream.open("rb") as lines:
        for line in lines:
            event = orjson.loads(orjson.loads(line)["value"])
            kind, data = event["type"], event["data"]
            sign = SIGNS.get(kind, 0)
            for each in data.get("lines", ()):
                change = sign * each["quantity"]
                sizes.setdefault((each["sku"], data.get("location", ORDERS)), set()).add(change)
                if kind == "wms.shipment":
                    sizes.setdefault((each["sku"], ORDERS), set()).add(change)
    for key, difference in wrong.items():
        known = sizes.get(key, set())
        is_one_less, is_one_more = -difference in known, difference in known
        if (is_one_more and not is_one_less) or (is_one_more == is_one_less and too_many):
            verdict.doubled += 1
        else:
            verdict.lost += 1


def _judge_updates(found: Found, expected: Expected, verdict: Verdict) -> None:
    """Count SKUs of which consumers do not know the truth, or may not come to know the next."""
    for at, sku in enumerate(expected.skus):
        if not expected.touched[at]:
            continue
        stock, told = found.stock.get(sku), found.consumer.last.get(sku)
        levels = {
            channel: level
            for channel, level in zip(expected.channels, expected.levels[at].tolist(), strict=True)
            if level != ABSENT
        }
        want = (int(expected.available[at]), levels)
        wrong = [
            text
            for is_so, text in (
                (stock is None, "not in the store"),
                (stock is not None and stock.open, "its claim is left open"),
                (sku in found.consumer.contradicted, "one version was told with two contents"),
                (told is None, "never told"),
                (told is not None and (told.available, dict(told.levels)) != want, f"expected {want}, told {told}"),
                (stock is not None and told is not None and stock.version < told.version,
                 f"version {stock and stock.version} in the store, {told and told.version} was told"),
            )
            if is_so
        ]  # fmt: skip
        if wrong:
            verdict.stale += 1
            verdict.say(f"{sku}: {'; '.join(wrong)}")


def left_open(verdict: Verdict, lag: int, due: int, words: str) -> None:
    """Count what did not become idle: messages that were never applied, SKUs that were never told."""
    verdict.lost += lag
    verdict.stale += due
    verdict.say(f"not idle: {words}")


def kept_of(updates: Iterable[tuple[str, Told]]) -> Consumer:
    """Return a consumer that has taken these updates."""
    consumer = Consumer()
    for sku, told in updates:
        consumer.take(sku, told)
    return consumer
