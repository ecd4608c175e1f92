"""From normalised events to one call per shard: its events, and the fact that they state.

A call says "of partition p, these are ALL events of shard s in (after, upto]". `Chain` keeps, for
one partition in one read session, the `upto` of the previous call to each shard, acknowledged or
not; that is the next call's `after`. `upto` is the last offset of the batch with lines in the
shard. An event is never cut: all its lines of a shard are in one call. A call with many is cut between
events (`rounds`), so that none holds Redis for long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from state.events.ops import CONSUME, COUNT, INCOMING, MOVE, NETTED, RETURN, VOID, Op
from state.protocol.apply import Apply, Part, ShardEvent, ShardOp
from state.protocol.common import LocationTerms
from state.protocol.sharding import shard_of

MEMO_MAX = 1 << 18
CALL_OPS_MAX = 250
"""Ops in one call, unless a single event has more: some 2 ms of Redis."""


class NormalEvent(NamedTuple):
    """An event ready to apply: its offset in the log, its identity, and what it does."""

    offset: int
    hash: str
    slice: int
    time_ms: int
    log_ms: int
    ops: tuple[Op, ...]


@dataclass(slots=True)
class Chain:
    """One partition in one read session.

    `position` is the last offset read, `last` the newest `upto` handed to each shard. Both start
    at the resume position, the minimum of the watermarks over all shards.
    """

    watermark: str
    position: int
    last: list[int] = field(default_factory=list)

    @classmethod
    def starting(cls, watermark: str, resume: int, shards: int) -> "Chain":
        """Return the chain of a session that begins behind the offset `resume`."""
        return cls(watermark, resume, [resume] * shards)

    def catch_up(self) -> list[Part]:
        """Return a fact for each shard, in order: it has nothing between its last and the position.

        For a tick. Only true when every call handed out so far was acknowledged.
        """
        facts = [Part(self.watermark, last, self.position) for last in self.last]
        self.last = [self.position] * len(self.last)
        return facts


class Packer:
    """Splits batches over `shards`. Remembers the shard of each SKU (bounded)."""

    def __init__(self, shards: int, guard_ms: int) -> None:
        self.shards = shards
        self.guard_ms = guard_ms
        self._shard_of: dict[str, int] = {}

    def shard(self, sku: str) -> int:
        """Return the shard of a SKU."""
        found = self._shard_of.get(sku)
        if found is None:
            if len(self._shard_of) >= MEMO_MAX:
                self._shard_of.clear()
            found = self._shard_of[sku] = shard_of(sku, self.shards)
        return found

    def pack(
        self,
        batch: Iterable[tuple[Chain, int, Sequence[NormalEvent]]],
        locate: Callable[[str, str], LocationTerms],
        now_us: int,
        sums_revision: int,
    ) -> dict[int, Apply]:
        """Return the call of each shard that has lines in the batch, and move the chains on.

        `batch` holds for each partition its chain, the last offset read (also of events that were
        rejected) and its good events in offset order.
        """
        tables: list[dict[LocationTerms, int]] = [{} for _ in range(self.shards)]
        parts: list[list[Part]] = [[] for _ in range(self.shards)]
        for chain, position, events in batch:
            by_shard: list[list[ShardEvent]] = [[] for _ in range(self.shards)]
            for event in events:
                self._split(event, by_shard, tables, locate)
            for shard, mine in enumerate(by_shard):
                if mine:
                    upto = mine[-1].offset
                    parts[shard].append(Part(chain.watermark, chain.last[shard], upto, tuple(mine)))
                    chain.last[shard] = upto
            chain.position = position
        return {
            shard: Apply(now_us, sums_revision, self.guard_ms, tuple(tables[shard]), tuple(facts))
            for shard, facts in enumerate(parts)
            if facts
        }

    def _split(
        self,
        event: NormalEvent,
        by_shard: list[list[ShardEvent]],
        tables: list[dict[LocationTerms, int]],
        locate: Callable[[str, str], LocationTerms],
    ) -> None:
        known = self._shard_of
        offset, digest, slice_, time_ms, log_ms, event_ops = event
        if len(event_ops) == 1 and event_ops[0][0] == MOVE:
            # A sale of one thing, the most common event, without tables for the many shards of the others.
            _, sku, location, on_hand, unavailable, sold = event_ops[0]
            shard = known[sku] if sku in known else self.shard(sku)
            places, where = tables[shard], locate(sku, location)
            at = places.setdefault(where, len(places))
            moved = ((MOVE, sku, at, on_hand, unavailable, sold),)
            values = (offset, digest, slice_, time_ms, log_ms, 1, "", moved)
            by_shard[shard].append(tuple.__new__(ShardEvent, values))
            return
        split: dict[int, list[ShardOp]] = {}
        table: dict[LocationTerms, int] = {}
        mine: list[ShardOp] = []
        order, last = "", None
        for op in event_ops:
            sku = op[1]
            if sku != last:
                # The ops of one line follow each other: most SKUs are looked up once.
                if not sku:
                    order = self._everywhere(op, split, order)
                    continue
                last = sku
                shard = known[sku] if sku in known else self.shard(sku)
                table = tables[shard]
                mine = split[shard] if shard in split else split.setdefault(shard, [])
            if op[0] == MOVE or op[0] == INCOMING or op[0] == COUNT:
                # An op that names a location carries the index of its terms on the wire.
                where = locate(sku, op[2])
                at = table.get(where, -1)
                if at < 0:
                    at = table[where] = len(table)
                if op[0] == MOVE:
                    mine.append((MOVE, sku, at, op[3], op[4], op[5]))
                elif op[0] == INCOMING:
                    mine.append((INCOMING, sku, at, op[3], op[4]))
                else:
                    mine.append((COUNT, sku, at, op[3], op[4]))
            elif op[0] == RETURN or op[0] == NETTED:
                order, where = op[2], locate(sku, op[5])
                mine.append((*op[:5], table.setdefault(where, len(table))))
            else:
                order = op[2]
                mine.append(op)
        home = 1
        for shard, mine in split.items():
            # As the constructor of the named tuple, without the call of a Python function.
            parts = (offset, digest, slice_, time_ms, log_ms, home, order, tuple(mine))
            by_shard[shard].append(tuple.__new__(ShardEvent, parts))
            home = 0

    def _everywhere(self, op: Op, split: dict[int, list[ShardOp]], order: str) -> str:
        """Hand out an op that names no SKU; return the order of its event as it is known now.

        Every shard gets it, the use of a hold only those where the event has lines.
        """
        if op[0] == CONSUME:
            for mine in split.values():
                mine.append(op)
            return order
        for shard in range(self.shards):
            split.setdefault(shard, []).append(op)  # type: ignore[arg-type]
        return op[2] if op[0] == VOID else order


def rounds(calls: Mapping[int, Apply], ops_max: int = CALL_OPS_MAX) -> Iterator[dict[int, Apply]]:
    """Yield the calls in rounds of one call per shard at most, none with more ops than that.

    Only a single event may have more. The calls of a shard are to be made in this order; each builds on the
    one before it.
    """
    pieces = (tuple(_pieces(call, ops_max)) for call in calls.values())
    for turn in zip_longest(*pieces):
        yield {shard: call for shard, call in zip(calls, turn, strict=True) if call is not None}


def _pieces(call: Apply, ops_max: int) -> Iterator[Apply]:
    """Yield a call cut between events; together the pieces state what it states."""
    parts: list[Part] = []
    room = ops_max
    for watermark, after, upto, events in call.parts:
        begun, first = after, 0
        for at, event in enumerate(events):
            size = len(event.ops)
            if size > room < ops_max:
                if at > first:
                    reached = events[at - 1].offset
                    parts.append(Part(watermark, begun, reached, events[first:at]))
                    begun, first = reached, at
                yield call._replace(parts=tuple(parts))
                parts, room = [], ops_max
            room -= size
        parts.append(Part(watermark, begun, upto, events[first:]))
    yield call._replace(parts=tuple(parts))
