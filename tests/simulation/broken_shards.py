"""Shards that each lack a rule."""

import redis

from state.memory.orders import OrderRecord
from state.memory.shard import OutRecord
from state.protocol.apply import Applied, Apply, Part, ShardEvent
from state.protocol.claim import Claim, Claimed, Due, Settle
from state.protocol.common import ABSENT, Behind, StalePolicy
from state.protocol.control import Recover, Tick, Ticked
from tests.simulation.shards import Pool


def unfenced(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Facts that build on nothing."""
    return tuple(part._replace(after=ABSENT) for part in parts)


class MarksAreFree(Pool):
    def tick(self, call: Tick) -> Ticked | Behind:
        return super().tick(call._replace(parts=unfenced(call.parts)))


class CallsBuildOnNothing(Pool):
    def apply(self, call: Apply) -> Applied | Behind:
        return super().apply(call._replace(parts=unfenced(call.parts)))


class MarksAreSet(Pool):
    def _raise_watermarks(self, parts: tuple[Part, ...]) -> None:
        self.watermarks.update({part.watermark: part.upto for part in parts})


class MarksMustBeEqual(Pool):
    def _behind(self, parts: tuple[Part, ...]) -> Behind | None:
        stands = ((part, self.watermarks.get(part.watermark, ABSENT)) for part in parts)
        apart = tuple((part.watermark, mark) for part, mark in stands if mark != part.after)
        return Behind(apart) if apart else None


class NoGuard(Pool):
    def _known(self, event: ShardEvent) -> bool:
        if event.order:
            self.orders.setdefault(event.order, OrderRecord())
        return False


class EventsAreCut(Pool):
    """Half of the lines of an event in one call, the others in the next."""

    def apply(self, call: Apply) -> Applied | Behind:
        reply = super().apply(halves(call, 0))
        super().apply(halves(call, 1))
        return reply


class GuardOfLines(Pool):
    """The second line of an event meets the hash of the first."""

    def apply(self, call: Apply) -> Applied | Behind:
        parts = tuple(
            part._replace(events=tuple(event._replace(ops=event.ops[:1]) for event in part.events))
            for part in call.parts
        )
        return super().apply(call._replace(parts=parts))


class GuardIsLookedUpFirst(Pool):
    """All hashes of a call are looked up before the first is entered."""

    before: dict[int, set[str]]

    def apply(self, call: Apply) -> Applied | Behind:
        self.before = {name: set(hashes) for name, hashes in self.seen.items()}
        return super().apply(call)

    def _known(self, event: ShardEvent) -> bool:
        super()._known(event)
        near = (event.slice - 1, event.slice, event.slice + 1)
        return any(event.hash in self.before.get(each, ()) for each in near)


class GuardOfOneSlice(Pool):
    def _known(self, event: ShardEvent) -> bool:
        known = event.hash in self.seen.get(event.slice, ())
        super()._known(event)
        return known


class FailsHalfWay(Pool):
    """Some calls run out of memory after their first effects."""

    calls: int = 0

    def apply(self, call: Apply) -> Applied | Behind:
        self.calls += 1
        if self.calls % 6 == 0 and self._behind(call.parts) is None:
            marks = dict(self.watermarks)
            super().apply(halves(call, 0))
            self.watermarks = marks
            raise redis.exceptions.OutOfMemoryError("half way")
        return super().apply(call)


class SumsOfAllFloors(Pool):
    def claim(self, call: Claim) -> Claimed | StalePolicy:
        for sku in self.skus.values():
            sku.revision = call.sums_revision
        return super().claim(call)


class EmptyIsNew(Pool):
    def tick(self, call: Tick) -> Ticked | Behind:
        self.server = self.server or call.server
        return super().tick(call)


class OpenIsTrusted(Pool):
    def _claim_sku(self, name: str, call: Claim) -> Due:
        due = super()._claim_sku(name, call)
        return due._replace(trust=self.outs[name].generation == self.generation)


class ClaimsKeepTheVersion(Pool):
    def _claim_sku(self, name: str, call: Claim) -> Due:
        version = self.skus[name].version
        due = super()._claim_sku(name, call)
        self.skus[name].version = self.outs[name].token = version
        return due._replace(token=version)


class OldPolicySettles(Pool):
    def settle(self, now_us: int, _revision: int, items: tuple[Settle, ...]) -> int:
        return super().settle(now_us, self.revision, items)


class AnyPolicyClaims(OldPolicySettles):
    """Settles them for good, too: looked at again, what an old policy said would be put right."""

    def claim(self, call: Claim) -> Claimed | StalePolicy:
        return super().claim(call._replace(revision=max(call.revision, self.revision)))


class AnyTokenSettles(Pool):
    def settle(self, now_us: int, revision: int, items: tuple[Settle, ...]) -> int:
        for item in items:
            if (out := self.outs.get(item.sku)) and item.generation == self.generation:
                self._settle_sku(out, now_us, revision, item)
        return len(items)


class NoRecovery(Pool):
    def recover(self, call: Recover) -> int:
        self.server = call.server
        return self.generation


class RecoveryWithoutFloor(Pool):
    def recover(self, call: Recover) -> int:
        floor, generation = self.floor, super().recover(call)
        self.floor = floor
        return generation


class RecoversOnce(Pool):
    def recover(self, call: Recover) -> int:
        generation = super().recover(call)
        self.again_ms = 0
        return generation


class SettledIsAsleep(Pool):
    def _settle_sku(self, out: OutRecord, now_us: int, revision: int, item: Settle) -> None:
        super()._settle_sku(out, now_us, revision, item)
        self.due[item.sku] = item.next_due_ms


def halves(call: Apply, second: int) -> Apply:
    """Return the call with half of the ops of each event."""

    def half(event: ShardEvent) -> ShardEvent:
        middle = (len(event.ops) + 1) // 2
        return event._replace(ops=event.ops[middle:] if second else event.ops[:middle])

    parts = tuple(part._replace(events=tuple(map(half, part.events))) for part in call.parts)
    return call._replace(parts=parts)
