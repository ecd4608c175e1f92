"""What is usual of a location is learned hour by hour; silence is judged by it."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.demand.arrival_rhythm import (
    DAY_HOURS,
    EXPECTED,
    HOUR_MS,
    LOOK_BACK_MS,
    MINUTE_MS,
    WEEK_HOURS,
    Rhythm,
    decode,
    encode,
    expected,
    heard,
    local_hour,
)
from state.events.timestamps import rfc3339_ms

MONDAY_MS = rfc3339_ms("2026-06-01T00:00:00Z")
DAY_MS = DAY_HOURS * HOUR_MS
ZONE = "UTC"


def minute(ms: int) -> int:
    return ms // MINUTE_MS


def opening(days: Iterable[int], every_min: int = 5) -> list[int]:
    """Minutes in which a shop speaks that is open from 9 to 18."""
    return [
        minute(MONDAY_MS + day * DAY_MS + hour * HOUR_MS) + at
        for day in days
        for hour in range(9, 18)
        for at in range(0, 60, every_min)
    ]


def usual(rhythm: Rhythm, day: int, hours: tuple[float, float]) -> float:
    begin_ms = MONDAY_MS + day * DAY_MS
    return expected(
        rhythm, begin_ms + int(hours[0] * HOUR_MS), begin_ms + int(hours[1] * HOUR_MS), ZONE
    )


def test_on_the_first_day_nothing_is_expected() -> None:
    shop = heard(None, [m for m in opening([0]) if m < minute(MONDAY_MS + 15 * HOUR_MS)], ZONE)
    assert usual(shop, 0, (15, 24)) == 0


def test_on_the_second_day_the_first_is_expected_again_and_the_night_is_not() -> None:
    shop = heard(None, opening([0, 1]), ZONE)
    assert usual(shop, 2, (9, 10)) == 12
    assert usual(shop, 2, (0, 9)) == 0
    assert usual(shop, 2, (9, 9.5)) == 6
    assert usual(shop, 2, (9, 9.83)) < EXPECTED < usual(shop, 2, (9, 9.84))


def test_a_day_on_which_the_shop_is_closed_every_week_is_known_after_the_first() -> None:
    first = heard(None, opening([0, 1, 2, 3, 4, 5]), ZONE)
    assert usual(first, 6, (9, 18)) > EXPECTED, "the first Sunday is not known"
    later = heard(first, opening([7, 8]), ZONE)
    assert usual(later, 13, (0, 24)) == 0
    assert usual(later, 9, (9, 18)) > EXPECTED


def test_one_busy_hour_proves_nothing() -> None:
    shop = heard(None, opening(range(6), every_min=30), ZONE)
    shop = heard(shop, opening([6], every_min=1), ZONE)
    shop = heard(shop, opening([7], every_min=30), ZONE)
    assert usual(shop, 13, (9, 18)) < 9 * 2 * 6


def test_many_events_in_one_minute_are_one() -> None:
    once = heard(None, opening([0, 1]), ZONE)
    assert heard(None, opening([0, 1]) * 3, ZONE) == once


def test_a_shop_that_closed_for_good_is_forgotten_when_it_speaks_again() -> None:
    shop = heard(None, opening([0, 1]), ZONE)
    shop = heard(shop, [minute(MONDAY_MS + 29 * DAY_MS)], ZONE)
    assert usual(shop, 30, (9, 18)) < 5


def test_what_comes_later_than_its_hour_counts_no_more_but_is_the_newest_if_it_is() -> None:
    shop = heard(None, [minute(MONDAY_MS + HOUR_MS)], ZONE)
    late = heard(shop, [minute(MONDAY_MS)], ZONE)
    assert late == shop
    assert heard(shop, [minute(MONDAY_MS + HOUR_MS) + 7], ZONE).newest_ms == (
        MONDAY_MS + HOUR_MS + 7 * MINUTE_MS
    )


def test_hours_are_those_of_the_time_zone() -> None:
    summer, winter = rfc3339_ms("2026-07-01T10:00:00Z"), rfc3339_ms("2026-12-01T10:00:00Z")
    assert local_hour(summer, "Europe/Berlin") % DAY_HOURS == 12
    assert local_hour(winter, "Europe/Berlin") % DAY_HOURS == 11
    assert local_hour(summer, "Asia/Kolkata") % DAY_HOURS == 15
    half_past = summer + HOUR_MS // 2
    assert local_hour(half_past, "Asia/Kolkata") % DAY_HOURS == 16


def test_silence_is_added_up_over_four_weeks_at_most() -> None:
    shop = Rhythm(0, 0, 0, (1000,) * DAY_HOURS, (1000,) * WEEK_HOURS)
    assert expected(shop, 0, 10 * LOOK_BACK_MS, ZONE) == LOOK_BACK_MS / HOUR_MS


@pytest.mark.parametrize("text", [b"", b"x", b"x" * 408, b"x" * 500])
def test_a_text_of_another_form_is_not_read(text: bytes) -> None:
    assert decode(text) is None or len(text) == len(encode(Rhythm(0, 0, 0)))


@given(
    st.lists(st.sets(st.integers(0, 3_000), min_size=1, max_size=9), min_size=1, max_size=9),
)
def test_what_is_told_twice_changes_nothing_and_all_of_it_is_kept(told: list[set[int]]) -> None:
    shop: Rhythm | None = None
    for minutes in told:
        shop = heard(shop, minutes, "Asia/Kolkata")
        assert heard(shop, minutes, "Asia/Kolkata") == shop
        assert decode(encode(shop)) == shop
    assert shop is not None
    assert shop.newest_ms == max(set().union(*told)) * MINUTE_MS


@given(st.integers(0, 4 * LOOK_BACK_MS), st.integers(0, DAY_MS), st.integers(0, DAY_MS))
def test_what_is_expected_adds_up(from_ms: int, first_ms: int, second_ms: int) -> None:
    shop = heard(None, opening([0, 1, 2]), ZONE)
    begin_ms = MONDAY_MS + from_ms
    middle_ms = begin_ms + first_ms
    whole = expected(shop, begin_ms, middle_ms + second_ms, ZONE)
    halves = (
        expected(shop, begin_ms, middle_ms, ZONE),
        expected(shop, middle_ms, middle_ms + second_ms, ZONE),
    )
    assert whole == pytest.approx(sum(halves))
