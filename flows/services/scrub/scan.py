"""One scan of the pool: what is looked at, and what is concluded from it.

Each SKU is looked at in one call, so that its figures are of one moment. Only what orders and holds keep promised
is spread over many keys: it is added up while they change. A SKU whose sum differs is a suspect. For suspects these are
gone through once more (`flows/services/scrub/proof.py`), which proves the fault or leaves it to the next scan.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from flows.runtime.active_policy import ActivePolicy, zero_guards
from flows.runtime.context import Runtime
from flows.services.scrub.proof import RECORDS, Proof
from state.protocol.inspect import AskPromises, Inspect, Paused, Violation, encode_places

KEYS: Final = 400
"""Keys that one call goes over."""
SKUS, FIELDS, RECORDS_MAX = 32, 160, 200
"""SKUs, fields, and records of orders and holds in one call: it holds the server for well under a millisecond."""
SUSPECTS_MAX: Final = 200
LATE_MS: Final = 300_000
HOLD_LATE_MS: Final = 30_000
"""A publisher sweeps away what is over within a tick; a paused one begins with 100 a shard and tick."""
MARGIN_MS: Final = 10_000
"""Clocks differ, and a call takes its time."""
UNLISTED_MAX: Final = 2_000


@dataclass(slots=True)
class Findings:
    """What a scan found."""

    skus: int = 0
    oversold: int = 0
    negative_positions: int = 0
    holds: int = 0
    paused: Counter[str] = field(default_factory=Counter)
    """By ad rule, SKUs."""
    paused_sold_out_ms: Counter[str] = field(default_factory=Counter)
    """By ad rule, over SKUs with nothing to sell, business time that passed since the scan before."""
    faults: list[Violation] = field(default_factory=list)
    suspects: frozenset[str] = frozenset()


class Scan:
    """One scan. `steps` does it, a short call at a time; `findings` holds what it found."""

    def __init__(
        self,
        runtime: Runtime,
        side: Runtime,
        before: Findings,
        passed_ms: int,
        late_ms: int = LATE_MS,
    ) -> None:
        """`side` has own connections; `before` is what the last scan found, `passed_ms` of business time ago."""
        self.findings = Findings()
        self._runtime, self._side, self._store = runtime, side, side.store
        self._passed_ms, self._late_ms = passed_ms, late_ms
        self._suspected = before.suspects
        self._known = {each.sku: each for each in before.faults if each.invariant == "reserved"}
        self._now_business_ms = 0
        self._guarded = tuple(zero_guards(runtime.policy))
        self._listed: Counter[str] = Counter()
        self._skus: dict[tuple[int, tuple[bool, ...]], list[str]] = defaultdict(list)
        self._records: dict[int, list[str]] = defaultdict(list)
        self._promised: dict[str, int] = {}
        self._held: Counter[str] = Counter()
        self._unlisted: set[str] = set()
        self._places: dict[tuple[int, tuple[bool, ...]], bytes] = {}

    def steps(self) -> Iterator[None]:
        """Go through the pool; between two steps there may be any pause."""
        self._now_business_ms = self._runtime.business_ms(self._store.business_ms())
        for keys in self._side.primaries.keys_like(self._store.key_pattern("*"), KEYS):
            for shard, kind, name in self._store.parse_keys(keys):
                if kind == "pos":
                    kin = self._runtime.policy.compiled.kind_of(name)
                    self._skus[shard, kin].append(name)
                elif kind in RECORDS:
                    self._records[shard].append(f"{kind}:{name}")
            yield
            yield from self._look(SKUS, RECORDS_MAX)
        yield from self._look(1, 1)
        # Those that have stock where none was expected were left.
        yield from self._look(1, 1)
        if self._guarded:
            counts = {channel: self._listed[channel] for channel in self._guarded}
            self._side.shared.listed.put(counts)
        yield from self._confirm()
        self._look_at_holds()

    def _look_at_holds(self) -> None:
        """Count the holds, and find those that no process swept though their time is long over."""
        now_ms = self._runtime.clock.now_ms()
        self.findings.holds, oldest = self._store.holds_queued()
        for hold, expiry_ms in oldest:
            if expiry_ms < now_ms - HOLD_LATE_MS:
                said = (f"ended at {expiry_ms}", f"it lives at {now_ms}")
                self.findings.faults.append(Violation(hold, "held", *said))

    def _look(self, skus_min: int, records_min: int) -> Iterator[None]:
        """Look at what was gathered, where it is enough for a call."""
        for (shard, kin), skus in list(self._skus.items()):
            while len(skus) >= skus_min:
                self._inspect(shard, kin, skus)
                yield
        for shard, records in self._records.items():
            while len(records) >= records_min:
                call = AskPromises(FIELDS, (), tuple(records[:RECORDS_MAX]))
                found = self._store.promises(shard, call)
                del records[: found.done]
                for _, units in found.held:
                    self._held.update(units)
                yield

    def _inspect(self, shard: int, kin: tuple[bool, ...], skus: list[str]) -> None:
        """Look at the first of `skus`, and take them away."""
        runtime, policy = self._runtime, self._runtime.policy
        settings, now_ms = runtime.settings, runtime.clock.now_ms()
        soon_ms = now_ms + settings.lease_ms + settings.tick_ms + MARGIN_MS
        these = tuple(skus[:SKUS])
        call = Inspect(soon_ms, now_ms - self._late_ms, policy.sums_revision, FIELDS, these)
        found = self._store.inspect(shard, call, self._places_of(policy, kin, these[0]))
        del skus[: found.done]
        if self._guarded:
            self._listed += self._side.shared.listed.of(these[: found.done], self._guarded)
        into = self.findings
        into.skus += found.known
        into.oversold += found.oversold
        into.negative_positions += found.negative_positions
        into.faults += found.faults
        self._promised |= found.promised
        for paused in found.paused:
            self._count_paused(policy, paused)
        for sku, location in found.unlisted.items():
            # Looked at once more with the place of that location; beyond a bound, not in this scan.
            if location not in self._unlisted and len(self._unlisted) < UNLISTED_MAX:
                self._unlisted.add(location)
                self._places.clear()
            if location in self._unlisted:
                skus.append(sku)

    def _places_of(self, policy: ActivePolicy, kin: tuple[bool, ...], sku: str) -> bytes:
        """Return the places of all SKUs that are like one."""
        key = (policy.sums_revision, kin)
        if key not in self._places:
            known = {*policy.compiled.locations, *self._unlisted}
            self._places[key] = encode_places([policy.locate(sku, each) for each in sorted(known)])
        return self._places[key]

    def _count_paused(self, policy: ActivePolicy, paused: Paused) -> None:
        states: dict[str, list[Any]] = orjson.loads(paused.ads)
        levels: dict[str, int] = orjson.loads(paused.levels)
        for rule in policy.compiled.ads:
            state, since_ms, *_ = states.get(rule.rule, ("active", 0))
            if state == "paused":
                self.findings.paused[rule.rule] += 1
                if levels.get(rule.channel, 0) <= 0:
                    paused_ms = max(0, self._now_business_ms - since_ms)
                    self.findings.paused_sold_out_ms[rule.rule] += min(self._passed_ms, paused_ms)

    def _confirm(self) -> Iterator[None]:
        """Find out which of the SKUs whose promises differ from what orders and holds keep are really at fault."""
        differ = {
            sku
            for sku in self._promised.keys() | self._held.keys()
            if self._promised.get(sku, 0) != self._held[sku]
        }
        self.findings.suspects = frozenset(differ)
        suspects = sorted(differ, key=self._least_likely)[:SUSPECTS_MAX]
        if not suspects:
            return
        proof = Proof(self._store, suspects)
        primaries = self._side.primaries
        servers = primaries.identities(self._store.shards)
        yield from proof.begin()
        for kind in RECORDS:
            for keys in primaries.keys_like(self._store.key_pattern(f"{kind}:*"), KEYS):
                yield
                yield from proof.gather(self._store.parse_keys(keys))
        found = yield from proof.end()
        if servers != primaries.identities(self._store.shards):
            # Keys may have moved past the scan.
            found = []
        proven = {each.sku for each in found}
        # One that was proven before and is in doubt again is not mended yet.
        found += [self._known[sku] for sku in self._known.keys() & differ - proven]
        self.findings.faults += found

    def _least_likely(self, sku: str) -> tuple[bool, bool, str]:
        return sku not in self._known, sku not in self._suspected, sku
