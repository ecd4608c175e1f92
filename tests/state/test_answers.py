"""What an order answers for: goods that came back, shipments of suppliers, and references, over both back ends."""

import itertools
import random

import pytest

from connectors.redis.cluster import Client
from state.protocol.apply import ShardOp
from tests.state.everything import Everything
from tests.state.pools import (
    NOW_MS,
    SHOP,
    WAREHOUSE,
    Bench,
    MemoryPool,
    RedisPool,
    cancel,
    close,
    count,
    incoming,
    move,
    place_order,
    ship,
    ship_netted,
    take_back,
)


def test_what_came_back_counts_up_to_what_was_shipped(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 3))
    bench.do(move("A", WAREHOUSE, -2), ship("A", "o1", 2))
    bench.do(take_back("A", "o1", 2, place=SHOP))
    assert bench.on_hand(location="shop") == 2
    bench.do(take_back("A", "o1", 1, place=SHOP))
    assert bench.on_hand(location="shop") == 2
    assert bench.alerts()["overreturned:o1"] == "1 log/0/3"


def test_a_return_counts_as_soon_as_its_shipment_is_known(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 3))
    bench.do(take_back("A", "o1", 2, place=SHOP))
    assert bench.on_hand(location="shop") == 0
    bench.do(ship("A", "o1", 2))
    assert bench.on_hand(location="shop") == 2


def test_all_of_an_order_that_was_never_placed_here_counts(bench: Bench) -> None:
    bench.do(take_back("A", "old", 4, damaged=1, place=SHOP))
    (position,) = bench.sku().positions
    assert (position.on_hand, position.unavailable) == (5, 1)
    assert bench.alerts() == {}


def test_the_damaged_are_on_hand_and_unavailable_and_give_way_to_the_sellable(
    bench: Bench,
) -> None:
    bench.do(place_order("A", "o1", 9), ship("A", "o1", 3))
    bench.do(take_back("A", "o1", 2, damaged=5, place=SHOP))
    (position,) = bench.sku().positions
    assert (position.on_hand, position.unavailable) == (3, 1)


def test_the_earliest_return_counts_first_whatever_came_first(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 2), ship("A", "o1", 2))
    bench.do(take_back("A", "o1", 2, place=SHOP), time_ms=NOW_MS + 9)
    assert bench.on_hand(location="shop") == 2
    bench.do(take_back("A", "o1", 2, place=WAREHOUSE), time_ms=NOW_MS + 5)
    assert (bench.on_hand(location="shop"), bench.on_hand()) == (0, 2)


def test_sums_of_a_location_that_the_event_did_not_name_are_made_anew(bench: Bench) -> None:
    bench.do(take_back("A", "o1", 0, damaged=0), place_order("A", "o1", 5))
    bench.do(take_back("A", "o1", 4, place=SHOP))
    bench.do(ship("A", "o1", 3))
    assert bench.claim().stale == ("A",)
    bench.rebuild("A")
    assert bench.sku().sums == (0, 2)  # the floor of the shop is 1


def test_a_count_absorbs_a_return_that_it_saw_and_keeps_a_later_one(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5), ship("A", "o1", 5))
    bench.do(take_back("A", "o1", 2, place=SHOP), time_ms=NOW_MS + 5)
    bench.do(count("A", SHOP, NOW_MS, 10))
    assert bench.on_hand(location="shop") == 12
    bench.do(take_back("A", "o1", 2, place=SHOP), time_ms=NOW_MS)
    assert bench.on_hand(location="shop") == 12
    bench.do(count("A", SHOP, NOW_MS + 6, 7))
    assert bench.on_hand(location="shop") == 7


def test_a_figure_net_of_orders_has_seen_what_ships_for_an_older_order(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 2), time_ms=NOW_MS)
    bench.do(count("A", WAREHOUSE, NOW_MS + 10, 40))
    bench.do(ship_netted("A", "o1", 2), time_ms=NOW_MS + 20)
    assert bench.on_hand() == 40
    assert bench.sku().unrouted == 0


def test_a_figure_net_of_orders_has_not_seen_a_younger_order(bench: Bench) -> None:
    bench.do(count("A", WAREHOUSE, NOW_MS + 10, 40))
    bench.do(place_order("A", "o1", 2), time_ms=NOW_MS + 11)
    bench.do(ship_netted("A", "o1", 2), time_ms=NOW_MS + 20)
    assert bench.on_hand() == 38


def test_a_netted_shipment_takes_the_time_of_its_own_channel(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 2, "momo"), time_ms=NOW_MS)
    bench.do(place_order("A", "o1", 2, "shopee"), time_ms=NOW_MS + 11)
    bench.do(count("A", WAREHOUSE, NOW_MS + 10, 40))
    bench.do(ship_netted("A", "o1", 2, "shopee"), time_ms=NOW_MS + 20)
    assert bench.on_hand() == 38
    bench.do(ship_netted("A", "o1", 1), time_ms=NOW_MS + 20)
    assert bench.on_hand() == 38


def test_a_closed_reference_has_nothing_under_way_whatever_is_told_later(bench: Bench) -> None:
    bench.do(incoming("A", WAREHOUSE, "r", 5), incoming("B", WAREHOUSE, "r", 3))
    bench.do(incoming("A", SHOP, "r", 2))
    bench.do(close("r"))
    assert (bench.incoming(), bench.incoming("B"), bench.incoming(location="shop")) == (0, 0, 2)
    bench.do(incoming("A", WAREHOUSE, "r", 7), incoming("C", WAREHOUSE, "r", 1))
    assert (bench.incoming(), bench.incoming("C")) == (0, 0)


def test_a_reference_may_be_closed_and_told_of_in_one_call(bench: Bench) -> None:
    bench.do(incoming("A", WAREHOUSE, "r", 5))
    events = (incoming("A", WAREHOUSE, "r", -2), close("r"), incoming("A", WAREHOUSE, "r", 9))
    bench.send(*map(bench.event, events))
    assert bench.incoming() == 0


FACTS: tuple[tuple[int, tuple[ShardOp, ...]], ...] = (
    (0, (place_order("A", "o1", 5),)),
    (9, (place_order("A", "o1", 3, "momo"),)),
    (3, (move("A", WAREHOUSE, -2), ship("A", "o1", 2, "shopee"))),
    (8, (ship_netted("A", "o1", 2),)),
    (12, (ship_netted("A", "o1", 1, "momo", SHOP),)),
    (6, (take_back("A", "o1", 1, 2, SHOP),)),
    (6, (take_back("A", "o1", 2, 1),)),
    (11, (take_back("A", "o1", 3),)),
    (2, (take_back("A", "o1", 1, 0, SHOP), take_back("A", "o1", 0, 1, SHOP))),
    (4, (count("A", WAREHOUSE, NOW_MS + 4, 20),)),
    (7, (count("A", SHOP, NOW_MS + 7, 6),)),
    (10, (count("A", WAREHOUSE, NOW_MS + 9, 30),)),
    (5, (cancel("A", "o1", 1),)),
    (1, (incoming("A", SHOP, "r", 4),)),
    (9, (incoming("A", SHOP, "r", -1), move("A", SHOP, 1))),
    (13, (close("r", "shop"),)),
    (14, (incoming("A", SHOP, "r", 6),)),
)


def ended(bench: Bench, facts: list[tuple[int, tuple[ShardOp, ...]]]) -> Everything:
    for time_ms, ops in facts:
        bench.do(*ops, time_ms=NOW_MS + time_ms)
    return bench.shard.everything()


def figures(found: Everything) -> object:
    """Return what must not depend on the order of arrival."""
    sku = found.skus.get("A")
    positions = sku.positions if sku else {}
    return (
        {where: figures for where, figures in positions.items() if any(figures[:4]) or figures[5:]},
        sku.unrouted if sku else 0,
        found.orders.get("o1", {}).get("u:A", "0"),
    )


@pytest.mark.parametrize("seed", range(60))
def test_the_facts_of_an_order_end_alike_in_any_order_of_arrival(seed: int) -> None:
    draw = random.Random(seed)
    facts = draw.choices(FACTS, k=draw.randint(2, 14))
    wanted = None
    for _ in range(30):
        found = figures(ended(Bench(MemoryPool()), facts))
        wanted = wanted or found
        assert found == wanted, facts
        draw.shuffle(facts)


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_arrival_ends_on_the_server_as_in_memory(client: Client, seed: int) -> None:
    draw = random.Random(seed)
    facts = draw.choices(FACTS, k=14)
    assert ended(Bench(RedisPool(client)), facts) == ended(Bench(MemoryPool()), facts)


def test_every_order_of_the_three_facts_of_a_return_ends_alike(bench: Bench) -> None:
    facts = (place_order("A", "x", 4), ship("A", "x", 2), take_back("A", "x", 3, place=SHOP))
    for number, order in enumerate(itertools.permutations(facts)):
        for op in order:
            bench.do((*op[:2], f"o{number}", *op[3:]))
        assert bench.on_hand(location="shop") == 2 * (number + 1)
