"""Every rule that the simulation can take out, under the name of what goes wrong without it.

Names of rules first, then those holes of the protocol that no rule above is named for. Some holes need what is not
modelled, or not built: two calls of one reader at a time (I3), a log that is trimmed, cut or made again (I7, I8, I11),
a guard that runs out (D4), routing (O2, O6 to O8), holds, and with them changes that are in no log (P5, P6).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flows.publish import steps as publish_steps
from flows.publish.claimer import Claimer
from flows.publish.steps import Decided
from flows.runtime import context as runtime
from state.events.codes import CodeTable
from state.memory.apply import ApplyRun
from state.memory.orders import OrderRecord
from state.memory.sku import SkuRecord
from state.protocol.apply import Part
from state.protocol.common import ABSENT, LocationTerms
from state.protocol.pack import Chain
from tests.simulation import broken_shards as shards
from tests.simulation.profiles import CHANGING, EMITTING, GOING_BACK, GOING_BACK_TWICE
from tests.simulation.rules import Rule
from tests.simulation.store import SimStore

_marks, _catch_up = SimStore.marks, Chain.catch_up
_place, _cancel, _void, _count = (
    OrderRecord.place,
    OrderRecord.cancel,
    OrderRecord.void,
    SkuRecord.count,
)


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


def _all_confirmed(decided: Sequence[Decided], _results: object) -> Iterator[Decided]:
    yield from decided


def _trusts_any_server(_self: Claimer) -> set[int]:
    return set()


def _newest_code(
    self: CodeTable, system: str, code: str, _timestamp_ms: int
) -> tuple[str, int] | None:
    row = self.newest(system, code)
    return None if row is None else (row.sku, row.units)


def _cancel_voids(self: OrderRecord, channel: str, _sku: str, _quantity: int) -> None:
    self.void(channel)


def _count_forgets_movements(self: SkuRecord, *args: Any) -> None:
    for position in self.positions.values():
        position.movements = ()
    _count(self, *args)


def _last_count_wins(self: SkuRecord, place: Any, time_ms: int, *args: int) -> None:
    position = self.positions.get(place.location)
    if position and position.counted and position.counted[0] == time_ms:
        position.counted = (time_ms - 1, 0)
    _count(self, place, time_ms, *args)


def _rebuild_what_was_seen(
    self: SkuRecord, places: Mapping[str, LocationTerms], revision: int
) -> bool:
    self.sums, self.base, self.revision = {}, 0, revision
    for location, place in places.items():
        if position := self.positions.get(location):
            self._add(place, position.contribution(place.floor), position.contribution(0))
    return True


def _incoming_of_one_message(
    _self: ApplyRun, _reference: str, _sku: str, _location: str, delta: int
) -> int:
    return max(0, delta)


def _place_by_number(self: OrderRecord, _channel: str, *args: Any) -> bool:
    return _place(self, "any", *args)


def _cancel_by_number(self: OrderRecord, _channel: str, *args: Any) -> None:
    _cancel(self, "any", *args)


RULES = (
    Rule("mark", "a mark moves only from where its call says", shards.MarksAreFree),
    Rule("from", "events are applied only after all before them", shards.CallsBuildOnNothing),
    Rule("max", "a mark is raised, never set", shards.MarksAreSet),
    Rule("min", "reading resumes after the least mark of all shards",
         patches=((SimStore, "marks", _marks_of_the_first),)),
    Rule("guard", "an event id takes effect once", shards.NoGuard),
    Rule("cut", "an event is never cut over two calls", shards.EventsAreCut),
    Rule("trust", "an open claim suppresses nothing", shards.OpenIsTrusted, likely=EMITTING),
    Rule("token", "only the latest claim settles", shards.AnyTokenSettles, likely=EMITTING),
    Rule("aged", "what was derived under an old policy is looked at again", shards.OldPolicySettles,
         likely=CHANGING),
    Rule("settle", "only what the log has confirmed is settled",
         patches=((publish_steps, "_confirmed", _all_confirmed),), likely=EMITTING),
    Rule("recover", "a shard that went back recovers", shards.NoRecovery, likely=GOING_BACK),
    Rule("I4", "a shard that is ahead takes the call", shards.MarksMustBeEqual),
    Rule("I5", "a shard without a mark counts for the minimum",
         patches=((SimStore, "marks", _marks_where_present),)),
    Rule("I6", "marks are checked when nothing moves",
         patches=((Chain, "catch_up", _only_what_moved),), likely=GOING_BACK),
    Rule("I9", "a code means what it meant at the log's time",
         patches=((CodeTable, "look_up", _newest_code),), likely=CHANGING),
    Rule("sleep", "who slept looks for new codes before it reads",
         patches=((runtime, "CODES_AHEAD_MS", 1 << 50),), likely=CHANGING),
    Rule("I10", "a call takes effect whole or not at all", shards.FailsHalfWay),
    Rule("I12", "sums made under another policy are dropped", shards.SumsOfAllFloors, likely=CHANGING),
    Rule("place", "a SKU that came to a place after the look is not rebuilt",
         patches=((SkuRecord, "rebuild", _rebuild_what_was_seen),), likely=CHANGING),
    Rule("empty", "a shard that knows of no server lost all it had", shards.EmptyIsNew),
    Rule("D1", "the guard is asked once per event", shards.GuardOfLines),
    Rule("D2", "the guard is asked event by event", shards.GuardIsLookedUpFirst),
    Rule("D5", "the guard looks into the neighbouring slices", shards.GuardOfOneSlice),
    Rule("P3", "every claim takes a new version", shards.ClaimsKeepTheVersion),
    Rule("P4", "a publisher with an old policy is refused", shards.AnyPolicyClaims, likely=CHANGING),
    Rule("P7", "a recovery lifts versions above all clocks", shards.RecoveryWithoutFloor, likely=GOING_BACK),
    Rule("P8", "a recovery is repeated a minute later", shards.RecoversOnce, likely=GOING_BACK_TWICE),
    Rule("moved", "what another server than before gave out is not told",
         patches=((Claimer, "_moved", _trusts_any_server),), likely=GOING_BACK_TWICE, patience=3),
    Rule("P9", "a consumer keeps the last version", consumer="forgets the last version", likely=EMITTING),
    Rule("P10", "a change under a claim makes the SKU due again", shards.SettledIsAsleep, likely=EMITTING),
    Rule("P11", "a consumer compares whole levels", consumer="merges what changed", likely=EMITTING),
    Rule("O1", "a cancel of some lines voids nothing", patches=((OrderRecord, "cancel", _cancel_voids),)),
    Rule("O3", "a late count is laid under later movements",
         patches=((SkuRecord, "count", _count_forgets_movements),)),
    Rule("O4", "of two counts of one time the lower wins", patches=((SkuRecord, "count", _last_count_wins),)),
    Rule("O5", "incoming follows what is announced less received",
         patches=((ApplyRun, "_refer", _incoming_of_one_message),)),
    Rule("O9", "two shops may use one order number",
         patches=((OrderRecord, "place", _place_by_number), (OrderRecord, "cancel", _cancel_by_number))),
)  # fmt: skip
BY_NAME = {rule.name: rule for rule in RULES}
