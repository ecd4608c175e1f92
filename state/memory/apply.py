"""One `apply` in memory: what each op of an event does to SKUs, orders and references."""

from dataclasses import dataclass, field
from functools import partial

from state.events.ops import (
    CANCEL,
    CLOSE,
    CONSUME,
    COUNT,
    INCOMING,
    MOVE,
    NETTED,
    ORDER,
    RETURN,
    SHIP,
    VOID,
)
from state.memory.holds import Holds
from state.memory.orders import Answers, Back, OrderRecord
from state.memory.sku import Before, SkuRecord
from state.protocol.apply import Apply, ShardEvent, ShardOp
from state.protocol.common import LocationTerms

VOID_SUMS = -1
"""The revision of no sums: what moves under it moves none."""


@dataclass(slots=True)
class ApplyRun:
    """The events of one call, applied in order. `before` gathers the SKUs that they touch."""

    call: Apply
    skus: dict[str, SkuRecord]
    orders: dict[str, OrderRecord]
    references: dict[str, dict[tuple[str, str], int]]
    holds: Holds
    before: dict[str, Before] = field(default_factory=dict)
    absorbed: int = 0
    """Movements that a count had seen."""

    def apply(self, watermark: str, event: ShardEvent) -> None:
        """Apply all ops of one event."""
        for op in event.ops:
            if op[0] == VOID:
                self._void(watermark, event, op[2], op[3])
            elif op[0] == CLOSE:
                self._close(watermark, event, op[2], op[3])
            elif op[0] == CONSUME:
                self.holds.consume(
                    op[2], op[3], partial(self._touch, watermark=watermark, event=event)
                )
            else:
                self._apply_op(self._touch(op[1], watermark, event), event, op)

    def _apply_op(self, sku: SkuRecord, event: ShardEvent, op: ShardOp) -> None:
        revision = self.call.sums_revision
        if op[0] == MOVE:
            terms = self.call.places[op[2]]
            self.absorbed += sku.move(terms, event.time_ms, op[3], op[4], revision)
            if op[5]:
                sku.sell(event.time_ms, op[5])
        elif op[0] == COUNT:
            sku.count(self.call.places[op[2]], op[3], op[4], revision)
        elif op[0] == INCOMING:
            location = self.call.places[op[2]].location
            sku.announce(location, self._refer(op[3], op[1], location, op[4]))
        elif op[0] == ORDER:
            record = self.orders[op[2]]
            before = record.answers(op[1])
            if record.place(op[3], event.hash, event.time_ms, op[1], op[4]):
                sku.sell(event.time_ms, op[4])
                sku.unrouted += record.rebalance(op[1])
                self._move_answers(sku, op[2], before, record.answers(op[1]))
        elif op[0] == CANCEL:
            record = self.orders[op[2]]
            record.cancel(op[3], op[1], op[4])
            sku.unrouted += record.rebalance(op[1])
        elif op[0] == SHIP:
            record = self.orders[op[2]]
            before = record.answers(op[1])
            record.ship(op[3], op[1], op[5], op[4])
            sku.unrouted += record.rebalance(op[1])
            self._move_answers(sku, op[2], before, record.answers(op[1]))
        elif op[0] == NETTED:
            record, terms = self.orders[op[2]], self.call.places[op[5]]
            before = record.answers(op[1])
            record.ship_netted(op[3], op[1], terms.location, event.time_ms, op[4])
            sku.unrouted += record.rebalance(op[1])
            self._move_answers(sku, op[2], before, record.answers(op[1]), terms)
        elif op[0] == RETURN:
            record, terms = self.orders[op[2]], self.call.places[op[5]]
            before = record.answers(op[1])
            for is_damaged, units in enumerate(op[3:5]):
                back = Back(op[1], event.time_ms, terms.location, bool(is_damaged))
                record.take_back(back, units)
            self._move_answers(sku, op[2], before, record.answers(op[1]), terms)

    def _move_answers(
        self,
        sku: SkuRecord,
        order: str,
        before: Answers,
        now: Answers,
        terms: LocationTerms | None = None,
    ) -> None:
        """Move the figures from what an order answered for before to what it answers for now.

        Of a location other than that of the event, whose `terms` they are, neither class nor floor are known here.
        """
        for location, time_ms in {**before.moved, **now.moved}:
            was = before.moved.get((location, time_ms), (0, 0))
            to = now.moved.get((location, time_ms), (0, 0))
            on_hand, unavailable = to[0] - was[0], to[1] - was[1]
            if not (on_hand or unavailable):
                continue
            where, revision = terms, self.call.sums_revision
            if where is None or where.location != location:
                sku.revision = 0
                where, revision = LocationTerms(location, 0, 0, 0), VOID_SUMS
            self.absorbed += sku.move(where, time_ms, on_hand, unavailable, revision)
        if now.beyond > before.beyond:
            sku.alerts[f"overreturned:{order}"] = f"{now.beyond} {sku.last}"

    def _void(self, watermark: str, event: ShardEvent, order: str, channel: str) -> None:
        """Give up an order: of all SKUs that were ever open in its record, here."""
        record = self.orders[order]
        record.void(channel)
        for name in record.unrouted:
            self._touch(name, watermark, event).unrouted += record.rebalance(name)

    def _touch(self, name: str, watermark: str, event: ShardEvent) -> SkuRecord:
        sku = self.skus.get(name)
        if sku is None:
            sku = self.skus[name] = SkuRecord(self.call.sums_revision)
        if name not in self.before:
            self.before[name] = sku.before()
        sku.touch(event.time_ms, event.log_ms, f"{watermark}/{event.offset}")
        return sku

    def _close(self, watermark: str, event: ShardEvent, location: str, reference: str) -> None:
        """Let nothing more be in transit to a location under a reference, now or later."""
        record = self.references.setdefault(reference, {})
        for name, where in [key for key in record if key[0] and key[1] == location]:
            net = record.pop((name, where))
            if net > 0:
                self._touch(name, watermark, event).announce(location, -net)
        record["", location] = 1

    def _refer(self, reference: str, name: str, location: str, delta: int) -> int:
        """Note a delta under its reference. Return by how much more, or less, is in transit."""
        record = self.references.setdefault(reference, {})
        if ("", location) in record:
            return 0
        before = record.get((name, location), 0)
        record[name, location] = before + delta
        return max(0, before + delta) - max(0, before)
