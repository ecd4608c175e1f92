"""Counts, and the movements that they are laid under, over both back ends."""

import itertools

import pytest

from state.protocol.figures import MOVEMENTS_KEPT, MOVEMENTS_WINDOW_MS
from tests.state.pools import NOW_MS, SHOP, WAREHOUSE, Bench, count, move


def test_the_newest_count_wins_and_an_older_one_changes_nothing(bench: Bench) -> None:
    bench.do(count("A", SHOP, NOW_MS - 10, 7))
    bench.do(count("A", SHOP, NOW_MS - 20, 99))
    assert bench.on_hand(location="shop") == 7
    bench.do(count("A", SHOP, NOW_MS - 5, 3))
    assert bench.on_hand(location="shop") == 3
    assert bench.sku().positions[0].counted_at_ms == NOW_MS - 5


def test_a_movement_that_the_count_saw_is_absorbed_and_reported(bench: Bench) -> None:
    bench.do(count("A", SHOP, NOW_MS, 7))
    assert bench.do(move("A", SHOP, -2, demand=2), time_ms=NOW_MS).absorbed == 1
    assert bench.do(move("A", SHOP, -2), time_ms=NOW_MS + 1).absorbed == 0
    assert bench.on_hand(location="shop") == 5
    assert sum(units for _, units in bench.sku().demand) == 2


def test_a_count_absorbs_on_hand_but_not_what_became_unavailable(bench: Bench) -> None:
    bench.do(count("A", SHOP, NOW_MS, 7))
    bench.do(move("A", SHOP, 1, unavailable=1), time_ms=NOW_MS - 5)
    (position,) = bench.sku().positions
    assert (position.on_hand, position.unavailable) == (7, 1)


def test_a_late_count_is_laid_under_the_movements_after_it(bench: Bench) -> None:
    for later in range(5):
        bench.do(move("A", SHOP, -1), time_ms=NOW_MS + later)
        bench.do(move("A", WAREHOUSE, 10), time_ms=NOW_MS + later)
    bench.do(count("A", SHOP, NOW_MS + 1, 20))
    assert bench.on_hand(location="shop") == 17
    assert bench.alerts() == {"negative:shop": "-1 log/0/0"}


def test_movements_and_a_count_in_one_call_end_as_in_many(bench: Bench) -> None:
    bench.send(
        bench.event(move("A", SHOP, -3), time_ms=NOW_MS + 5),
        bench.event(count("A", SHOP, NOW_MS, 10)),
        bench.event(move("A", SHOP, -2), time_ms=NOW_MS),
        bench.event(move("A", SHOP, -1), time_ms=NOW_MS + 9),
    )
    assert bench.on_hand(location="shop") == 6


@pytest.mark.parametrize("per_call", [1, 7, 40])
def test_a_count_older_than_the_newest_movements_kept_is_applied_and_flagged(
    bench: Bench, per_call: int
) -> None:
    bench.do(move("A", SHOP, 1000), time_ms=NOW_MS - 1)
    moved = [bench.event(move("A", SHOP, -1), time_ms=NOW_MS + i) for i in range(40)]
    for first in range(0, 40, per_call):
        bench.send(*moved[first : first + per_call])
    bench.do(count("A", WAREHOUSE, NOW_MS - 9, 1))
    assert bench.alerts() == {}
    bench.do(count("A", SHOP, NOW_MS + 6, 500))
    assert bench.on_hand(location="shop") == 500 - MOVEMENTS_KEPT
    assert bench.alerts() == {"drift:shop": f"{NOW_MS + 6} log/0/42"}


def test_a_count_as_old_as_the_newest_movement_evicted_is_exact(bench: Bench) -> None:
    for i in (39, *range(39)):
        bench.do(move("A", SHOP, 1), time_ms=NOW_MS + i)
    bench.do(count("A", SHOP, NOW_MS + 7, 500))
    assert bench.on_hand(location="shop") == 500 + MOVEMENTS_KEPT
    assert bench.alerts() == {}


@pytest.mark.parametrize("arrival", [*itertools.permutations(range(3))])
def test_a_count_older_than_a_movement_gone_by_age_is_applied_and_flagged(
    bench: Bench, arrival: tuple[int, ...]
) -> None:
    gone = NOW_MS - MOVEMENTS_WINDOW_MS - 1
    times = (gone, gone + 1, NOW_MS)
    for i in arrival:
        bench.do(move("A", SHOP, 4), time_ms=times[i])
    assert bench.alerts() == {}
    bench.do(count("A", SHOP, gone - 1, 100))
    assert bench.on_hand(location="shop") == 108
    assert list(bench.alerts()) == ["drift:shop"]
    due = bench.claim_one()
    bench.settle(bench.settlement(due, alerts=due.alerts))
    bench.do(count("A", SHOP, gone, 200))
    assert bench.on_hand(location="shop") == 208
    assert bench.alerts() == {}


def test_movements_that_a_count_saw_are_not_kept(bench: Bench) -> None:
    for i in range(5):
        bench.do(move("A", SHOP, 1), time_ms=NOW_MS + i)
    bench.do(count("A", SHOP, NOW_MS + 2, 9))
    kept = bench.shard.everything().skus["A"].movements["shop"]
    assert kept == [(NOW_MS + 4, 1), (NOW_MS + 3, 1)]


def test_a_position_that_became_empty_still_takes_a_late_count(bench: Bench) -> None:
    bench.do(move("A", SHOP, 5), time_ms=NOW_MS)
    bench.do(move("A", SHOP, -5), time_ms=NOW_MS + 9)
    assert bench.sku().positions == ()
    bench.do(count("A", SHOP, NOW_MS + 3, 7))
    assert bench.on_hand(location="shop") == 2
