"""The typed wrapper: many shards in one round trip, and what it reads for people."""

import pytest

from connectors.redis.cluster import Client
from state.events.ops import MOVE
from state.protocol.apply import Applied, Apply, Part, ShardEvent
from state.protocol.claim import Claim, Claimed
from state.protocol.common import Behind
from state.protocol.control import Recover, Tick, Ticked
from state.protocol.keys import Keys
from state.protocol.sharding import shard_of
from state.store.library import library_source
from state.store.shards import Store
from tests.state.pools import GUARD_MS, NOW_MS, PLACES, WAREHOUSE

SHARDS = 4
SKUS = [f"sku-{i}" for i in range(30)]


@pytest.fixture
def observed() -> list[str]:
    return []


@pytest.fixture
def store(client: Client, observed: list[str]) -> Store:
    store = Store(client, Keys("shop"), SHARDS, lambda verb, _seconds: observed.append(verb))
    store.load_functions()
    return store


def received(store: Store, *skus: str, after: int = -1) -> dict[int, Applied | Behind]:
    """Apply one event of ten units for each SKU."""
    calls = {}
    for shard in range(store.shards):
        mine = [(i, sku) for i, sku in enumerate(skus) if shard_of(sku, SHARDS) == shard]
        events = tuple(
            ShardEvent(
                i, f"{after} {i}", 9, NOW_MS + i, NOW_MS, 1, "", ((MOVE, sku, WAREHOUSE, 10, 0, 0),)
            )
            for i, sku in mine
        )
        if events:
            part = Part("p/0", after, events[-1].offset, events)
            calls[shard] = Apply(NOW_MS * 1000, 1, GUARD_MS, PLACES, (part,))
    return store.apply(calls)


def test_a_shard_of_a_new_store_is_told_its_server_once(store: Store) -> None:
    store.begin([f"s{shard}" for shard in range(SHARDS)])
    store.begin(["another"] * SHARDS)
    ticks = {shard: Tick(NOW_MS * 1000, f"s{shard}", 1, 0) for shard in range(SHARDS)}
    replies = store.tick(ticks).values()
    assert [reply.recover for reply in replies if isinstance(reply, Ticked)] == [0] * SHARDS


def test_loading_the_functions_twice_is_harmless(store: Store) -> None:
    store.load_functions()
    assert library_source().startswith("#!lua name=penstock\n")


def test_the_shards_of_a_batch_answer_each_for_itself(store: Store) -> None:
    received(store, *SKUS)
    ahead = Part("p/0", 500, 501)
    behind = Part("p/0", -1, 2)
    replies = store.apply(
        {
            0: Apply(NOW_MS * 1000, 1, GUARD_MS, PLACES, (ahead,)),
            1: Apply(NOW_MS * 1000, 1, GUARD_MS, PLACES, (behind,)),
        }
    )
    assert isinstance(replies[0], Behind)
    assert replies[0].watermarks[0][0] == "p/0"
    assert replies[1] == Applied((), 0, 0, NOW_MS)


def test_marks_and_counters_are_told_for_all_shards(store: Store) -> None:
    received(store, *SKUS)
    marks = store.marks()
    assert len(marks) == SHARDS
    assert max(mark["p/0"] for mark in marks) == len(SKUS) - 1
    assert store.counters() == {"applied": len(SKUS), "duplicates": 0}


def test_a_store_without_events_has_no_marks_and_no_business_time(store: Store) -> None:
    assert store.marks() == [{}] * SHARDS
    assert store.business_ms() == 0
    assert store.counters() == {"applied": 0, "duplicates": 0}


def test_every_sku_is_listed_and_read(store: Store) -> None:
    received(store, *SKUS)
    assert sorted(store.skus()) == sorted(SKUS)
    read = list(store.read_many([*SKUS, "unknown"]))
    assert [state.base if state else None for state in read] == [10] * len(SKUS) + [None]
    assert store.read("unknown") is None


def test_what_is_due_counts_over_all_shards(store: Store) -> None:
    received(store, *SKUS)
    assert store.due_by(NOW_MS - 1, 0) == 0
    assert store.due_by(NOW_MS, 0) == len(SKUS)
    assert store.business_ms() == NOW_MS + len(SKUS) - 1


def test_a_claim_and_a_tick_reach_every_shard(store: Store) -> None:
    received(store, *SKUS)
    claimed = store.claim(dict.fromkeys(range(SHARDS), Claim(NOW_MS * 1000, 5, 1, 1, 0, 100)))
    skus = [due.sku for each in claimed.values() if isinstance(each, Claimed) for due in each.due]
    assert sorted(skus) == sorted(SKUS)
    ticked = store.tick(dict.fromkeys(range(SHARDS), Tick(NOW_MS * 1000, "s1", 1, 0)))
    assert all(isinstance(reply, Ticked) and reply.due == 0 for reply in ticked.values())


def test_a_recovery_is_carried_through_in_chunks(store: Store) -> None:
    received(store, *(f"sku-{i}" for i in range(3000)))
    later = (NOW_MS + 10) * 1000
    for shard in range(SHARDS):
        store.claim({shard: Claim(NOW_MS * 1000, 60_000, 1, 1, 0, 5000)})
        assert store.recover(shard, Recover(later, "s2", 1, 1000, 50)) == later
    assert store.due_by(NOW_MS + 10, 0) == 3000


def test_each_round_trip_is_observed_with_its_verb(store: Store, observed: list[str]) -> None:
    received(store, *SKUS)
    store.settle(NOW_MS * 1000, 1, {0: []})
    assert observed == ["apply", "settle"]


def test_two_namespaces_on_one_server_know_nothing_of_each_other(
    store: Store, client: Client
) -> None:
    received(store, *SKUS)
    other = Store(client, Keys(), SHARDS)
    assert other.marks() == [{}] * SHARDS
    assert list(other.skus()) == []
