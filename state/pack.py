"""From normalised events to one call per shard: which events each shard gets, and which fact that states.

A call says "of partition p, these are ALL events of shard s in (after, upto]". `Chain` keeps, for one
partition in one reading run, the `upto` of the previous call to each shard, acknowledged or not; that is
the next call's `after`. `upto` is the last offset of the batch with lines in the shard. An event is never
cut: all its lines of a shard are in one call.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from state.calls import Apply, Part, Place, ShardEvent
from state.ops import INCOMING, PLACE, VOID, Op
from state.shards import shard_of

MEMO_MAX = 1 << 18


class NormalEvent(NamedTuple):
    """An event ready to apply: its place in the log, its identity, and what it does."""

    offset: int
    hash: str
    slice: int
    time_ms: int
    log_ms: int
    ops: tuple[Op, ...]


@dataclass(slots=True)
class Chain:
    """One partition in one reading run.

    `position` is the last offset read, `last` the newest `upto` handed to each shard. Both start at the
    resume position, the minimum of the marks over all shards.
    """

    mark: str
    position: int
    last: list[int] = field(default_factory=list)

    @classmethod
    def starting(cls, mark: str, resume: int, shards: int) -> "Chain":
        return cls(mark, resume, [resume] * shards)

    def catch_up(self) -> list[Part]:
        """Return the fact for a tick of each shard, in order: nothing of it lies between its last and the position.

        Only true when every call handed out so far was acknowledged.
        """
        facts = [Part(self.mark, last, self.position) for last in self.last]
        self.last = [self.position] * len(self.last)
        return facts


class Packer:
    """Splits batches over `shards`. Remembers the shard of each SKU (bounded)."""

    def __init__(self, shards: int, guard_ms: int) -> None:
        self.shards = shards
        self.guard_ms = guard_ms
        self._shard_of: dict[str, int] = {}

    def shard(self, sku: str) -> int:
        found = self._shard_of.get(sku)
        if found is None:
            if len(self._shard_of) >= MEMO_MAX:
                self._shard_of.clear()
            found = self._shard_of[sku] = shard_of(sku, self.shards)
        return found

    def pack(
        self,
        batch: Iterable[tuple[Chain, int, Sequence[NormalEvent]]],
        place: Callable[[str, str], Place],
        now_us: int,
        revision: int,
    ) -> dict[int, Apply]:
        """Return the call of each shard that has lines in the batch, and move the chains on.

        `batch` holds for each partition its chain, the last offset read (also of events that were
        rejected) and its good events in offset order.
        """
        tables: list[dict[Place, int]] = [{} for _ in range(self.shards)]
        parts: list[list[Part]] = [[] for _ in range(self.shards)]
        for chain, position, events in batch:
            by_shard: list[list[ShardEvent]] = [[] for _ in range(self.shards)]
            for event in events:
                self._split(event, by_shard, tables, place)
            for shard, mine in enumerate(by_shard):
                if mine:
                    upto = mine[-1].offset
                    parts[shard].append(Part(chain.mark, chain.last[shard], upto, tuple(mine)))
                    chain.last[shard] = upto
            chain.position = position
        return {
            shard: Apply(now_us, revision, self.guard_ms, tuple(tables[shard]), tuple(facts))
            for shard, facts in enumerate(parts)
            if facts
        }

    def _split(
        self,
        event: NormalEvent,
        by_shard: list[list[ShardEvent]],
        tables: list[dict[Place, int]],
        place: Callable[[str, str], Place],
    ) -> None:
        ops: dict[int, list[Op]] = {}
        order = ""
        for op in event.ops:
            code = op[0]
            if code == VOID:
                order = op[2]
                ops = {shard: [op] for shard in range(self.shards)}
                continue
            shard = self.shard(op[1])
            if code <= INCOMING:
                table = tables[shard]
                where = place(op[1], op[2])
                index = table.setdefault(where, len(table))
                # The wire form of an op carries the index of its place where the op names a location.
                op = cast("Op", (code, op[1], index, *op[3:]))
            elif code >= PLACE:
                order = op[2]
            mine = ops.get(shard)
            if mine is None:
                ops[shard] = [op]
            else:
                mine.append(op)
        home = 1
        for shard, mine in ops.items():
            by_shard[shard].append(
                ShardEvent(
                    event.offset, event.hash, event.slice, event.time_ms, event.log_ms, home, order, tuple(mine)
                )
            )  # fmt: skip
            home = 0
