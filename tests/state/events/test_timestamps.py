from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.events.timestamps import _read, local_ms, ms_rfc3339, rfc3339_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 253_402_300_799_999


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-12-01T08:00:00.5+08:00", 1_796_083_200_500),
        ("2026-12-01T00:00:00-00:00", 1_796_083_200_000),
        ("2026-12-01t00:00:00z", 1_796_083_200_000),
        ("2026-12-01T00:00:00.0009999999Z", 1_796_083_200_000),
        ("9999-12-31T23:59:59.999Z", LAST_MS),
    ],
)
def test_a_time_with_its_offset_is_read(text: str, ms: int) -> None:
    assert rfc3339_ms(text) == ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "an RFC 3339 time with an offset"),
        ("2026-01-01", "an RFC 3339 time with an offset"),
        ("2026-01-01T00:00:00", "an RFC 3339 time with an offset"),
        ("2026-01-01 00:00:00Z", "an RFC 3339 time with an offset"),
        ("2026-01-01T00:00Z", "an RFC 3339 time with an offset"),
        ("2026-01-01T00:00:00.Z", "an RFC 3339 time with an offset"),
        ("2026-01-01T00:00:00+0100", "an RFC 3339 time with an offset"),
        ("2026-01-01T00:00:00Z\n", "an RFC 3339 time with an offset"),
        ("٢٠٢٦-01-01T00:00:00Z", "an RFC 3339 time with an offset"),
        ("2026-02-30T00:00:00Z", "a time that exists"),
        ("2026-12-31T23:59:60Z", "a time that exists"),
        ("2026-01-01T24:00:00Z", "a time that exists"),
        ("2026-01-01T00:00:00+24:00", "a time that exists"),
        ("0000-01-01T00:00:00Z", "a time that exists"),
        ("1969-12-31T23:59:59Z", "a time in the years 1970 to 9999 UTC"),
        ("1970-01-01T00:00:00+08:00", "a time in the years 1970 to 9999 UTC"),
        ("9999-12-31T23:59:59-01:00", "a time in the years 1970 to 9999 UTC"),
    ],
)
def test_anything_else_says_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}$"):
        rfc3339_ms(text)


@given(
    ms=st.integers(0, LAST_MS),
    offset=st.integers(-1_439, 1_439).map(lambda m: timezone(timedelta(minutes=m))),
)
def test_writing_and_reading_undo_each_other_at_any_offset(ms: int, offset: timezone) -> None:
    assert rfc3339_ms(ms_rfc3339(ms)) == ms
    day_ms = 86_400_000
    if day_ms < ms < LAST_MS - day_ms:
        local = (EPOCH + timedelta(milliseconds=ms)).astimezone(offset)
        assert rfc3339_ms(local.isoformat()) == ms


@pytest.mark.parametrize("ms", [-1, LAST_MS + 1])
def test_a_time_of_no_such_year_is_not_written(ms: int) -> None:
    with pytest.raises(ValueError, match="1970 to 9999"):
        ms_rfc3339(ms)


@given(
    minute=st.sampled_from(["2026-12-01T08:00:", "1970-01-01T00:00:", "9999-12-31T23:59:"]),
    seconds=st.text("0123456789.:Z+- \u0663", min_size=0, max_size=9),
    zone=st.sampled_from(["Z", "z", "+08:00", "-00:01", "", "Z\n"]),
)
def test_a_time_is_read_alike_whatever_was_read_before(
    minute: str, seconds: str, zone: str
) -> None:
    text = minute + seconds + zone
    for known in ("20.000", "59.999"):
        with suppress(ValueError):
            rfc3339_ms(minute + known + zone)
    assert outcome(rfc3339_ms, text) == outcome(_read, text)


def outcome(read: Callable[[str], int], text: str) -> int | str:
    try:
        return read(text)
    except ValueError as error:
        return str(error)


def test_a_time_of_day_is_placed_in_its_zone_on_both_sides_of_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for text, utc in (
        ("2026-03-29T01:59", "2026-03-29T00:59:00Z"),
        ("2026-03-29T03:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25T01:59", "2026-10-24T23:59:00Z"),
        ("2026-10-25T03:00", "2026-10-25T02:00:00Z"),
    ):
        assert local_ms(datetime.fromisoformat(text), berlin) == rfc3339_ms(utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-29T02:00", "a time that Europe/Berlin has"),
        ("2026-03-29T02:59", "a time that Europe/Berlin has"),
        ("2026-10-25T02:00", "a time that Europe/Berlin has once, or an offset"),
        ("2026-10-25T02:59", "a time that Europe/Berlin has once, or an offset"),
        ("1969-12-31T23:00", "a time in the years 1970 to 9999 UTC"),
    ],
)
def test_a_time_that_a_zone_skips_or_has_twice_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{expected}$"):
        local_ms(datetime.fromisoformat(text), ZoneInfo("Europe/Berlin"))
