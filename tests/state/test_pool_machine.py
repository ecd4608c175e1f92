"""The memory pool and the Redis functions under the same random verbs, faults included."""

from collections import Counter, defaultdict
from collections.abc import Callable

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from connectors.redis.cluster import Client
from state.protocol.apply import Apply, Part, ShardEvent
from state.protocol.claim import Claim, Claimed, Gate, Settle
from state.protocol.common import Behind, LocationTerms
from state.protocol.control import Rebuild, Recover, Tick, Ticked
from state.protocol.holds import RELEASED, Hold, Keep, Release
from tests.state.everything import differences
from tests.state.inspections import faults
from tests.state.pools import GUARD_MS, NOW_MS, MemoryPool, RedisPool, Shard
from tests.state.random_events import LOCATIONS, PARTITIONS, SKUS, Batch, batch, hold, sku
from tests.state.random_holds import drawn


class PoolMachine(RuleBasedStateMachine):
    """One shard of each kind, a log, workers of two policies, publishers, and faults."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        client.flushall()
        self.shards: tuple[Shard, Shard] = (MemoryPool(), RedisPool(client))
        self.log: dict[str, list[ShardEvent]] = {name: [] for name in PARTITIONS}
        self.after: dict[str, int] = defaultdict(lambda: -1)
        self.now_us = NOW_MS * 1000
        self.revision = 1
        self.server = 0
        self.made = 0
        self.sent: list[Apply] = []
        self.claims: list[Settle] = []
        self.saved: tuple[object, object] | None = None

    def both(self, verb: Callable[[Shard], object]) -> object:
        expected, found = (verb(shard) for shard in self.shards)
        assert found == expected, f"memory {expected}, Redis {found}"
        return expected

    def sums_of(self, revision: int) -> int:
        """Return the sums revision: every other policy has the classes and floors of the one before."""
        return max(1, revision - revision % 2)

    def places(self, revision: int) -> tuple[LocationTerms, ...]:
        """Another sums revision has other classes and floors, and may not list the last location."""
        listed = len(LOCATIONS) - (revision % 3 == 2)
        return tuple(
            LocationTerms(name, (i + revision) % 3, (i * revision) % 4, int(name != "platform"))
            for i, name in enumerate(LOCATIONS[:listed])
        )

    def table(self, revision: int) -> tuple[LocationTerms, ...]:
        """All locations, as a worker sends them: unlisted ones as the policy's rest."""
        places = self.places(revision)
        rest = places[0]
        return places + tuple(rest._replace(location=n) for n in LOCATIONS[len(places) :])

    @initialize(first=batch)
    def open_the_shop(self, first: Batch) -> None:
        self.deliver(first, 0)

    @rule(batch=batch, lag=st.sampled_from((0, 0, 0, 1)))
    def deliver(self, batch: Batch, lag: int) -> None:
        """Append events, and apply all that the chain of each partition has not handed out."""
        for partition, made, again in batch:
            self._append(partition, made, again)
        self._apply([(p, self.after[p], 1 << 32) for p in PARTITIONS], lag)

    @rule(batch=batch)
    def append(self, batch: Batch) -> None:
        for partition, made, again in batch:
            self._append(partition, made, again)

    @rule(
        partitions=st.sets(st.sampled_from(PARTITIONS), min_size=1),
        shift=st.sampled_from((-3, -1, -1, 0, 0, 1)),
        most=st.integers(1, 4),
        lag=st.sampled_from((0, 0, 1)),
    )
    def apply_a_piece(self, partitions: set[str], shift: int, most: int, lag: int) -> None:
        """Another reader, further back or, by mistake, too far ahead."""
        pieces = []
        for partition in sorted(partitions):
            after = max(-1, self.after[partition] + shift)
            inside = [e.offset for e in self.log[partition] if e.offset > after][:most]
            pieces.append((partition, after, inside[-1] if inside else after))
        self._apply(pieces, lag)

    @rule(which=st.integers(0, 7))
    def apply_an_old_call_again(self, which: int) -> None:
        if self.sent:
            call = self.sent[-1 - which % len(self.sent)]
            self.both(lambda shard: shard.apply(call))

    @rule(
        limit=st.sampled_from((1, 2, 100)),
        lease_ms=st.sampled_from((0, 5, 5000)),
        business=st.integers(0, 6),
        settled=st.sampled_from((0, 1, 3, 3)),
        lag=st.sampled_from((0, 0, 0, 1)),
        silent=st.integers(0, len(LOCATIONS)),
        gated=st.integers(0, len(LOCATIONS)),
    )
    def publish(
        self,
        limit: int,
        lease_ms: int,
        business: int,
        settled: int,
        lag: int,
        silent: int,
        gated: int,
    ) -> None:
        """Claim, make stale sums anew, claim again, settle some of it."""
        revision = max(1, self.revision - lag)
        gates = (Gate('"shop":', tuple(LOCATIONS[:gated])), Gate('"no":', tuple(LOCATIONS[:1])))
        call = Claim(
            self.now_us, lease_ms, revision, self.sums_of(revision), NOW_MS + business, limit,
            tuple(LOCATIONS[:silent]), gates[: min(gated, 2)],
        )  # fmt: skip
        claimed = self._claim(call)
        if claimed and claimed.stale and settled:
            self._rebuild(claimed.stale, revision)
            self._claim(call)
        if settled:
            self._settle(self.claims[-settled:], revision)

    @rule(
        names=st.lists(hold, min_size=1, max_size=2),
        lines=st.dictionaries(sku, st.integers(1, 6), min_size=1, max_size=2),
        at=st.sampled_from((None, None, *range(len(LOCATIONS)))),
        ttl_ms=st.sampled_from((-5, 5, 2000, 60_000)),
        partial=st.booleans(),
        lag=st.sampled_from((0, 0, 0, 1)),
    )
    def ask_for_holds(
        self,
        names: list[str],
        lines: dict[str, int],
        at: int | None,
        ttl_ms: int,
        partial: bool,  # noqa: FBT001 - drawn by name
        lag: int,
    ) -> None:
        """Ask for holds of the pool, or of one location, a call for one or two."""
        revision = max(1, self.revision - lag)
        expiry_ms = self.now_us // 1000 + ttl_ms
        table = self.table(revision)
        requests = drawn(names, lines, table, at, expiry_ms, partial=partial)
        call = Hold(self.now_us, revision, revision, requests)
        self.both(lambda shard: shard.hold(call))

    @rule(
        name=hold,
        order=st.sampled_from(("", "shopee\x1fo1", "momo\x1fo2")),
        what=st.sampled_from(("keep", "keep", "release", "forget", "sweep")),
        ttl_ms=st.sampled_from((5, 90_000)),
    )
    def tend_a_hold(self, name: str, order: str, what: str, ttl_ms: int) -> None:
        expiry_ms = self.now_us // 1000 + ttl_ms
        if what == "keep":
            keep = Keep(self.now_us, name, order, expiry_ms)
            self.both(lambda shard: shard.keep(keep))
        elif what == "sweep":
            self.both(lambda shard: shard.sweep(self.now_us, 1))
        else:
            item = Release(name, order, "" if what == "forget" else RELEASED)
            self.both(lambda shard: shard.release(self.now_us, [item, item]))
        self.both(lambda shard: shard.listed())

    @rule(back=st.integers(0, 5), lag=st.sampled_from((0, 0, 1)))
    def settle_late(self, back: int, lag: int) -> None:
        self._settle(self.claims[-1 - back :][:1], max(1, self.revision - lag))

    @rule(
        moved=st.booleans(),
        business=st.integers(0, 5),
        lag=st.sampled_from((0, 0, 1)),
        pace_us=st.sampled_from((0, 1, 1, 400_000)),
    )
    def tick(self, moved: bool, business: int, lag: int, pace_us: int) -> None:  # noqa: FBT001 - drawn by name
        parts = tuple(
            Part(partition, self.after[partition], self.after[partition] + 1)
            for partition in PARTITIONS
            if moved and not self._inside(partition, self.after[partition], 1)
        )
        revision = max(1, self.revision - lag)
        server = f"s{self.server}"
        call = Tick(self.now_us, server, revision, NOW_MS + business, parts, pace_us)
        ticked = self.both(lambda shard: shard.tick(call))
        if isinstance(ticked, Ticked) and ticked.recover:
            self._recover(ticked.recover, 1000)

    @rule(
        ms=st.sampled_from((-900, 0, 1, 7, 1000, 61_000)),
        trouble=st.sampled_from(
            ("", "", "server", "policy", "save", "save", "roll back", "rewind")
        ),
        begin=st.integers(0, 9),
        names=st.sets(sku, max_size=2),
    )
    def time_passes(self, ms: int, trouble: str, begin: int, names: set[str]) -> None:
        self.now_us += ms * 1000 + 7
        if trouble == "server":
            self.server += 1
        elif trouble == "policy":
            self.revision += 1
        elif trouble == "save":
            self.saved = (self.shards[0].save(), self.shards[1].save())
        elif trouble == "roll back" and self.saved:
            for shard, saved in zip(self.shards, self.saved, strict=True):
                shard.roll_back(saved)
        elif trouble == "rewind":
            self.after.clear()
            self.after.update(self.shards[0].everything().marks)
        elif begin < 3:
            self._recover(begin, 0)
        elif begin == 3:
            self._rebuild(tuple(sorted(names)), max(1, self.revision - len(names) % 2))

    def _append(self, partition: str, made: ShardEvent, again: int) -> None:
        """Append a new event, or one of the log once more; offsets have gaps."""
        old = [event for name in PARTITIONS for event in self.log[name]]
        if again and old:
            event = old[-again % len(old)]._replace(slice=made.slice)
        else:
            self.made += 1
            event = made._replace(
                hash=str(self.made), log_ms=NOW_MS + self.made, home=self.made % 2
            )
        log = self.log[partition]
        log.append(event._replace(offset=log[-1].offset + 1 + len(log) % 2 if log else 0))

    def _inside(self, partition: str, after: int, most: int) -> tuple[ShardEvent, ...]:
        events = self.log[partition]
        return tuple(event for event in events if after < event.offset <= after + most)

    def _apply(self, pieces: list[tuple[str, int, int]], lag: int) -> None:
        parts = []
        for partition, after, most in pieces:
            events = tuple(e for e in self.log[partition] if after < e.offset <= most)
            upto = events[-1].offset if events else after
            parts.append(Part(partition, after, upto, events))
            self.after[partition] = max(upto, self.after[partition])
        revision = self.sums_of(max(1, self.revision - lag))
        call = Apply(self.now_us, revision, GUARD_MS, self.table(revision), tuple(parts))
        self.sent.append(call)
        if isinstance(self.both(lambda shard: shard.apply(call)), Behind):
            self.after.update(dict.fromkeys(PARTITIONS, -1) | self.shards[0].everything().marks)

    def _claim(self, call: Claim) -> Claimed | None:
        claimed = self.both(lambda shard: shard.claim(call))
        if not isinstance(claimed, Claimed):
            return None
        self.claims += [
            Settle(
                due.sku, due.token, claimed.generation, due.base - due.unrouted,
                f'{{"shop":{due.token}}}' if due.token % 3 else "{}", f'"no":{due.token % 3}',
                self.now_us // 1000 + due.token % 5000,
                NOW_MS + due.token % 8 if due.token % 2 else 0, due.alerts,
            )
            for due in claimed.due
        ]  # fmt: skip
        return claimed

    def _settle(self, items: list[Settle], revision: int) -> None:
        once = tuple({item.sku: item for item in items}.values())
        self.both(lambda shard: shard.settle(self.now_us, revision, once))

    def _recover(self, begin: int, skew_ms: int) -> None:
        call = Recover(self.now_us, f"s{self.server}", begin, skew_ms, 100)
        self.both(lambda shard: shard.recover(call))

    def _rebuild(self, names: tuple[str, ...], revision: int) -> None:
        sums = self.sums_of(revision)
        call = Rebuild(self.now_us, revision, sums, self.places(sums), names)
        self.both(lambda shard: shard.rebuild(call))

    @invariant()
    def both_hold_the_same(self) -> None:
        memory, stored = (shard.everything() for shard in self.shards)
        assert differences(memory, stored) == {}, differences(memory, stored)

    @invariant()
    def what_is_held_is_what_the_holds_keep(self) -> None:
        pool = self.shards[0]
        assert isinstance(pool, MemoryPool)
        kept: Counter[tuple[str, str]] = Counter()
        for state in pool.listed():
            for line in state.lines:
                kept[line.sku, line.location] += line.units
        said = Counter({(name, ""): record.held for name, record in pool.skus.items()})
        for name, record in pool.skus.items():
            for location, position in record.positions.items():
                said[name, location] = position.reserved
        assert +kept == +said
        assert min(said.values(), default=0) >= 0

    @invariant()
    def sums_are_what_a_full_computation_gives(self) -> None:
        pool = self.shards[0]
        assert isinstance(pool, MemoryPool)
        for record in pool.skus.values():
            if not record.revision:
                continue
            sums: dict[int, int] = defaultdict(int)
            base = 0
            by_location = {each.location: each for each in self.table(record.revision)}
            for location, position in record.positions.items():
                where = by_location[location]
                sums[where.klass] += position.contribution(where.floor)
                base += where.base * position.contribution(0)
            assert {k: n for k, n in record.sums.items() if n} == {
                k: n for k, n in sums.items() if n
            }
            assert record.base == base

    def teardown(self) -> None:
        stored = self.shards[1]
        assert isinstance(stored, RedisPool)
        assert faults(stored, self.now_us // 1000, self.table) == []
        for name in SKUS:
            known = self.shards[0].read(name)
            if known and known.sums_revision:
                self.both(lambda shard, name=name: shard.read(name))  # type: ignore[misc]


def run(client: Client, examples: int) -> None:
    class Machine(PoolMachine):
        def __init__(self) -> None:
            super().__init__(client)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_memory_and_redis_answer_and_end_alike_under_random_verbs(
    client: Client,
) -> None:
    run(client, 200 if isinstance(client, redis.Redis) else 50)
