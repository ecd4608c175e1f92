"""Holds of one shard, on the pool in memory and on the Redis functions: one suite for both."""

import pytest

from state.events.order_key import order_key, ordered_by
from state.protocol.claim import Claimed
from state.protocol.common import StalePolicy
from state.protocol.holds import (
    ABSENT_HOLD,
    EXPIRED,
    IS_PINNED,
    SOLD,
    WAS_RELEASED,
    Conflict,
    Ended,
    Held,
    Hold,
    HoldAnswer,
    HoldRequest,
    Keep,
    Kept,
    Pinned,
    Placed,
    Release,
    Short,
    StaleSums,
)
from tests.state.pools import (
    PLACES,
    SHOP,
    WAREHOUSE,
    Bench,
    consume,
    move,
    place_order,
    ship,
)
from tests.state.random_holds import request

ORDER = order_key("shopee", "o1")


def ask(bench: Bench, *requests: HoldRequest) -> tuple[HoldAnswer, ...]:
    reply = bench.shard.hold(Hold(bench.now_us, bench.revision, bench.sums_revision, requests))
    assert not isinstance(reply, StalePolicy)
    return reply


def hold(bench: Bench, name: str = "h", ttl_ms: int = 1000, **units: int) -> HoldAnswer:
    (answer,) = ask(bench, request(name, units, bench.now_ms, ttl_ms=ttl_ms))
    return answer


def at_shop(bench: Bench, name: str = "t", **units: int) -> HoldAnswer:
    (answer,) = ask(bench, request(name, units, bench.now_ms, location=bench.places[SHOP]))
    return answer


def pin(bench: Bench, name: str = "h", order: str = ORDER, ttl_ms: int = 60_000) -> object:
    return bench.shard.keep(Keep(bench.now_us, name, order, bench.now_ms + ttl_ms))


def test_all_of_a_hold_is_held_or_nothing(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), move("B", WAREHOUSE, 1))
    assert hold(bench, A=3, B=2) == Short((5, 1))
    assert (bench.sku("A").held, bench.sku("B").held) == (0, 0)
    assert hold(bench, A=3, B=1) == Held(bench.now_ms + 1000, (3, 1))
    assert (bench.sku("A").held, bench.sku("B").held) == (3, 1)


def test_holds_of_one_call_see_each_other(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    first, second, third = ask(bench, *(request(f"h{n}", {"A": 2}, bench.now_ms) for n in range(3)))
    assert isinstance(first, Held)
    assert isinstance(second, Held)
    assert third == Short((1,))


def test_a_refused_hold_changes_nothing_and_makes_nothing_due(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 1))
    bench.settle_all()
    before = bench.shard.everything()
    assert hold(bench, A=2) == Short((1,))
    assert hold(bench, unknown=1) == Short((0,))
    assert bench.shard.everything() == before


def test_a_change_by_a_hold_is_due_at_once_and_counts_from_its_moment(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    bench.settle_all()
    bench.now_ms += 50
    hold(bench, A=2)
    due = bench.claim_one()
    assert (due.held, due.cause_ms) == (2, bench.now_ms)
    bench.settle(bench.settlement(due))
    bench.now_ms += 50
    assert bench.shard.release(bench.now_us, [Release("h")]) == [WAS_RELEASED]
    assert (bench.claim_one().held, bench.sku().held) == (0, 0)


def test_a_hold_ends_by_the_next_claim_after_its_time(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2, ttl_ms=100)
    bench.settle_all()
    bench.now_ms += 99
    assert bench.claim().expired == 0
    bench.now_ms += 1
    claimed = bench.claim()
    assert isinstance(claimed, Claimed)
    assert (claimed.expired, [due.held for due in claimed.due]) == (1, [0])
    assert hold(bench, A=2) == Ended(EXPIRED)


def test_a_hold_lives_past_its_time_until_it_is_swept(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2, ttl_ms=100)
    bench.now_ms += 500
    kept = bench.shard.keep(Keep(bench.now_us, "h", "", bench.now_ms + 100))
    assert isinstance(kept, Kept)
    assert kept.expiry_ms == bench.now_ms + 100
    assert bench.shard.sweep(bench.now_us, 10) == 0
    assert bench.sku().held == 2


def test_a_new_hold_sweeps_first_what_is_over(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=5, ttl_ms=100)
    bench.now_ms += 100
    assert isinstance(hold(bench, "g", A=5), Held)


def test_the_same_name_is_the_same_hold_or_a_conflict_or_ended(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    made = hold(bench, A=2)
    bench.now_ms += 10
    assert hold(bench, A=2) == made
    assert hold(bench, A=1) == Conflict()
    bench.shard.release(bench.now_us, [Release("h")])
    assert hold(bench, A=2) == Ended("released")
    assert bench.shard.release(bench.now_us, [Release("h")]) == [ABSENT_HOLD]


def test_what_was_taken_back_without_a_trace_may_be_held_again(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2)
    bench.shard.release(bench.now_us, [Release("h", how="")])
    assert isinstance(hold(bench, A=2), Held)


def test_a_hold_at_a_location_takes_its_stock_and_no_more_than_nobody_was_promised(
    bench: Bench,
) -> None:
    bench.do(move("A", WAREHOUSE, 2), move("A", SHOP, 4))
    hold(bench, A=3)
    assert at_shop(bench, A=4) == Short((3,))
    assert isinstance(at_shop(bench, A=3), Held)
    state = bench.sku()
    shop = next(p for p in state.positions if p.location == "shop")
    assert (shop.reserved, shop.atp, state.base, state.sums) == (3, 1, 3, (2, 0))
    bench.shard.release(bench.now_us, [Release("t")])
    assert (bench.sku().base, bench.sku().sums) == (6, (2, 3))


def test_a_hold_made_under_other_floors_is_given_back_and_the_sums_are_made_anew(
    bench: Bench,
) -> None:
    bench.do(move("A", SHOP, 4))
    at_shop(bench, A=3)
    bench.revision = bench.sums_revision = 2
    bench.places = (PLACES[0], PLACES[1]._replace(floor=0), PLACES[2])
    assert hold(bench, "g", A=1) == StaleSums(("A",))
    bench.rebuild("A")
    bench.shard.release(bench.now_us, [Release("t")])
    assert bench.sku().sums_revision == 0
    bench.rebuild("A")
    assert bench.sku().sums == (0, 4)


def test_a_caller_with_an_old_policy_is_refused(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 4))
    bench.revision = 2
    bench.tick()
    call = Hold(bench.now_us, 1, 1, (request("h", {"A": 1}, bench.now_ms),))
    assert bench.shard.hold(call) == StalePolicy(2)


def test_an_order_uses_its_hold_up_in_the_same_moment(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2)
    bench.do(place_order("A", "o1", 2), consume("h", ORDER))
    state = bench.sku()
    assert (state.held, state.unrouted, state.base) == (0, 2, 5)
    assert bench.shard.listed() == []
    assert pin(bench) == Ended(ordered_by(ORDER))
    assert bench.alerts() == {}


def test_a_sale_uses_the_hold_of_its_till_up(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5))
    at_shop(bench, A=2)
    bench.do(move("A", SHOP, -2, demand=2), consume("t"))
    state = bench.sku()
    assert (state.positions[0].reserved, state.positions[0].on_hand, state.base) == (0, 3, 3)
    assert state.sums == (0, 2)
    assert at_shop(bench, A=2) == Ended(SOLD)


def test_a_hold_that_is_not_there_is_passed_over(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5), consume("nobody"))
    assert (bench.sku().held, bench.on_hand()) == (0, 5)


def test_an_event_that_comes_again_uses_no_hold_up_again(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2)
    saved = bench.shard.save()
    call = bench.call(bench.event(place_order("A", "o1", 2), consume("h", ORDER)))
    bench.shard.apply(call)
    bench.shard.apply(call)
    assert (bench.sku().held, bench.sku().unrouted) == (0, 2)
    bench.shard.roll_back(saved)
    assert bench.sku().held == 2
    bench.shard.apply(call)
    assert (bench.sku().held, bench.sku().unrouted) == (0, 2)


def test_a_pinned_hold_is_for_its_order_alone(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2)
    assert isinstance(pin(bench), Kept)
    assert isinstance(pin(bench), Kept)
    assert pin(bench, order=order_key("momo", "o9")) == Pinned(ORDER)
    assert bench.shard.release(bench.now_us, [Release("h")]) == [IS_PINNED]
    assert bench.shard.release(bench.now_us, [Release("h", ORDER)]) == [WAS_RELEASED]


def test_a_hold_is_not_pinned_for_an_order_that_is_placed_already(bench: Bench) -> None:
    bench.do(move("A", WAREHOUSE, 5))
    hold(bench, A=2)
    bench.do(place_order("A", "o1", 2))
    assert pin(bench) == Placed()
    bench.do(ship("A", "o1", 2))


@pytest.mark.parametrize("limit", [1, 3])
def test_a_sweep_ends_the_oldest_first_and_so_many_at_most(bench: Bench, limit: int) -> None:
    bench.do(move("A", WAREHOUSE, 9))
    for n in (3, 1, 2):
        hold(bench, f"h{n}", ttl_ms=n, A=1)
    bench.now_ms += 5
    assert bench.shard.sweep(bench.now_us, limit) == limit
    assert [state.hold for state in bench.shard.listed()] == ["h2", "h3"][limit - 1 :]
