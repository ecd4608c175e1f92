"""An event takes effect once, whole, and as of the log's time."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from flows.runtime import policy_follower
from state.events.codes import CodeTable
from state.memory.orders import OrderRecord
from state.memory.shard import MemoryShard
from state.protocol.apply import Applied, Apply, ShardEvent
from state.protocol.common import Behind
from state.store.shards import Store
from tests.rules.means import InWorker, Rule, Simulated, Traced
from tests.rules.source import in_library
from tests.simulation.profiles import CHANGING
from tests.state import traces

NOTHING_TWICE = ("guarantees.md#nothing-twice",)


class NoGuard(MemoryShard):
    def _known(self, event: ShardEvent) -> bool:
        if event.order:
            self.orders.setdefault(event.order, OrderRecord())
        return False


class EventsAreCut(MemoryShard):
    """Half of the lines of an event in one call, the others in the next."""

    def apply(self, call: Apply) -> Applied | Behind:
        reply = super().apply(_halves(call, 0))
        super().apply(_halves(call, 1))
        return reply


class FailsHalfWay(MemoryShard):
    """Some calls run out of memory after their first effects."""

    calls: int = 0

    def apply(self, call: Apply) -> Applied | Behind:
        self.calls += 1
        if self.calls % 6 == 0 and self._behind(call.parts) is None:
            marks = dict(self.watermarks)
            super().apply(_halves(call, 0))
            self.watermarks = marks
            raise redis.exceptions.OutOfMemoryError("half way")
        return super().apply(call)


class GuardOfLines(MemoryShard):
    """The second line of an event meets the hash of the first."""

    def apply(self, call: Apply) -> Applied | Behind:
        parts = tuple(
            part._replace(events=tuple(event._replace(ops=event.ops[:1]) for event in part.events))
            for part in call.parts
        )
        return super().apply(call._replace(parts=parts))


class GuardIsLookedUpFirst(MemoryShard):
    """All hashes of a call are looked up before the first is entered."""

    before: dict[int, set[str]]

    def apply(self, call: Apply) -> Applied | Behind:
        self.before = {name: set(hashes) for name, hashes in self.seen.items()}
        return super().apply(call)

    def _known(self, event: ShardEvent) -> bool:
        super()._known(event)
        near = (event.slice - 1, event.slice, event.slice + 1)
        return any(event.hash in self.before.get(each, ()) for each in near)


class GuardOfOneSlice(MemoryShard):
    def _known(self, event: ShardEvent) -> bool:
        known = event.hash in self.seen.get(event.slice, ())
        super()._known(event)
        return known


def _halves(call: Apply, second: int) -> Apply:
    """Return the call with half of the ops of each event."""

    def half(event: ShardEvent) -> ShardEvent:
        middle = (len(event.ops) + 1) // 2
        return event._replace(ops=event.ops[middle:] if second else event.ops[:middle])

    parts = tuple(part._replace(events=tuple(map(half, part.events))) for part in call.parts)
    return call._replace(parts=parts)


def _newest_code(
    self: CodeTable, system: str, code: str, _timestamp_ms: int
) -> tuple[str, int] | None:
    row = self.newest(system, code)
    return None if row is None else (row.sku, row.units)


def without_guard() -> None:
    """Nothing stops an event that was sent again."""
    in_library(
        (
            "if group.known[at] == 1 or (group.added and added_before(run.guard, slice, hash)) then",
            "if false then",
        )
    )


def without_cut() -> None:
    """An event of several ops is cut over two calls."""
    apply = Store.apply

    def apply_in_two(self: Store, calls: Mapping[int, Any]) -> Any:
        firsts, seconds = {}, {}
        for shard, call in calls.items():
            *others, part = call.parts
            *before, last = part.events
            firsts[shard] = call
            if len(last.ops) > 1:
                half = last._replace(ops=last.ops[:1])
                rest = last._replace(ops=last.ops[1:])
                cut_off = part._replace(events=(*before, half))
                firsts[shard] = call._replace(parts=(*others, cut_off))
                after = part._replace(after=part.upto, events=(rest,))
                seconds[shard] = call._replace(parts=(after,))
        replies = apply(self, firsts)
        apply(self, seconds)
        return replies

    def begin(self: Store, rounds: Sequence[Mapping[int, Any]]) -> Any:
        return lambda: [self.apply(calls) for calls in rounds]

    Store.apply = apply_in_two  # type: ignore[method-assign]  # that is what is wanted
    Store.begin_apply = begin  # type: ignore[method-assign]  # as above


RULES = (
    Rule(
        "guard",
        "an event id takes effect once",
        NOTHING_TWICE,
        (Simulated(NoGuard), InWorker(without_guard)),
    ),
    Rule(
        "cut",
        "an event is never cut over two calls",
        NOTHING_TWICE,
        (Simulated(EventsAreCut), InWorker(without_cut)),
        holes=("D3",),
    ),
    Rule(
        "I9",
        "a code means what it meant at the log's time",
        NOTHING_TWICE,
        (Simulated(patches=((CodeTable, "look_up", _newest_code),), likely=CHANGING),),
    ),
    Rule(
        "sleep",
        "who slept looks for new codes before it reads",
        NOTHING_TWICE,
        (Simulated(patches=((policy_follower, "CODES_AHEAD_MS", 1 << 50),), likely=CHANGING),),
    ),
    Rule(
        "I10",
        "a call takes effect whole or not at all",
        NOTHING_TWICE,
        (Simulated(FailsHalfWay),),
    ),
    Rule(
        "D1",
        "the guard is asked once per event",
        NOTHING_TWICE,
        (Simulated(GuardOfLines),),
    ),
    Rule(
        "D2",
        "the guard is asked event by event",
        NOTHING_TWICE,
        (
            Simulated(GuardIsLookedUpFirst),
            Traced(GuardIsLookedUpFirst, traces=(traces.d2_two_copies_in_one_call_count_once,)),
        ),
    ),
    Rule(
        "D5",
        "the guard looks into the neighbouring slices",
        NOTHING_TWICE,
        (
            Simulated(GuardOfOneSlice),
            Traced(
                GuardOfOneSlice, traces=(traces.d5_a_resend_in_the_neighbouring_slice_is_known,)
            ),
        ),
    ),
)
