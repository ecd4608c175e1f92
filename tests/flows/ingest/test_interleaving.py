"""Any interleaving of the partitions ends the same, through the real steps, in memory and in Redis."""

from dataclasses import dataclass
from typing import Any

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.log.base import Partition
from state.events.messages import TOPIC_OF
from state.events.timestamps import ms_rfc3339
from state.memory.orders import OrderRecord
from tests.flows.play import NOW_MS, AnyStore, MemoryStore, Player, Stream, redis_store

SKUS = ("A", "B", "C")
ORDERS = ("o1", "o2", "o3")
HOUR_MS = 3_600_000
EVENTS_MAX = 30


@dataclass(frozen=True, slots=True)
class Drawn:
    """One event, where it goes, and where it is sent once more (-1: nowhere)."""

    kind: str
    data: dict[str, Any]
    time_ms: int
    partition: int
    again: int


@dataclass(frozen=True, slots=True)
class End:
    """What must not depend on the order: positions, open order lines, and what would be told."""

    positions: dict[str, tuple[Any, ...]]
    open_lines: dict[tuple[str, str], int]
    levels: dict[str, tuple[int, str, str]]


sku = st.sampled_from(SKUS)
location = st.sampled_from(("wh", "s1", "s2"))
quantity = st.integers(1, 9)
# Few moments, so that movements meet counts of their own moment.
moment_ms = st.integers(0, 5).map(lambda hours: NOW_MS - hours * HOUR_MS)
line = st.fixed_dictionaries({"sku": sku, "quantity": quantity})
several = st.lists(line, min_size=1, max_size=3)
once_each = st.lists(line, min_size=1, max_size=3, unique_by=lambda each: each["sku"])
returned = st.lists(
    st.fixed_dictionaries(
        {"sku": sku, "quantity": quantity, "condition": st.sampled_from(("sellable", "damaged"))}
    ),
    min_size=1,
    max_size=3,
)
order = st.sampled_from(ORDERS)
reference = st.sampled_from(("r1", "r2"))
counted_at = moment_ms.map(ms_rfc3339)

DATA: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "pos.sale": st.fixed_dictionaries(
        {"location": location, "receipt": st.just("1"), "lines": several},
        optional={"order": order},
    ),
    "pos.return": st.fixed_dictionaries(
        {"location": location, "receipt": st.just("1"), "lines": returned}
    ),
    "wms.announced": st.fixed_dictionaries(
        {
            "location": location, "reference": reference, "lines": several,
            "expected_at": st.just("2026-01-02T00:00:00Z"),
        }
    ),
    "wms.receipt": st.fixed_dictionaries(
        {"location": location, "reference": reference, "lines": several},
        optional={"final": st.booleans()},
    ),
    "wms.adjustment": st.fixed_dictionaries(
        {"location": location, "reason": st.just("x"), "actor": st.just("y"), "lines": several}
    ),
    "wms.count": st.fixed_dictionaries(
        {"location": location, "counted_at": counted_at, "lines": once_each}
    ),
    "wms.shipment": st.fixed_dictionaries(
        {"location": location, "order": order, "lines": several}
    ),
    "wms.transfer": st.fixed_dictionaries(
        {
            "transfer": st.sampled_from(("t1", "t2")), "from": st.just("wh"), "to": st.just("s1"),
            "stage": st.sampled_from(("shipped", "received", "lost")), "lines": several,
        }
    ),
    "wms.quality": st.fixed_dictionaries(
        {"location": location, "stage": st.sampled_from(("hold", "release", "scrap")), "lines": several}
    ),
    "supplier.stock": st.fixed_dictionaries(
        {"location": st.just("sup"), "as_of": counted_at, "lines": once_each}
    ),
    "order.cancelled": st.fixed_dictionaries({"order": order}, optional={"lines": several}),
    "order.returned": st.fixed_dictionaries(
        {"order": order, "location": location, "lines": returned}
    ),
}  # fmt: skip

happened = st.sampled_from(sorted(DATA)).flatmap(
    lambda kind: st.builds(
        Drawn, st.just(kind), DATA[kind], moment_ms, st.integers(0, 1), st.integers(-1, 1)
    )
)
# An order is placed by one event: of two, the first to arrive would count.
placed = st.tuples(*(several for _ in ORDERS)).map(
    lambda asked: [
        Drawn(
            "order.placed",
            {"order": name, "channel": "shopee", "lines": mine},
            NOW_MS,
            n % 2,
            n % 3 - 1,
        )
        for n, (name, mine) in enumerate(zip(ORDERS, asked, strict=True))
    ]
)
events = st.builds(
    lambda some, orders: some + orders, st.lists(happened, min_size=3, max_size=EVENTS_MAX), placed
)


def stream_of(drawn: list[Drawn]) -> tuple[Stream, list[Partition]]:
    """Return the stream of these events, and where each message of it lies, in the order of appending."""
    stream = Stream()
    places = [
        stream.append(each.kind, f"e{number}", each.time_ms, partition, each.data)
        for number, each in enumerate(drawn)
        for partition in (each.partition, each.again)
        if partition >= 0
    ]
    return stream, places


def end_of(player: Player) -> End:
    store = player.store
    # Asking for the levels makes sums anew that were given up.
    levels = player.levels()
    kept = {name: state for name in SKUS if (state := store.read(name)) is not None}
    return End(
        {
            name: (
                state.positions,
                state.unrouted,
                state.held,
                _trimmed(state.sums),
                state.base,
                state.demand,
            )
            for name, state in kept.items()
        },
        open_lines(store),
        levels,
    )


def _trimmed(sums: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out classes at the end without stock: they may be missing."""
    while sums and not sums[-1]:
        sums = sums[:-1]
    return sums


def open_lines(store: AnyStore) -> dict[tuple[str, str], int]:
    """Return (order, SKU) -> units still open."""
    if isinstance(store, MemoryStore):
        records: list[tuple[str, OrderRecord]] = [
            found for shard in store.kept for found in shard.orders.items()
        ]
        return {(name, s): n for name, record in records for s, n in record.unrouted.items() if n}
    found: dict[tuple[str, str], int] = {}
    client: redis.Redis = store.client  # type: ignore[attr-defined]  # a store in Redis has one
    for key in client.scan_iter(match="*:order:*"):
        facts: Any = client.hgetall(key)
        for fact, units in facts.items():
            if fact.startswith(b"u:") and int(units):
                found[key.decode().rpartition(":")[2], fact[2:].decode()] = int(units)
    return found


def in_order(stream: Stream, store: AnyStore) -> End:
    """Read one partition after the other, one message at a time."""
    player = Player(stream, store)
    for place in sorted(stream.records):
        for _ in stream.records[place]:
            player.read([place])
    return end_of(player)


def interleaved(stream: Stream, store: AnyStore, picks: list[Partition], cuts: list[int]) -> End:
    """Read the partitions in the order of the picks, in batches cut as told.

    A cut of 2 tells all shards how far the worker is, one of 3 lets another begin where the marks stand.
    """
    player = Player(stream, store)
    batch: list[Partition] = []
    for place, cut in zip(picks, cuts, strict=True):
        batch.append(place)
        if cut:
            player.read(batch)
            batch = []
        if cut == 2:
            player.tick()
        if cut == 3:
            player.begin()
    player.read(batch)
    player.begin()
    player.read_all(7)
    return end_of(player)


def plays(drawn: list[Drawn]) -> st.SearchStrategy[tuple[Stream, list[Partition], list[int]]]:
    stream, places = stream_of(drawn)
    length = len(places)
    cuts = st.lists(st.sampled_from((0, 0, 0, 1, 1, 2, 3)), min_size=length, max_size=length)
    return st.tuples(st.just(stream), st.permutations(places), cuts)


Play = tuple[Stream, list[Partition], list[int]]


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(events.flatmap(plays))
def test_any_interleaving_of_the_partitions_ends_the_same_in_memory(play: Play) -> None:
    stream, picks, cuts = play
    assert interleaved(stream, MemoryStore(), picks, cuts) == in_order(stream, MemoryStore())


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(play=events.flatmap(plays))
def test_any_interleaving_of_the_partitions_ends_the_same_in_redis(
    redis_client: redis.Redis, play: Play
) -> None:
    stream, picks, cuts = play
    redis_client.flushall()
    found = interleaved(stream, redis_store(redis_client), picks, cuts)
    assert found == in_order(stream, MemoryStore())


def test_an_end_tells_the_difference_that_one_event_makes() -> None:
    sale = {"location": "s1", "receipt": "1", "lines": [{"sku": "A", "quantity": 2}]}
    asked = {"order": "o1", "channel": "shopee", "lines": [{"sku": "A", "quantity": 3}]}
    drawn = [
        Drawn("pos.sale", sale, NOW_MS, 0, 1),
        Drawn("order.placed", asked, NOW_MS, 0, -1),
    ]
    ends = []
    for count in (1, 2):
        stream, _ = stream_of(drawn[:count])
        ends.append(in_order(stream, MemoryStore()))
    without, whole = ends
    assert without.positions["A"][0][0].on_hand == -2
    assert (without.open_lines, whole.open_lines) == ({}, {("o1", "A"): 3})
    assert whole.positions["A"][1] == 3
    assert without.levels["A"][0] > whole.levels["A"][0]


def test_every_type_of_event_takes_part() -> None:
    assert {*DATA, "order.placed"} == set(TOPIC_OF)
