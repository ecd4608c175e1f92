"""Velocity and days of cover from the units of single days."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from state.demand.velocity import (
    BUCKET_DAYS,
    WEIGHTS,
    buckets,
    cover_mdays,
    day_number,
    velocity_mpd,
    velocity_of,
)


def test_a_steady_seller_has_the_velocity_of_each_of_its_days() -> None:
    assert velocity_mpd([7] * BUCKET_DAYS) == 7_000


def test_a_day_counts_half_as_much_as_the_one_a_week_later() -> None:
    assert WEIGHTS[7] * 2 == WEIGHTS[0]


def test_a_sale_fades_and_never_raises_the_velocity_as_it_ages() -> None:
    aged = [velocity_mpd([0] * age + [100]) for age in range(BUCKET_DAYS + 1)]
    assert aged == sorted(aged, reverse=True)
    assert aged[-2] > 0
    assert aged[-1] == 0


def test_one_unit_thirteen_days_ago_is_still_seen() -> None:
    assert velocity_mpd([0] * 13 + [1]) > 0


def test_buckets_are_read_newest_first_and_gaps_are_zero() -> None:
    assert buckets({100: 3, 98: 2, 86: 9, 101: 5}, 100) == (3, 0, 2, *[0] * 11)


def test_a_day_is_a_utc_day() -> None:
    assert [day_number(ms) for ms in (0, 86_399_999, 86_400_000)] == [0, 0, 1]


def test_cover_is_endless_without_sales_and_nothing_when_oversold() -> None:
    assert cover_mdays(10, 0) is None
    assert cover_mdays(-3, 1_000) == 0
    assert cover_mdays(7, 2_000) == 3_500


@given(st.lists(st.integers(0, 10**9), max_size=20))
def test_velocity_is_the_weighted_mean_rounded_down(units: list[int]) -> None:
    top = sum(weight * sold for weight, sold in zip(WEIGHTS, units, strict=False))
    assert velocity_mpd(units) == int(Fraction(top * 1000, sum(WEIGHTS)))


@given(st.dictionaries(st.integers(80, 105), st.integers(0, 10**9)))
def test_velocity_is_the_same_from_the_days_that_have_any(units: dict[int, int]) -> None:
    assert velocity_of(units.items(), 100) == velocity_mpd(buckets(units, 100))
