"""One shard of either back end, and a bench to drive it with few words."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.redis.cluster import Client
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
from state.memory.shard import MemoryShard
from state.protocol.apply import Applied, Apply, Part, ShardEvent, ShardOp
from state.protocol.claim import Claim, Claimed, Due, Gate, Settle
from state.protocol.common import Behind, LocationTerms, StalePolicy
from state.protocol.control import Rebuild, Recover, Tick, Ticked
from state.protocol.figures import SkuState
from state.protocol.holds import Hold, HoldAnswer, HoldState, Keep, KeepAnswer, Release
from state.protocol.keys import Keys
from state.store.holds import HoldStore
from state.store.shards import Store
from tests.state.everything import Everything, of_memory, of_redis

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
GUARD_MS = 97 * HOUR_MS

WAREHOUSE, SHOP, PLATFORM = 0, 1, 2
PLACES = (
    LocationTerms("warehouse", klass=0, floor=0, base=1),
    LocationTerms("shop", klass=1, floor=1, base=1),
    LocationTerms("platform", klass=2, floor=0, base=0),
)


class Shard(Protocol):
    """The verbs of one shard, whatever keeps it."""

    def apply(self, call: Apply) -> Applied | Behind: ...
    def tick(self, call: Tick) -> Ticked | Behind: ...
    def recover(self, call: Recover) -> int: ...
    def claim(self, call: Claim) -> Claimed | StalePolicy: ...
    def settle(self, now_us: int, revision: int, items: tuple[Settle, ...]) -> int: ...
    def rebuild(self, call: Rebuild) -> int | StalePolicy: ...
    def hold(self, call: Hold) -> tuple[HoldAnswer, ...] | StalePolicy: ...
    def keep(self, call: Keep) -> KeepAnswer: ...
    def release(self, now_us: int, items: Sequence[Release]) -> list[int]: ...
    def sweep(self, now_us: int, limit: int) -> int: ...
    def listed(self) -> list[HoldState]: ...
    def read(self, name: str) -> SkuState | None: ...
    def everything(self) -> Everything: ...
    def save(self) -> object: ...
    def roll_back(self, saved: object) -> None: ...


class MemoryPool(MemoryShard):
    """The reference."""

    def listed(self) -> list[HoldState]:
        return self.holds.listed()

    def everything(self) -> Everything:
        return of_memory(self)

    def save(self) -> object:
        return copy.deepcopy(self)

    def roll_back(self, saved: object) -> None:
        past = copy.deepcopy(saved)
        for name in MemoryShard.__slots__:
            setattr(self, name, getattr(past, name))


class RedisPool:
    """The function library: shard 0 of a store of one shard."""

    def __init__(self, client: Client, namespace: str = "t") -> None:
        self.client = client
        self.keys = Keys(namespace)
        self.store = Store(client, self.keys, 1)
        self.store.load_functions()
        self.held = HoldStore(self.store)

    def apply(self, call: Apply) -> Applied | Behind:
        return self.store.apply({0: call})[0]

    def tick(self, call: Tick) -> Ticked | Behind:
        return self.store.tick({0: call})[0]

    def recover(self, call: Recover) -> int:
        return self.store.recover(0, call)

    def claim(self, call: Claim) -> Claimed | StalePolicy:
        return self.store.claim({0: call})[0]

    def settle(self, now_us: int, revision: int, items: tuple[Settle, ...]) -> int:
        return self.store.settle(now_us, revision, {0: items})

    def rebuild(self, call: Rebuild) -> int | StalePolicy:
        return self.store.rebuild(0, call)

    def hold(self, call: Hold) -> tuple[HoldAnswer, ...] | StalePolicy:
        return self.held.hold({0: call})[0]

    def keep(self, call: Keep) -> KeepAnswer:
        return self.held.keep({0: call})[0]

    def release(self, now_us: int, items: Sequence[Release]) -> list[int]:
        return self.held.release(now_us, {0: items})[0]

    def sweep(self, now_us: int, limit: int) -> int:
        return self.held.sweep([0], now_us, limit)

    def listed(self) -> list[HoldState]:
        return list(self.held.listed(0))

    def read(self, name: str) -> SkuState | None:
        return self.store.read(name)

    def everything(self) -> Everything:
        return of_redis(self.client, self.keys)

    def save(self) -> object:
        pipeline = self.client.pipeline(transaction=False)
        names = self._names()
        for name in names:
            pipeline.dump(name)
        return list(zip(names, pipeline.execute(), strict=True))

    def roll_back(self, saved: object) -> None:
        assert isinstance(saved, list)
        pipeline = self.client.pipeline(transaction=False)
        if names := self._names():
            pipeline.delete(*names)
        for name, dumped in saved:
            pipeline.restore(name, 0, dumped)
        pipeline.execute()

    def _names(self) -> list[bytes]:
        return sorted(self.client.scan_iter(match=self.keys.shard(0, "*"), count=1000))


def move(sku: str, place: int, on_hand: int, *, unavailable: int = 0, demand: int = 0) -> ShardOp:
    return (MOVE, sku, place, on_hand, unavailable, demand)


def count(sku: str, place: int, counted_at_ms: int, quantity: int) -> ShardOp:
    return (COUNT, sku, place, counted_at_ms, quantity)


def incoming(sku: str, place: int, reference: str, delta: int) -> ShardOp:
    return (INCOMING, sku, place, reference, delta)


def place_order(sku: str, order: str, quantity: int, channel: str = "shopee") -> ShardOp:
    return (ORDER, sku, order, channel, quantity)


def cancel(sku: str, order: str, quantity: int, channel: str = "") -> ShardOp:
    return (CANCEL, sku, order, channel, quantity)


def void(order: str, channel: str = "") -> ShardOp:
    return (VOID, "", order, channel)


def ship(sku: str, order: str, quantity: int, channel: str = "", location: str = "shop") -> ShardOp:
    return (SHIP, sku, order, channel, quantity, location)


def consume(hold: str, order: str = "") -> ShardOp:
    return (CONSUME, "", hold, order)


def take_back(
    sku: str, order: str, sellable: int, damaged: int = 0, place: int = WAREHOUSE
) -> ShardOp:
    return (RETURN, sku, order, sellable, damaged, place)


def ship_netted(
    sku: str, order: str, quantity: int, channel: str = "", place: int = WAREHOUSE
) -> ShardOp:
    return (NETTED, sku, order, channel, quantity, place)


def close(reference: str, location: str = "warehouse") -> ShardOp:
    return (CLOSE, "", location, reference)


@dataclass(slots=True)
class Bench:
    """A shard with one log of several partitions before it, a clock and a policy."""

    shard: Shard
    now_ms: int = NOW_MS
    revision: int = 1
    sums_revision: int = 1
    places: tuple[LocationTerms, ...] = PLACES
    offsets: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    made: int = 0

    @property
    def now_us(self) -> int:
        return self.now_ms * 1000

    def event(
        self,
        *ops: ShardOp,
        event_id: str = "",
        time_ms: int = 0,
        log_ms: int = 0,
        slice_: int = 100,
        partition: str = "log/0",
    ) -> ShardEvent:
        """Append an event to the log."""
        offset = self.offsets[partition] = self.offsets.get(partition, -1) + 1
        self.made += 1
        orders = [op[2] for op in ops if op[0] in (ORDER, CANCEL, VOID, SHIP, RETURN, NETTED)]
        return ShardEvent(
            offset,
            event_id or str(self.made),
            slice_,
            time_ms or self.now_ms,
            log_ms or self.now_ms,
            1,
            str(orders[0]) if orders else "",
            ops,
        )

    def call(self, *events: ShardEvent, partition: str = "log/0") -> Apply:
        """Return the call that brings all of the partition up to the last event given."""
        after = self.after.get(partition, -1)
        upto = events[-1].offset if events else after
        self.after[partition] = upto
        part = Part(partition, after, upto, events)
        return Apply(self.now_us, self.sums_revision, GUARD_MS, self.places, (part,))

    def send(self, *events: ShardEvent, partition: str = "log/0") -> Applied:
        reply = self.shard.apply(self.call(*events, partition=partition))
        assert isinstance(reply, Applied)
        return reply

    def do(self, *ops: ShardOp, time_ms: int = 0, log_ms: int = 0) -> Applied:
        """Apply one event with these ops."""
        return self.send(self.event(*ops, time_ms=time_ms, log_ms=log_ms))

    def sku(self, name: str = "A") -> SkuState:
        state = self.shard.read(name)
        assert state is not None
        return state

    def on_hand(self, name: str = "A", location: str = "warehouse") -> int:
        return next((p.on_hand for p in self.sku(name).positions if p.location == location), 0)

    def incoming(self, name: str = "A", location: str = "warehouse") -> int:
        return next((p.incoming for p in self.sku(name).positions if p.location == location), 0)

    def claim(
        self,
        *,
        limit: int = 100,
        lease_ms: int = 5000,
        business_ms: int = 0,
        silent: tuple[str, ...] = (),
        gates: tuple[Gate, ...] = (),
    ) -> Claimed:
        reply = self.shard.claim(
            Claim(
                self.now_us, lease_ms, self.revision, self.sums_revision, business_ms, limit,
                silent, gates,
            )
        )  # fmt: skip
        assert isinstance(reply, Claimed)
        return reply

    def claim_one(self, name: str = "A") -> Due:
        return next(due for due in self.claim().due if due.sku == name)

    def settlement(
        self, due: Due, *, generation: int = 0, levels: str = "", next_due_ms: int = 0,
        next_look_ms: int = 0, alerts: Sequence[tuple[str, str]] = (),
    ) -> Settle:  # fmt: skip
        return Settle(
            due.sku, due.token, generation, due.base - due.unrouted - due.held, levels, "",
            next_due_ms or self.now_ms + DAY_MS, next_look_ms, tuple(alerts),
        )  # fmt: skip

    def settle(self, *items: Settle, revision: int = 0) -> int:
        return self.shard.settle(self.now_us, revision or self.revision, items)

    def settle_all(self) -> None:
        """Claim and settle until nothing is due."""
        while (claimed := self.claim()).due:
            generation = claimed.generation
            self.settle(*(self.settlement(due, generation=generation) for due in claimed.due))

    def tick(
        self,
        *,
        server: str = "s1",
        business_ms: int = 0,
        parts: tuple[Part, ...] = (),
        pace_us: int = 1,
    ) -> Ticked:
        reply = self.shard.tick(
            Tick(self.now_us, server, self.revision, business_ms, parts, pace_us)
        )
        assert isinstance(reply, Ticked)
        return reply

    def recover(self, *, server: str = "s2", begin: int = 1, skew_ms: int = 1000) -> int:
        return self.shard.recover(Recover(self.now_us, server, begin, skew_ms, 100))

    def rebuild(self, *names: str) -> int:
        reply = self.shard.rebuild(
            Rebuild(self.now_us, self.revision, self.sums_revision, self.places, names)
        )
        assert isinstance(reply, int)
        return reply

    def due(self) -> dict[str, int]:
        return self.shard.everything().due

    def alerts(self, name: str = "A") -> dict[str, str]:
        return self.shard.everything().skus[name].alerts
