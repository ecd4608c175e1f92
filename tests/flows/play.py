"""Streams played into any store by the steps of the flows, without a log: for tests of where they end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from connectors.config.settings import Settings
from connectors.log.base import Partition, Record
from connectors.messages.cloudevents import structured
from connectors.redis.cluster import Client
from flows.ingest.read_session import Batch, ReadSession
from flows.ingest.steps import apply, decode, normalise
from flows.publish.claimer import Claims
from flows.publish.steps import decide, guard
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.clock import Clock
from flows.runtime.context import Runtime
from state.events.codes import CodeTable
from state.events.messages import TOPIC_OF
from state.memory.shard import MemoryShard
from state.policy.document import AdRule, Channel, Location, Policy
from state.protocol.apply import Applied, Apply
from state.protocol.claim import Claim, Claimed
from state.protocol.common import ABSENT, Behind
from state.protocol.control import Rebuild, Tick, Ticked
from state.protocol.figures import SkuState
from state.protocol.keys import Keys
from state.protocol.pack import Chain, Packer
from state.protocol.sharding import shard_of
from state.store.policy import PolicyRecord
from state.store.shards import Store

SHARDS = 3
NOW_MS = 1_767_254_400_000
"""2026-01-01 08:00 UTC."""
REVISION = 1
LOG_IDS = {topic: f"log-of-{topic}" for topic in TOPIC_OF.values()}
POLICY = Policy(
    locations=(
        Location("wh", "warehouse", "north"),
        Location("s1", "store", "north"),
        Location("s2", "store", "south"),
        Location("sup", "dropship"),
    ),
    channels=(Channel("shop"), Channel("shopee", share_bp=8_000, buffer_units=1)),
    ads=(AdRule("google", platform="google", channel="shop", pause_at=2, resume_at=6),),
)


NEVER_MS = 1 << 62
"""Nobody adds codes here."""


class Noon(Clock):
    """A clock that stands still, so that two plays differ in nothing but their order."""

    def now_us(self) -> int:
        return NOW_MS * 1000

    def now_ms(self) -> int:
        return NOW_MS


class AnyStore(Protocol):
    """What the steps ask of a store."""

    shards: int

    def apply(self, calls: Mapping[int, Apply]) -> Mapping[int, Applied | Behind]: ...
    def begin_apply(self, rounds: Sequence[Mapping[int, Apply]]) -> Callable[[], list[Any]]: ...
    def tick(self, calls: Mapping[int, Tick]) -> Mapping[int, Ticked | Behind]: ...
    def claim(self, calls: Mapping[int, Claim]) -> Mapping[int, Any]: ...
    def rebuild(self, shard: int, call: Rebuild) -> object: ...
    def marks(self) -> list[dict[str, int]]: ...
    def read(self, sku: str) -> SkuState | None: ...
    def skus(self) -> Iterable[str]: ...


class MemoryStore:
    """Shards in memory behind the interface of the store."""

    def __init__(self, shards: int = SHARDS) -> None:
        self.shards = shards
        self.kept = [MemoryShard() for _ in range(shards)]

    def begin_apply(self, rounds: Sequence[Mapping[int, Apply]]) -> Callable[[], list[Any]]:
        return lambda: [self.apply(calls) for calls in rounds]

    def apply(self, calls: Mapping[int, Apply]) -> dict[int, Applied | Behind]:
        return {shard: self.kept[shard].apply(call) for shard, call in calls.items()}

    def tick(self, calls: Mapping[int, Tick]) -> dict[int, Ticked | Behind]:
        return {shard: self.kept[shard].tick(call) for shard, call in calls.items()}

    def rebuild(self, shard: int, call: Rebuild) -> object:
        return self.kept[shard].rebuild(call)

    def claim(self, calls: Mapping[int, Claim]) -> dict[int, Any]:
        return {shard: self.kept[shard].claim(call) for shard, call in calls.items()}

    def marks(self) -> list[dict[str, int]]:
        return [dict(shard.watermarks) for shard in self.kept]

    def read(self, sku: str) -> SkuState | None:
        return self.kept[shard_of(sku, self.shards)].read(sku)

    def skus(self) -> list[str]:
        return [sku for shard in self.kept for sku in shard.skus]


def redis_store(client: Client, shards: int = SHARDS) -> Store:
    """Return an empty store on an emptied server or cluster."""
    store = Store(client, Keys(), shards)
    store.load_functions()
    return store


@dataclass(slots=True)
class Stream:
    """What the log would hold."""

    records: dict[Partition, list[Record]] = field(default_factory=dict)

    def append(
        self, kind: str, event_id: str, time_ms: int, partition: int, data: dict[str, Any]
    ) -> Partition:
        """Append an event, and return where it went."""
        place = Partition(TOPIC_OF[kind], partition)
        mine = self.records.setdefault(place, [])
        value = structured(event_id, "/test", kind, time_ms, data)
        mine.append(Record(place.topic, place.n, len(mine), NOW_MS, None, (), value))
        return place


class Player:
    """One worker that reads a stream into a store, batch by batch, as it is told."""

    def __init__(self, stream: Stream, store: AnyStore) -> None:
        self.stream = stream
        self.store = store
        policy = ActivePolicy(PolicyRecord(REVISION, POLICY, REVISION), CodeTable())
        settings = Settings(metrics="off", shards=store.shards)
        # Without server and log: no step that is played asks for them.
        nothing = cast("Any", None)
        self.runtime = Runtime(
            settings, nothing, cast("Store", store), nothing, nothing, policy, clock=Noon(),
            codes_until_ms=NEVER_MS,
        )  # fmt: skip
        self.packer = Packer(store.shards, self.runtime.guard_ms)
        self.begin()

    def begin(self) -> None:
        """Begin a new run after the marks of the store, as a worker does that has just come."""
        marks = self.store.marks()
        self.run = ReadSession(LOG_IDS)
        for place in self.stream.records:
            mark = f"{LOG_IDS[place.topic]}/{place.n}"
            after = min(shard.get(mark, ABSENT) for shard in marks)
            self.run.chains[place] = Chain.starting(mark, after, self.store.shards)

    def read(self, picks: Iterable[Partition]) -> int:
        """Apply one batch: of each partition as many records as it is picked. Return how many there were."""
        counts: dict[Partition, int] = {}
        for place in picks:
            counts[place] = counts.get(place, 0) + 1
        records: list[Record] = []
        upto: dict[Partition, int] = {}
        for place, count in counts.items():
            first = self.run.chains[place].position + 1
            found = self.stream.records[place][first : first + count]
            records += found
            if found:
                upto[place] = found[-1].offset
        self._apply(records, upto)
        return len(records)

    def read_all(self, most: int) -> None:
        """Read on in batches of at most so many records, until there are no more."""
        while self.read([place for place in self.run.chains for _ in range(most)]):
            continue

    def tick(self) -> None:
        """Tell every shard how far all is applied."""
        facts = [chain.catch_up() for chain in self.run.chains.values()]
        for shard in range(self.store.shards):
            call = Tick(NOW_MS * 1000, "s", REVISION, 0, tuple(parts[shard] for parts in facts))
            assert isinstance(self.store.tick({shard: call})[shard], Ticked)

    def levels(self) -> dict[str, tuple[int, str, str]]:
        """Claim every SKU; return what would be told: available, levels, and ad states."""
        emitted: dict[str, tuple[int, str, str]] = {}
        while True:
            call = Claim(NOW_MS * 1000, 60_000, REVISION, REVISION, NOW_MS, 100)
            claimed: Mapping[int, Claimed] = self.store.claim(
                dict.fromkeys(range(self.store.shards), call)
            )
            if not any(reply.due or reply.stale for reply in claimed.values()):
                return emitted
            self._rebuild(claimed)
            claims = Claims(cast("Any", None), self.runtime.policy, NOW_MS, dict(claimed))
            for _, each in guard(self.runtime, decide(self.runtime, claims)).decisions:
                emitted[each.due.sku] = (each.available, each.levels_text, each.ads)

    def _rebuild(self, claimed: Mapping[int, Claimed]) -> None:
        """Make sums anew that were given up: goods of an order came back, and what it tells of them has changed."""
        policy = self.runtime.policy
        for shard, reply in claimed.items():
            for sku in reply.stale:
                places = tuple(policy.locate(sku, each) for each in policy.compiled.locations)
                call = Rebuild(NOW_MS * 1000, REVISION, REVISION, places, (sku,))
                assert self.store.rebuild(shard, call) == 1

    def _apply(self, records: Sequence[Record], upto: dict[Partition, int]) -> None:
        self.run.outstanding += 1
        decoded = decode(Batch(self.run, records, upto))
        normal = normalise(self.runtime, decoded)
        assert not normal.rejected, normal.rejected[0].reason
        apply(self.runtime, self.packer, normal)
        assert not self.run.behind
