"""The pool in memory: the rules of the Redis functions in plain Python, and the reference for them.

One `MemoryShard` has the verbs of `state/functions/*.lua` and must answer and end as they do. It
keeps nothing that expires by the server's clock; `now` comes with every call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from state.memory.apply import ApplyRun
from state.memory.holds import Holds, MovedSkus
from state.memory.orders import OrderRecord
from state.memory.sku import SkuRecord
from state.protocol.apply import Applied, Apply, Part, ShardEvent
from state.protocol.claim import Claim, Claimed, Due, Hasten, Settle
from state.protocol.common import ABSENT, Behind, StalePolicy
from state.protocol.control import (
    AGAIN_MS,
    BEGIN,
    HASH_FACTOR,
    HASH_MAX,
    HASH_STEP,
    HASHED,
    REPETITION,
    RESYNC,
    SPREAD_MIN_MS,
    Rebuild,
    Recover,
    Tick,
    Ticked,
)
from state.protocol.figures import SkuState
from state.protocol.holds import (
    CLAIM_SWEEP_MAX,
    SWEEP_MAX,
    Hold,
    HoldAnswer,
    Keep,
    KeepAnswer,
    Release,
)


@dataclass(slots=True)
class OutRecord:
    """What was emitted last for a SKU, and the claim in flight."""

    token: int = 0
    open: bool = False
    generation: int = ABSENT
    available: int = 0
    levels: str = ""
    ads: str = ""
    cause_ms: int = 0


@dataclass(slots=True)
class MemoryShard:
    """One shard of the pool."""

    watermarks: dict[str, int] = field(default_factory=dict)
    seen: dict[int, set[str]] = field(default_factory=dict)
    """The duplicate guard: hashes by slice of the log timestamp."""
    skus: dict[str, SkuRecord] = field(default_factory=dict)
    outs: dict[str, OutRecord] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    look: dict[str, int] = field(default_factory=dict)
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    references: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    """Announced less received, by reference and (SKU, location)."""
    holds: Holds = field(default_factory=Holds)
    generation: int = 0
    floor: int = 0
    revision: int = 0
    server: str = ""
    business_ms: int = 0
    again_ms: int = 0
    recovered: bool = False
    touching: bool = False
    """A new policy was taken over and the SKUs are not due yet."""
    applied: int = 0
    duplicates: int = 0

    def apply(self, call: Apply) -> Applied | Behind:
        """Apply the events that no earlier call delivered. Nothing is done when a watermark is behind."""
        if behind := self._behind(call.parts):
            return behind
        oldest_due_ms = min(self._due_by(call.now_us // 1000), default=0)
        duplicates: list[tuple[int, int]] = []
        run = ApplyRun(call, self.skus, self.orders, self.references, self.holds)
        replayed = 0
        for i, part in enumerate(call.parts):
            watermark = self.watermarks.get(part.watermark, ABSENT)
            for j, event in enumerate(part.events):
                if event.offset <= watermark:
                    replayed += 1
                elif self._known(event):
                    self.duplicates += event.home
                    if event.home:
                        duplicates.append((i, j))
                else:
                    self.applied += event.home
                    self.business_ms = max(self.business_ms, event.time_ms)
                    run.apply(part.watermark, event)
        for name, before in run.before.items():
            self.skus[name].finish(before, call.sums_revision)
            self._raise_version(name, call.now_us)
            if not before.queued:
                self._make_due(name, call.now_us)
        self._raise_watermarks(call.parts)
        return Applied(tuple(duplicates), run.absorbed, replayed, oldest_due_ms)

    def tick(self, call: Tick) -> Ticked | Behind:
        """Move the watermarks without events; notice another server, an old recovery, a new policy."""
        if behind := self._behind(call.parts):
            return behind
        now_ms = call.now_us // 1000
        due = self._due_by(now_ms)
        self._raise_watermarks(call.parts)
        recover = 0
        if self.server != call.server:
            recover = BEGIN
        elif 0 < self.again_ms <= now_ms:
            recover = REPETITION
        self.business_ms = max(self.business_ms, call.business_ms)
        self._take_over(call.revision)
        if self.touching and call.pace_us and call.revision == self.revision:
            spread_ms = len(self.due) * call.pace_us // 1000
            for name in self.due:
                later_ms = _later_ms(name, spread_ms) if spread_ms >= SPREAD_MIN_MS else 0
                self.due[name] = min(self.due[name], now_ms + later_ms)
            self.touching = False
        return Ticked(recover, self.revision, self.business_ms, len(due), min(due, default=0), 0)

    def hasten(self, call: Hasten) -> None:
        """Let SKUs be due sooner."""
        for name in call.skus:
            if name in self.due:
                self.due[name] = min(self.due[name], call.now_ms)

    def recover(self, call: Recover) -> int:
        """Begin a recovery and carry it through. Return the generation."""
        if call.begin:
            self.generation = next_version(self.generation, call.now_us, 0)
            if call.begin != RESYNC:
                self.floor = max(self.floor, call.now_us + 2000 * call.skew_ms)
                self.server = call.server
                self.again_ms = call.now_us // 1000 + AGAIN_MS if call.begin == BEGIN else 0
                self.recovered = True
            for name in self.due:
                self._make_due(name, call.now_us)
        return self.generation

    def claim(self, call: Claim) -> Claimed | StalePolicy:
        """Take the SKUs that are due, each under a new version, a token and a lease."""
        if call.revision < self.revision:
            return StalePolicy(self.revision)
        now_ms = call.now_us // 1000
        self._take_over(call.revision)
        expired = self.sweep(call.now_us, CLAIM_SWEEP_MAX)
        awake = sorted((at, name) for name, at in self.look.items() if at <= call.business_ms)
        for _, name in awake[: call.limit]:
            self._make_due(name, call.now_us)
            del self.look[name]
        due: list[Due] = []
        stale: list[str] = []
        ready = sorted((at, name) for name, at in self.due.items() if at <= now_ms)
        for _, name in ready[: call.limit]:
            self.due[name] = now_ms + call.lease_ms
            if self.skus[name].revision == call.sums_revision:
                due.append(self._claim_sku(name, call))
            else:
                stale.append(name)
        business_ms = max(call.business_ms, self.business_ms)
        return Claimed(
            self.generation, self.recovered, business_ms, tuple(due), tuple(stale), expired
        )

    def settle(self, now_us: int, revision: int, items: tuple[Settle, ...]) -> int:
        """Close the claims that are still the latest of their SKU. Return how many were."""
        settled = 0
        for item in items:
            out = self.outs.get(item.sku)
            if out and out.token == item.token and item.generation == self.generation:
                settled += 1
                self._settle_sku(out, now_us, revision, item)
        return settled

    def rebuild(self, call: Rebuild) -> int | StalePolicy:
        """Recompute the sums of SKUs under the active policy. Return of how many."""
        if call.revision < self.revision:
            return StalePolicy(self.revision)
        self._take_over(call.revision)
        places = {terms.location: terms for terms in call.places}
        known = [name for name in call.skus if name in self.skus]
        rebuilt = 0
        for name in known:
            if self.skus[name].rebuild(places, call.sums_revision):
                self._raise_version(name, call.now_us)
                rebuilt += 1
            self._make_due(name, call.now_us)
        return rebuilt

    def hold(self, call: Hold) -> tuple[HoldAnswer, ...] | StalePolicy:
        """Take units for holds, each all or nothing, or as much as there is."""
        if call.revision < self.revision:
            return StalePolicy(self.revision)
        self._take_over(call.revision)
        self.sweep(call.now_us, SWEEP_MAX)
        moved = MovedSkus(self.skus, call.now_us // 1000)
        answers = [
            self.holds.hold(self.skus, request, call.sums_revision, moved.touch)
            for request in call.requests
        ]
        self._after(moved, call.now_us)
        return tuple(answers)

    def keep(self, call: Keep) -> KeepAnswer:
        """Let a hold live longer, and pin it for an order if one is named."""
        return self.holds.keep(self.orders, call)

    def release(self, now_us: int, items: Sequence[Release]) -> list[int]:
        """End holds."""
        moved = MovedSkus(self.skus, now_us // 1000)
        answers = [self.holds.release(item, moved.touch) for item in items]
        self._after(moved, now_us)
        return answers

    def sweep(self, now_us: int, limit: int) -> int:
        """End the holds whose time is over, `limit` at most. Return how many."""
        moved = MovedSkus(self.skus, now_us // 1000)
        expired = self.holds.sweep(now_us // 1000, limit, moved.touch)
        self._after(moved, now_us)
        return expired

    def read(self, name: str) -> SkuState | None:
        """Return all that is known of a SKU, None when nothing is."""
        sku = self.skus.get(name)
        if sku is None:
            return None
        out = self.outs.get(name, OutRecord())
        return SkuState(
            sku=name,
            version=sku.version,
            unrouted=sku.unrouted,
            held=sku.held,
            positions=sku.listed(),
            sums=sku.vector(),
            base=sku.base,
            sums_revision=sku.revision,
            demand=sku.days(),
            available=out.available,
            levels=out.levels,
            ads=out.ads,
            open=out.open,
            token=out.token,
        )

    def _behind(self, parts: tuple[Part, ...]) -> Behind | None:
        stands = [(part, self.watermarks.get(part.watermark, ABSENT)) for part in parts]
        behind = tuple(
            (part.watermark, watermark) for part, watermark in stands if watermark < part.after
        )
        return Behind(behind) if behind else None

    def _raise_watermarks(self, parts: tuple[Part, ...]) -> None:
        for part in parts:
            if part.upto > self.watermarks.get(part.watermark, ABSENT):
                self.watermarks[part.watermark] = part.upto

    def _known(self, event: ShardEvent) -> bool:
        """Whether the guard, or the order of the event, has met it; both have from now on."""
        near = (event.slice - 1, event.slice, event.slice + 1)
        if any(event.hash in self.seen.get(each, ()) for each in near):
            return True
        self.seen.setdefault(event.slice, set()).add(event.hash)
        if not event.order:
            return False
        record = self.orders.setdefault(event.order, OrderRecord())
        known = event.hash in record.events
        record.events.add(event.hash)
        return known

    def _after(self, moved: MovedSkus, now_us: int) -> None:
        """Close a call that changed holds alone."""
        for name, queued in moved.queued.items():
            self.skus[name].drop_empty()
            self._raise_version(name, now_us)
            if not queued:
                self._make_due(name, now_us)

    def _raise_version(self, name: str, now_us: int) -> None:
        sku = self.skus[name]
        sku.version = next_version(sku.version, now_us, self.floor)

    def _due_by(self, now_ms: int) -> list[int]:
        """Return since when SKUs have been due, for all that are."""
        return [at for at in self.due.values() if at <= now_ms]

    def _make_due(self, name: str, now_us: int) -> None:
        now_ms = now_us // 1000
        self.due[name] = min(self.due.get(name, now_ms), now_ms)

    def _take_over(self, revision: int) -> None:
        if revision > self.revision:
            self.touching = self.revision > 0
            self.revision = revision

    def _claim_sku(self, name: str, call: Claim) -> Due:
        sku, out = self.skus[name], self.outs.get(name)
        first = out is None
        if out is None:
            out = self.outs[name] = OutRecord()
        trust = not out.open and out.generation == self.generation
        self._raise_version(name, call.now_us)
        closed = (sku.is_closed(gate, out.levels) << bit for bit, gate in enumerate(call.gates))
        causes = [cause for cause in (sku.cause_ms, out.cause_ms) if cause]
        out.token, out.open, out.cause_ms = sku.version, True, min(causes, default=0)
        sku.cause_ms = 0
        return Due(
            sku=name,
            token=sku.version,
            trust=trust,
            first=first,
            base=sku.base,
            unrouted=sku.unrouted,
            held=sku.held,
            sums=sku.vector(),
            cause_ms=out.cause_ms,
            demand=sku.days(),
            available=out.available,
            levels=out.levels,
            ads=out.ads,
            alerts=tuple(sorted(sku.alerts.items())),
            silent=sku.listed_at(call.silent),
            closed=sum(closed),
        )

    def _settle_sku(self, out: OutRecord, now_us: int, revision: int, item: Settle) -> None:
        sku = self.skus[item.sku]
        out.available, out.levels, out.ads = item.available, item.levels, item.ads
        out.generation, out.open, out.cause_ms = self.generation, False, 0
        for name, text in item.alerts:
            if sku.alerts.get(name) == text:
                del sku.alerts[name]
        unchanged = sku.version == item.token and revision >= self.revision
        self.due[item.sku] = item.next_due_ms if unchanged else now_us // 1000
        self.look.pop(item.sku, None)
        if item.next_look_ms:
            self.look[item.sku] = item.next_look_ms


def _later_ms(name: str, spread_ms: int) -> int:
    """Return by how much later than others a SKU comes up after a new policy."""
    digest = 0
    for byte in name.encode()[-HASHED:]:
        digest = (HASH_FACTOR * digest + byte) % HASH_MAX
    return digest * HASH_STEP % HASH_MAX * spread_ms // HASH_MAX


def next_version(version: int, now_us: int, floor: int) -> int:
    """Return the version after `version`: higher, and never below the clock or the floor."""
    return max(version + 1, now_us, floor)
