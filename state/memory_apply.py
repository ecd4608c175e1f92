"""One `apply` in memory: what each op of an event does to SKUs, orders and references."""

from dataclasses import dataclass, field

from state.calls import Apply, ShardEvent, ShardOp
from state.memory_orders import OrderRecord
from state.memory_sku import Before, SkuRecord
from state.ops import CANCEL, COUNT, INCOMING, MOVE, PLACE, SHIP, VOID


@dataclass(slots=True)
class Run:
    """The events of one call, applied in order. `before` gathers the SKUs that they touch."""

    call: Apply
    skus: dict[str, SkuRecord]
    orders: dict[str, OrderRecord]
    references: dict[str, dict[tuple[str, str], int]]
    before: dict[str, Before] = field(default_factory=dict)
    absorbed: int = 0
    """Movements that a count had seen."""

    def apply(self, mark: str, event: ShardEvent) -> None:
        """Apply all ops of one event."""
        for op in event.ops:
            if op[0] == VOID:
                self._void(mark, event, op[2], op[3])
            else:
                self._apply_op(self._touch(op[1], mark, event), event, op)

    def _apply_op(self, sku: SkuRecord, event: ShardEvent, op: ShardOp) -> None:
        revision = self.call.revision
        if op[0] == MOVE:
            place = self.call.places[op[2]]
            self.absorbed += sku.move(place, event.time_ms, op[3], op[4], revision)
            if op[5]:
                sku.sell(event.time_ms, op[5])
        elif op[0] == COUNT:
            sku.count(self.call.places[op[2]], op[3], op[4], revision)
        elif op[0] == INCOMING:
            location = self.call.places[op[2]].location
            sku.announce(location, self._refer(op[3], op[1], location, op[4]))
        elif op[0] == PLACE:
            record = self.orders[op[2]]
            if record.place(op[3], event.hash, op[1], op[4]):
                sku.sell(event.time_ms, op[4])
                sku.unrouted += record.rebalance(op[1])
        elif op[0] == CANCEL:
            record = self.orders[op[2]]
            record.cancel(op[3], op[1], op[4])
            sku.unrouted += record.rebalance(op[1])
        elif op[0] == SHIP:
            record = self.orders[op[2]]
            record.ship(op[3], op[1], op[5], op[4])
            sku.unrouted += record.rebalance(op[1])

    def _void(self, mark: str, event: ShardEvent, order: str, channel: str) -> None:
        """Give up an order: of all SKUs that were ever open in its record, here."""
        record = self.orders[order]
        record.void(channel)
        for name in record.unrouted:
            self._touch(name, mark, event).unrouted += record.rebalance(name)

    def _touch(self, name: str, mark: str, event: ShardEvent) -> SkuRecord:
        sku = self.skus.get(name)
        if sku is None:
            sku = self.skus[name] = SkuRecord(self.call.revision)
        if name not in self.before:
            self.before[name] = sku.before()
        sku.touch(event.time_ms, event.log_ms, f"{mark}/{event.offset}")
        return sku

    def _refer(self, reference: str, name: str, location: str, delta: int) -> int:
        """Note a delta under its reference. Return by how much more, or less, is under way."""
        record = self.references.setdefault(reference, {})
        before = record.get((name, location), 0)
        record[name, location] = before + delta
        return max(0, before + delta) - max(0, before)
