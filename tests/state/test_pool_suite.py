"""What a shard does with the events of orders, counts and deliveries, over both back ends."""

import itertools

import pytest

from state.protocol.apply import ShardOp
from state.protocol.common import LocationTerms
from tests.state.pools import (
    DAY_MS,
    NOW_MS,
    PLATFORM,
    SHOP,
    WAREHOUSE,
    Bench,
    cancel,
    count,
    incoming,
    move,
    place_order,
    ship,
    void,
)


def test_a_movement_changes_on_hand_unavailable_and_the_sums_of_its_class(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 10), move("A", SHOP, 4))
    bench.do(move("A", WAREHOUSE, -1, unavailable=2))
    state = bench.sku()
    assert [(p.location, p.on_hand, p.unavailable, p.atp) for p in state.positions] == [
        ("shop", 4, 0, 4),
        ("warehouse", 9, 2, 7),
    ]
    assert state.sums == (7, 3)  # the floor of the shop is 1
    assert state.base == 11


def test_stock_on_a_platform_counts_for_its_class_alone(bench: Bench) -> None:
    bench.do(move("A", PLATFORM, 8))
    assert bench.sku().sums == (0, 0, 8)
    assert bench.sku().base == 0


def test_stock_below_the_floor_or_below_zero_gives_nothing_and_takes_nothing(
    bench: Bench,
) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("A", SHOP, 1))
    assert bench.sku().sums == (5, 0)
    bench.do(move("A", SHOP, -4))
    assert bench.sku().sums == (5, 0)
    assert bench.sku().base == 5


def test_a_position_without_figures_is_not_told_of(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    bench.do(move("A", WAREHOUSE, -5))
    assert bench.sku().positions == ()


def test_an_unknown_sku_reads_as_none(bench: Bench) -> None:
    assert bench.shard.read("never seen") is None


def test_an_order_is_unrouted_demand_until_it_is_shipped(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5))
    assert bench.sku().unrouted == 5
    bench.do(ship("A", "o1", 2), move("A", SHOP, -2))
    assert bench.sku().unrouted == 3
    bench.do(ship("A", "o1", 4, location="warehouse"), move("A", WAREHOUSE, -4))
    assert bench.sku().unrouted == 0


def test_an_order_may_be_shipped_before_it_is_known_as_placed(bench: Bench) -> None:
    bench.do(ship("A", "o1", 2), move("A", SHOP, -2))
    assert bench.sku().unrouted == 0
    bench.do(place_order("A", "o1", 5))
    assert bench.sku().unrouted == 3


def test_a_void_closes_every_line_of_the_order_in_the_shard(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5), place_order("B", "o1", 2))
    bench.do(place_order("B", "o2", 1))
    bench.do(void("o1"))
    assert (bench.sku("A").unrouted, bench.sku("B").unrouted) == (0, 1)


def test_a_void_that_comes_before_its_order_closes_it_too(bench: Bench) -> None:
    bench.do(void("o1"))
    bench.do(place_order("A", "o1", 5))
    assert bench.sku().unrouted == 0


def test_a_void_of_one_channel_leaves_the_same_number_of_another(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5, "shopee"))
    bench.do(place_order("A", "o1", 3, "momo"))
    bench.do(void("o1", "momo"))
    assert bench.sku().unrouted == 5


def test_the_event_that_places_an_order_first_wins(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5), place_order("A", "o1", 1))
    bench.do(place_order("A", "o1", 7), place_order("B", "o1", 1))
    assert bench.sku("A").unrouted == 6
    assert bench.sku("B").unrouted == 0
    assert bench.sku("B").demand == ()


def test_facts_without_a_channel_count_once_against_all_channels(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5, "shopee"))
    bench.do(place_order("A", "o1", 3, "momo"))
    bench.do(ship("A", "o1", 4))
    assert bench.sku().unrouted == 4
    bench.do(cancel("A", "o1", 3))
    assert bench.sku().unrouted == 1


def test_the_facts_of_an_order_end_alike_in_any_order(bench: Bench) -> None:
    facts: list[ShardOp] = [
        place_order("A", "x", 9),
        cancel("A", "x", 2),
        ship("A", "x", 3),
        cancel("A", "x", 1, "shopee"),
    ]
    for number, order in enumerate(itertools.permutations(facts)):
        for op in order:
            bench.do((*op[:2], f"o{number}", *op[3:]))
        assert bench.sku().unrouted == 3 * (number + 1)


def test_incoming_moves_by_what_is_still_announced_under_its_reference(bench: Bench) -> None:
    bench.do(incoming("A", WAREHOUSE, "r1", 5), incoming("A", WAREHOUSE, "r2", 2))
    bench.do(incoming("A", WAREHOUSE, "r1", -3))
    assert bench.incoming() == 4
    bench.do(incoming("A", WAREHOUSE, "r1", -4))
    assert bench.incoming() == 2


def test_a_reference_is_kept_per_sku_and_location(bench: Bench) -> None:
    bench.do(incoming("A", WAREHOUSE, "r1", -5))
    bench.do(incoming("B", WAREHOUSE, "r1", 3), incoming("A", SHOP, "r1", 4))
    assert (bench.incoming("B"), bench.incoming("A", "shop"), bench.incoming("A")) == (3, 4, 0)


def test_demand_is_kept_for_the_fourteen_newest_days(bench: Bench) -> None:
    day = NOW_MS // DAY_MS
    for age in (3, 0, 13, 14, 3):
        bench.do(move("A", SHOP, -1, demand=2), time_ms=NOW_MS - age * DAY_MS)
    assert bench.sku().demand == ((day, 2), (day - 3, 4), (day - 13, 2))
    bench.do(place_order("A", "o1", 5), time_ms=NOW_MS + 12 * DAY_MS)
    assert bench.sku().demand == ((day + 12, 5), (day, 2))


def test_what_is_sold_to_settle_an_order_is_not_counted_twice_as_demand(bench: Bench) -> None:
    bench.do(place_order("A", "o1", 5))
    bench.do(ship("A", "o1", 5), move("A", SHOP, -5))
    assert [units for _, units in bench.sku().demand] == [5]


def test_sums_follow_every_change_as_a_rebuild_would_make_them(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("A", SHOP, 9), move("A", PLATFORM, 2))
    bench.do(count("A", SHOP, NOW_MS, 4), move("A", WAREHOUSE, -9))
    before = bench.sku()
    bench.rebuild("A")
    after = bench.sku()
    assert (after.sums, after.base) == (before.sums, before.base) == ((0, 3, 2), 4)


def test_a_location_below_zero_is_an_alert_once_and_forgotten_when_reported(
    bench: Bench,
) -> None:
    bench.do(move("A", SHOP, -1))
    bench.do(move("A", SHOP, -1))
    due = bench.claim_one()
    assert due.alerts == (("negative:shop", "-1 log/0/0"),)
    bench.settle(bench.settlement(due, alerts=due.alerts))
    assert bench.alerts() == {}
    bench.do(move("A", SHOP, -1))
    assert bench.alerts() == {}
    bench.do(move("A", SHOP, 9))
    bench.do(move("A", SHOP, -9))
    assert bench.alerts() == {"negative:shop": "-3 log/0/4"}


def test_a_sku_promised_beyond_its_stock_is_an_alert(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 3))
    bench.do(place_order("A", "o1", 3))
    assert bench.alerts() == {}
    bench.do(place_order("A", "o2", 2))
    assert bench.alerts() == {"oversold:": "-2 log/0/2"}


def test_an_alert_that_changed_since_the_claim_is_kept(bench: Bench) -> None:
    bench.do(move("A", SHOP, -1))
    due = bench.claim_one()
    bench.do(move("A", SHOP, 1))
    bench.do(move("A", SHOP, -5))
    bench.settle(bench.settlement(due, alerts=due.alerts))
    assert bench.claim_one().alerts == (("negative:shop", "-5 log/0/2"),)


def test_the_same_event_is_told_as_duplicate_in_its_home_shard_only(bench: Bench) -> None:
    event = bench.event(move("A", SHOP, -1), event_id="7")
    again = bench.event(move("A", SHOP, -1), event_id="7")
    away = bench.event(move("A", SHOP, -1), event_id="7")._replace(home=0)
    assert bench.send(event, again, away).duplicates == ((0, 1),)
    assert bench.on_hand(location="shop") == -1
    assert bench.shard.everything().meta["duplicates"] == 1
    assert bench.shard.everything().meta["applied"] == 1


@pytest.mark.parametrize(("moved", "known"), [(-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_the_guard_looks_one_slice_back_and_one_ahead(bench: Bench, moved: int, known: int) -> None:
    bench.do(move("A", SHOP, 5))
    bench.send(bench.event(move("A", SHOP, 1), event_id="7", slice_=50))
    again = bench.event(move("A", SHOP, 1), event_id="7", slice_=50 + moved)
    assert len(bench.send(again).duplicates) == known
    assert bench.on_hand(location="shop") == 7 - known


def test_an_order_remembers_its_events_for_longer_than_the_guard(bench: Bench) -> None:
    bench.send(bench.event(place_order("A", "o1", 5), event_id="7", slice_=50))
    bench.send(bench.event(cancel("A", "o1", 1), event_id="8", slice_=50))
    reply = bench.send(bench.event(cancel("A", "o1", 1), event_id="8", slice_=500))
    assert reply.duplicates == ((0, 0),)
    assert bench.sku().unrouted == 4


def test_five_hundred_locations_end_in_the_sums_of_their_classes(bench: Bench) -> None:
    bench.places = tuple(LocationTerms(f"l{i}", i % 3, i % 2, 1) for i in range(500))
    bench.do(*(move("A", i, 2) for i in range(500)))
    assert len(bench.sku().positions) == 500
    assert sum(bench.sku().sums) == 750
    assert bench.sku().base == 1000
