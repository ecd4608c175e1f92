"""Holds in memory: the rules of `functions/holds.lua` and `functions/hold.lua` in plain Python.

A hold lives while its record exists, whatever the time: it ends together with its units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from state.events.order_key import ordered_by, parts
from state.memory.orders import OrderRecord
from state.memory.sku import PositionRecord, SkuRecord
from state.protocol.common import LocationTerms
from state.protocol.holds import (
    ABSENT_HOLD,
    EXPIRED,
    IS_PINNED,
    SOLD,
    WAS_RELEASED,
    Conflict,
    Ended,
    Held,
    HeldLine,
    HoldAnswer,
    HoldRequest,
    HoldState,
    Keep,
    KeepAnswer,
    Kept,
    LocationLine,
    Pinned,
    Placed,
    PoolLine,
    Release,
    Short,
    StaleSums,
)

Touch = Callable[[str], SkuRecord]
"""Note that a hold moves a SKU; return its figures."""


@dataclass(slots=True)
class HoldRecord:
    """The part of one hold that a shard keeps."""

    fingerprint: str
    expiry_ms: int
    by: str
    shards: tuple[int, ...]
    lines: dict[tuple[str, str], tuple[int, LocationTerms, int]]
    """(SKU, location) -> units, and the terms that they were taken under, with the revision of their sums."""
    order: str = ""
    """The order that it is pinned for."""

    def units_of(self, request: HoldRequest) -> tuple[int, ...]:
        """Return what it keeps for each line of its request."""
        found = (self.lines.get((line.sku, request.location)) for line in request.lines)
        return tuple(0 if each is None else each[0] for each in found)

    def held(self) -> tuple[HeldLine, ...]:
        """Return what it keeps."""
        return tuple(sorted(HeldLine(*where, units) for where, (units, _, _) in self.lines.items()))


@dataclass(slots=True)
class MovedSkus:
    """The SKUs that a call which changes holds alone has moved. It is no event: no alert names it."""

    skus: dict[str, SkuRecord]
    now_ms: int
    queued: dict[str, bool] = field(default_factory=dict)
    """SKU -> whether it was due already."""

    def touch(self, name: str) -> SkuRecord:
        """Note that a hold moves a SKU; return its figures."""
        sku = self.skus[name]
        self.queued.setdefault(name, sku.cause_ms > 0)
        sku.touch(0, self.now_ms, "")
        return sku


@dataclass(slots=True)
class Holds:
    """All holds of one shard."""

    records: dict[str, HoldRecord] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    """How holds ended."""

    def hold(
        self,
        skus: Mapping[str, SkuRecord],
        request: HoldRequest,
        sums_revision: int,
        touch: Touch,
    ) -> HoldAnswer:
        """Take what is asked for, if there is enough."""
        known = self.records.get(request.hold)
        if known:
            if known.fingerprint != request.fingerprint:
                return Conflict()
            return Held(known.expiry_ms, known.units_of(request))
        if request.hold in self.ended:
            return Ended(self.ended[request.hold])
        could, stale = _look(skus, request, sums_revision)
        if stale:
            return StaleSums(tuple(stale))
        wanted = [line.quantity for line in request.lines]
        if not request.partial and any(n < q for n, q in zip(could, wanted, strict=True)):
            return Short(tuple(could))
        granted = tuple(map(min, could, wanted))
        record = HoldRecord(request.fingerprint, request.expiry_ms, request.by, request.shards, {})
        for at, line in enumerate(request.lines):
            units = granted[at]
            if units:
                terms = LocationTerms("", 0, 0, 0)
                if isinstance(line, LocationLine):
                    terms = LocationTerms(request.location, line.klass, line.floor, line.base)
                record.lines[line.sku, request.location] = (units, terms, sums_revision)
                _move(touch(line.sku), units, terms, sums_revision)
        self.records[request.hold] = record
        return Held(request.expiry_ms, granted)

    def keep(self, orders: Mapping[str, OrderRecord], call: Keep) -> KeepAnswer:
        """Let a hold live longer, and pin it for an order if one is named."""
        record = self.records.get(call.hold)
        if record is None:
            return Ended(self.ended.get(call.hold, ""))
        if call.order:
            if record.order not in {"", call.order}:
                return Pinned(record.order)
            channel, order = parts(call.order)
            if order in orders and channel in orders[order].placed:
                return Placed()
            record.order = call.order
        record.expiry_ms = max(record.expiry_ms, call.expiry_ms)
        return Kept(record.expiry_ms, record.by, record.shards, record.held())

    def release(self, item: Release, touch: Touch) -> int:
        """End a hold; one that is pinned only for its order."""
        record = self.records.get(item.hold)
        if record is None:
            return ABSENT_HOLD
        if record.order not in {"", item.order}:
            return IS_PINNED
        self._finish(item.hold, item.how, touch)
        return WAS_RELEASED

    def sweep(self, now_ms: int, limit: int, touch: Touch) -> int:
        """End the holds whose time is over, `limit` at most. Return how many."""
        over = sorted(
            (record.expiry_ms, hold.encode(), hold)
            for hold, record in self.records.items()
            if record.expiry_ms <= now_ms
        )[:limit]
        for _, _, hold in over:
            self._finish(hold, EXPIRED, touch)
        return len(over)

    def consume(self, hold: str, order: str, touch: Touch) -> None:
        """An order was placed, or goods were sold, out of a hold, if it is still there."""
        if hold in self.records:
            self._finish(hold, ordered_by(order) if order else SOLD, touch)

    def listed(self, names: Sequence[str] = ()) -> list[HoldState]:
        """Return what holds keep: those named, or all, by expiry."""
        found = names or sorted(
            self.records, key=lambda hold: (self.records[hold].expiry_ms, hold.encode())
        )
        return [
            HoldState(hold, record.expiry_ms, record.by, record.shards, record.order, record.held())
            for hold in found
            if (record := self.records.get(hold))
        ]

    def _finish(self, hold: str, how: str, touch: Touch) -> None:
        for (sku, _), (units, terms, revision) in self.records.pop(hold).lines.items():
            _move(touch(sku), -units, terms, revision)
        if how:
            self.ended[hold] = how


def _look(
    skus: Mapping[str, SkuRecord], request: HoldRequest, sums_revision: int
) -> tuple[list[int], list[str]]:
    """Return what there is for each line, and the SKUs of which that is not known."""
    could, stale = [], []
    for line in request.lines:
        sku = skus.get(line.sku)
        if sku is None:
            could.append(_of_nothing(line))
        elif sku.revision != sums_revision:
            stale.append(line.sku)
        elif isinstance(line, PoolLine):
            could.append(_of_pool(sku, line))
        else:
            position = sku.positions.get(request.location) or PositionRecord()
            could.append(max(0, min(position.atp(), sku.available())))
    return could, stale


def _of_nothing(line: PoolLine | LocationLine) -> int:
    return _of_pool(SkuRecord(0), line) if isinstance(line, PoolLine) else 0


def _of_pool(sku: SkuRecord, line: PoolLine) -> int:
    """Return what the channel of a line may show at this moment."""
    rule = line.rule
    pool = sum(sku.sums.get(klass, 0) for klass in rule.classes)
    for terms in rule.silent:
        position = sku.positions.get(terms.location)
        if position and terms.klass in rule.classes:
            pool -= position.contribution(terms.floor)
    pool -= sku.unrouted + sku.held + rule.kept
    level = pool * rule.share_bp // 10_000 - rule.buffer
    return level if level > rule.cutoff else 0


def _move(sku: SkuRecord, units: int, terms: LocationTerms, revision: int) -> None:
    """Take units for a hold, or give them back if below 0."""
    if not terms.location:
        sku.held += units
        return
    sku.reserve(terms, units, revision)
