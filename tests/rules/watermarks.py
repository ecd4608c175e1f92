"""What a shard has of the log, and where reading resumes."""

from state.memory.shard import MemoryShard
from state.protocol.apply import Applied, Apply, Part
from state.protocol.common import ABSENT, Behind
from state.protocol.control import Tick, Ticked
from state.protocol.pack import Chain
from tests.rules.means import InWorker, Rule, Simulated, Traced
from tests.rules.source import in_library, in_method
from tests.simulation.profiles import GOING_BACK
from tests.simulation.store import SimStore
from tests.state import traces

NOTHING_TWICE = ("guarantees.md#nothing-twice",)
NOTHING_LOST = ("guarantees.md#nothing-lost",)

_marks, _catch_up = SimStore.marks, Chain.catch_up


def _unfenced(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Facts that build on nothing."""
    return tuple(part._replace(after=ABSENT) for part in parts)


class MarksAreFree(MemoryShard):
    def tick(self, call: Tick) -> Ticked | Behind:
        return super().tick(call._replace(parts=_unfenced(call.parts)))


class CallsBuildOnNothing(MemoryShard):
    def apply(self, call: Apply) -> Applied | Behind:
        return super().apply(call._replace(parts=_unfenced(call.parts)))


class NeverLost(MemoryShard):
    def _behind(self, parts: tuple[Part, ...]) -> Behind | None:
        return super()._behind(parts[:0])


class MarksAreSet(MemoryShard):
    def _raise_watermarks(self, parts: tuple[Part, ...]) -> None:
        self.watermarks.update({part.watermark: part.upto for part in parts})


class MarksMustBeEqual(MemoryShard):
    def _behind(self, parts: tuple[Part, ...]) -> Behind | None:
        stands = ((part, self.watermarks.get(part.watermark, ABSENT)) for part in parts)
        apart = tuple((part.watermark, mark) for part, mark in stands if mark != part.after)
        return Behind(apart) if apart else None


def _marks_of_the_first(self: SimStore) -> list[dict[str, int]]:
    return _marks(self)[:1] * self.shards


def _marks_where_present(self: SimStore) -> list[dict[str, int]]:
    found = _marks(self)
    for name in {name for marks in found for name in marks}:
        least = min(marks[name] for marks in found if name in marks)
        for marks in found:
            marks.setdefault(name, least)
    return found


def _only_what_moved(self: Chain) -> list[Part]:
    return [
        part if part.upto > part.after else part._replace(after=ABSENT) for part in _catch_up(self)
    ]


def without_mark() -> None:
    """Effects are applied without a look at the mark."""
    in_library(("if offset <= mark then", "if false then"))


def without_from() -> None:
    """A shard does not check whether it has what the call builds on."""
    in_library(("if marks[i] < part[2] then", "if false then"))


def without_max() -> None:
    """The mark is set, also to less."""
    in_library(("if part[3] > marks[i] then", "if true then"))


def without_min() -> None:
    """Reading resumes after the shard that is ahead."""
    from flows.ingest import resume

    in_method(
        resume, "opened", "Chain.starting(mark, min(applied),", "Chain.starting(mark, max(applied),"
    )


RULES = (
    Rule(
        "mark",
        "a shard skips what its mark covers, and moves the mark only from where the call says",
        NOTHING_TWICE,
        (
            Simulated(MarksAreFree),
            InWorker(without_mark),
            Traced(NeverLost, traces=(traces.i1_a_mark_on_its_way_over_a_rollback_is_refused,)),
        ),
        holes=("I1",),
    ),
    Rule(
        "from",
        "events are applied only after all before them",
        NOTHING_LOST,
        (Simulated(CallsBuildOnNothing), InWorker(without_from)),
        holes=("I3",),
    ),
    Rule(
        "max",
        "a mark is raised, never set",
        NOTHING_TWICE,
        (
            Simulated(MarksAreSet),
            InWorker(without_max),
            Traced(MarksAreSet, traces=(traces.i2_a_delayed_repeat_does_not_set_the_mark_back,)),
        ),
        holes=("I2",),
    ),
    Rule(
        "min",
        "reading resumes after the least mark of all shards",
        NOTHING_LOST,
        (Simulated(patches=((SimStore, "marks", _marks_of_the_first),)), InWorker(without_min)),
    ),
    Rule(
        "I4",
        "a shard that is ahead takes the call",
        NOTHING_LOST,
        (Simulated(MarksMustBeEqual),),
    ),
    Rule(
        "I5",
        "a shard without a mark counts for the minimum",
        NOTHING_LOST,
        (Simulated(patches=((SimStore, "marks", _marks_where_present),)),),
    ),
    Rule(
        "I6",
        "marks are checked when nothing moves",
        NOTHING_LOST,
        (
            Simulated(patches=((Chain, "catch_up", _only_what_moved),), likely=GOING_BACK),
            Traced(NeverLost, traces=(traces.i6_a_rollback_is_noticed_while_nothing_moves,)),
        ),
    ),
)
