"""Every key on a used server is declared, and lives as long as it was promised."""

import random
import re

import pytest

from connectors.redis.cluster import Client
from state.protocol.apply import ShardOp
from state.protocol.holds import ENDED_MS, Hold
from state.protocol.keys import CLOSED_TTL_MS, EXPIRING, PERMANENT, RECORD_TTL_MS, Keys
from tests.state.pools import (
    GUARD_MS,
    HOUR_MS,
    NOW_MS,
    SHOP,
    WAREHOUSE,
    Bench,
    RedisPool,
    cancel,
    close,
    consume,
    count,
    incoming,
    move,
    place_order,
    ship,
    ship_netted,
    take_back,
    void,
)
from tests.state.random_holds import request

CLOSED = {"\x1fwarehouse", "\x1fshop"}
LIFE_MS = {"seen": GUARD_MS, "order": RECORD_TTL_MS, "ref": RECORD_TTL_MS, "ended": ENDED_MS}


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
            take_back(sku, order, draw.randint(0, 2), draw.randint(0, 2), place),
            ship_netted(sku, order, draw.randint(1, 5), place=place),
            close(draw.choice("rs"), draw.choice(["warehouse", "shop"])),
            consume(f"h{draw.randint(0, 60)}"),
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
        hold(bench, f"h{draw.randint(0, 60)}", draw.choice("ABC"))
        if draw.random() < 0.05:
            bench.tick(server=draw.choice("12"))
            bench.recover()
    bench.do(move("A", SHOP, 1), place_order("A", "open", 5), incoming("A", SHOP, "r", 9))
    settle_with_a_look(bench)
    bench.do(count("A", WAREHOUSE, bench.now_ms, 99))
    hold(bench, "last", "A")
    return bench


def hold(bench: Bench, name: str, sku: str) -> None:
    wanted = request(name, {sku: 1}, bench.now_ms, ttl_ms=HOUR_MS)
    bench.shard.hold(Hold(bench.now_us, bench.revision, bench.sums_revision, (wanted,)))


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
    orders, references = bench.shard.everything().orders, bench.shard.everything().references
    kinds = set()
    for key in client.scan_iter(count=1000):
        name = key.decode()
        (pattern,) = declared(name, "shop:")
        kinds.add(pattern)
        life_ms = client.pttl(key)
        _, kind, *rest = name.removeprefix("shop:").split(":")
        stays = (kind == "order" and has_open_units(orders[rest[0]])) or (
            kind == "ref" and "+" in references[rest[0]]
        )
        if pattern in PERMANENT or stays:
            assert life_ms == -1, name
        elif kind == "ref" and (references[rest[0]].keys() & CLOSED):
            # Another location of the reference may have been told of since.
            promised = RECORD_TTL_MS if life_ms > CLOSED_TTL_MS else CLOSED_TTL_MS
            assert promised - HOUR_MS < life_ms <= promised, name
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


def test_a_reference_stays_until_all_of_it_has_come_and_a_closed_one_for_a_week(
    client: Client,
) -> None:
    bench = Bench(RedisPool(client))
    key = Keys("t").shard(0, "ref:r1")
    bench.do(incoming("A", SHOP, "r1", 5), incoming("B", SHOP, "r1", 1))
    assert client.pttl(key) == -1
    bench.do(incoming("A", SHOP, "r1", -7))
    assert client.pttl(key) == -1
    bench.do(incoming("B", SHOP, "r1", -1))
    assert client.pttl(key) > RECORD_TTL_MS - HOUR_MS
    bench.do(incoming("A", SHOP, "r1", 4), close("r1", "shop"))
    assert CLOSED_TTL_MS - HOUR_MS < client.pttl(key) <= CLOSED_TTL_MS


def test_each_named_key_is_declared() -> None:
    keys = Keys("shop")
    names = [
        keys.store(),
        keys.policy(),
        keys.codes(),
        keys.feeds(),
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
