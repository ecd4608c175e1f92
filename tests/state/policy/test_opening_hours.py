from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.policy.opening_hours import open_ms, parse_hours

TAIPEI, BERLIN = "Asia/Taipei", "Europe/Berlin"
HOUR_MS = 3_600_000
ALWAYS = "00:00-24:00"


def ms(text: str, timezone: str = TAIPEI) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp() * 1000)


def test_hours_hold_every_day_unless_days_are_named() -> None:
    assert parse_hours("09:00-21:30") == tuple((day, 540, 1290) for day in range(7))
    assert parse_hours("mon-wed 09:00-12:00, sat 10:00-11:00") == (
        (0, 540, 720), (1, 540, 720), (2, 540, 720), (5, 600, 660),
    )  # fmt: skip
    assert parse_hours("Sat-Mon 20:00-02:00") == ((0, 1200, 1560), (5, 1200, 1560), (6, 1200, 1560))


NO_HOURS = (
    "", "9-17", "09:00", "09:00-25:00", "24:00-01:00", "day 09:00-10:00", "mon", "mon-xyz 09:00-10:00",
)  # fmt: skip


@pytest.mark.parametrize("text", NO_HOURS)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_hours(text)


@pytest.mark.parametrize(
    ("hours", "begin", "end", "hours_open"),
    [
        ("09:00-21:00", "2026-11-23T08:00", "2026-11-23T10:00", 1),
        ("09:00-21:00", "2026-11-23T20:00", "2026-11-24T10:00", 2),
        ("09:00-21:00", "2026-11-23T22:00", "2026-11-24T08:00", 0),
        ("mon-fri 09:00-21:00", "2026-11-27T20:00", "2026-11-30T09:30", 1.5),
        ("20:00-02:00", "2026-11-23T23:00", "2026-11-24T03:00", 3),
        ("09:00-12:00, 10:00-14:00", "2026-11-23T00:00", "2026-11-24T00:00", 5),
    ],
)
def test_only_open_time_is_added_up(hours: str, begin: str, end: str, hours_open: float) -> None:
    assert open_ms(parse_hours(hours), TAIPEI, ms(begin), ms(end)) == hours_open * HOUR_MS


def test_a_day_on_which_clocks_change_is_as_long_as_it_is() -> None:
    whole = parse_hours(ALWAYS)
    spring, autumn = (
        ("2026-03-29T00:00", "2026-03-30T00:00"),
        ("2026-10-25T00:00", "2026-10-26T00:00"),
    )
    for (begin, end), hours in ((spring, 23), (autumn, 25)):
        assert open_ms(whole, BERLIN, ms(begin, BERLIN), ms(end, BERLIN)) == hours * HOUR_MS


@given(st.integers(0, 40 * 24 * 60), st.integers(0, 40 * 24 * 60))
def test_always_open_is_all_the_time_that_passes(first: int, minutes: int) -> None:
    begin = ms("2026-03-01T00:00", BERLIN) + first * 60_000
    end = begin + min(minutes, 34 * 24 * 60) * 60_000
    assert open_ms(parse_hours(ALWAYS), BERLIN, begin, end) == end - begin
    assert open_ms((), BERLIN, begin, end) == end - begin
