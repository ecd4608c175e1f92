"""Every key on a used server is declared, and lives as long as it was promised."""

import random
import re

import pytest

from connectors.redis_cluster import Client
from state.calls import ShardOp
from state.keys import EXPIRING, PERMANENT, RECORD_TTL_MS, Keys
from tests.state.pools import (
    GUARD_MS,
    HOUR_MS,
    NOW_MS,
    SHOP,
    WAREHOUSE,
    Bench,
    RedisPool,
    cancel,
    count,
    incoming,
    move,
    place_order,
    ship,
    void,
)

LIFE_MS = {"seen": GUARD_MS, "order": RECORD_TTL_MS, "ref": RECORD_TTL_MS}


def declared(name: str, prefix: str) -> set[str]:
    """Return the patterns that a key matches."""
    assert name.startswith(prefix), name
    return {
        pattern
        for pattern in PERMANENT | EXPIRING
        if re.fullmatch(
            re.sub(r"<\w+>", ".+", re.escape(pattern).replace(r"\{s\}", r"\{\d+(-\d+)?\}")),
            name.removeprefix(prefix),
            re.DOTALL,
        )
    }


def any_op(draw: random.Random) -> ShardOp:
    sku, place, order = draw.choice("ABC"), draw.choice([WAREHOUSE, SHOP]), draw.choice("xyz")
    return draw.choice(
        [
            move(sku, place, draw.randint(-5, 5), demand=draw.randint(0, 2)),
            count(sku, place, NOW_MS + draw.randint(-9, 9), draw.randint(0, 9)),
            incoming(sku, place, draw.choice("rs"), draw.randint(-5, 5)),
            place_order(sku, order, draw.randint(1, 5)),
            cancel(sku, order, draw.randint(1, 5)),
            ship(sku, order, draw.randint(1, 5)),
            void(order),
        ]
    )


def used(client: Client, seed: int) -> Bench:
    """Return a bench after a random run with every verb."""
    draw, bench = random.Random(seed), Bench(RedisPool(client, "shop"))
    for _ in range(200):
        bench.send(bench.event(any_op(draw), slice_=draw.randint(5, 9)))
        bench.now_ms += draw.randint(0, HOUR_MS // 20)
        if draw.random() < 0.2:
            settle_with_a_look(bench)
        if draw.random() < 0.05:
            bench.tick(server=draw.choice("12"))
            bench.recover()
    bench.do(move("A", SHOP, 1), place_order("A", "open", 5), incoming("A", SHOP, "r", 9))
    settle_with_a_look(bench)
    return bench


def settle_with_a_look(bench: Bench) -> None:
    claimed = bench.claim()
    bench.settle(
        *(
            bench.settlement(due, generation=claimed.generation, next_look_ms=NOW_MS + 9)
            for due in claimed.due
        )
    )


@pytest.mark.parametrize("seed", range(5))
def test_every_key_of_a_used_server_is_declared_and_lives_as_promised(
    client: Client, seed: int
) -> None:
    bench = used(client, seed)
    orders = bench.shard.everything().orders
    kinds = set()
    for key in client.scan_iter(count=1000):
        name = key.decode()
        (pattern,) = declared(name, "shop:")
        kinds.add(pattern)
        life_ms = client.pttl(key)
        _, kind, *rest = name.removeprefix("shop:").split(":")
        if pattern in PERMANENT or (kind == "order" and has_open_units(orders[rest[0]])):
            assert life_ms == -1, name
        else:
            assert LIFE_MS[kind] - HOUR_MS < life_ms <= LIFE_MS[kind], name
    assert kinds == {pattern for pattern in PERMANENT | EXPIRING if pattern.startswith("{s}")}


def has_open_units(record: dict[str, str]) -> bool:
    return any(field.startswith("u:") and units != "0" for field, units in record.items())


def test_an_order_expires_once_it_is_closed_and_stays_when_it_opens_again(
    client: Client,
) -> None:
    bench = Bench(RedisPool(client))
    key = Keys("t").shard(0, "order:o1")
    bench.do(cancel("A", "o1", 1))
    assert client.pttl(key) > 0
    bench.do(place_order("A", "o1", 5))
    assert client.pttl(key) == -1
    bench.do(ship("A", "o1", 4))
    assert client.pttl(key) > RECORD_TTL_MS - HOUR_MS


def test_each_named_key_is_declared() -> None:
    keys = Keys("shop")
    names = [
        keys.store(),
        keys.policy(),
        keys.codes(),
        keys.silence(),
        keys.walk(),
        keys.log_topics(),
        keys.log_members("penstock.ingest"),
        keys.log_stream("pos.sales", 3),
    ]
    assert all(declared(name, "shop:") for name in names)


def test_an_undeclared_key_is_found() -> None:
    assert declared("shop:{3-9}:other", "shop:") == set()


def test_all_keys_of_a_shard_carry_its_tag_as_the_hash_tag() -> None:
    assert Keys("x").shard(7, "pos:A{1}") == "x:{7-235}:pos:A{1}"
    assert Keys().shard(7, "due") == "{7-235}:due"


@pytest.mark.parametrize("namespace", ["a{b", "a}b", "{}"])
def test_a_namespace_with_braces_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match="expected no braces"):
        Keys(namespace)
