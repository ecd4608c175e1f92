"""When a location is open: `09:00-21:30`, or `mon-fri 09:00-21:30, sat 10:00-18:00`.

Each part is a span of the day, after the days that it is for, every day if none are named. A span that ends at or
before its beginning ends on the next day. Nothing at all means always.
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from state.durations import DAY_MS

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
LOOK_BACK_DAYS: Final = 35
"""Open time is added up over so many days at most."""

Hours = tuple[tuple[int, int, int], ...]
"""(weekday, Monday = 0; first minute; minute after the last, above 1440 when it is of the next day)."""

_PART = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? +)?"
    r"(?P<h1>[0-9]{2}):(?P<m1>[0-5][0-9]) *- *(?P<h2>[0-9]{2}):(?P<m2>[0-5][0-9])"
)


def parse_hours(text: str) -> Hours:
    """Read opening hours.

    Raises:
        ValueError: they are of another form.
    """
    spans: list[tuple[int, int, int]] = []
    for part in text.split(","):
        found = _PART.fullmatch(part.strip().lower())
        if found is None:
            raise ValueError("expected such as 09:00-21:30 or mon-fri 09:00-21:30, sat 10:00-18:00")
        begin = 60 * int(found["h1"]) + int(found["m1"])
        end = 60 * int(found["h2"]) + int(found["m2"])
        if begin >= DAY_MINUTES or end > DAY_MINUTES:
            raise ValueError("expected times from 00:00 to 24:00")
        if end <= begin:
            end += DAY_MINUTES
        spans += [(day, begin, end) for day in _days(found["first"], found["last"])]
    spans.sort()
    return tuple(spans)


def open_ms(hours: Hours, timezone: str, from_ms: int, to_ms: int) -> int:
    """Return for how long (ms) it was open between two times; of long ago only the last 35 days count."""
    from_ms = max(from_ms, to_ms - LOOK_BACK_DAYS * DAY_MS)
    if from_ms >= to_ms:
        return 0
    if not hours:
        return to_ms - from_ms
    zone = ZoneInfo(timezone)
    # What began on the day before may reach into this one.
    day = datetime.fromtimestamp(from_ms / 1000, zone).toordinal() - 1
    last = datetime.fromtimestamp(to_ms / 1000, zone).toordinal()
    total, reached_ms = 0, from_ms
    while day <= last:
        for begin_ms, end_ms in _spans_of(hours, timezone, day):
            begin_ms, end_ms = max(begin_ms, reached_ms), min(end_ms, to_ms)  # noqa: PLW2901
            if end_ms > begin_ms:
                total += end_ms - begin_ms
                reached_ms = end_ms
        day += 1
    return total


@lru_cache(maxsize=1 << 12)
def _spans_of(hours: Hours, timezone: str, ordinal: int) -> tuple[tuple[int, int], ...]:
    """Return when it opens and closes (ms) on a day."""
    day = date.fromordinal(ordinal)
    weekday = day.weekday()
    return tuple(
        (_at_ms(day, begin, timezone), _at_ms(day, end, timezone))
        for each, begin, end in hours
        if each == weekday
    )


def _at_ms(day: date, minute: int, timezone: str) -> int:
    days, rest = divmod(minute, DAY_MINUTES)
    at = datetime.combine(
        day + timedelta(days=days), time(rest // 60, rest % 60), ZoneInfo(timezone)
    )
    return int(at.timestamp() * 1000)


def _days(first: str | None, last: str | None) -> tuple[int, ...]:
    if first is None:
        return tuple(range(len(DAYS)))
    if first not in DAYS or (last is not None and last not in DAYS):
        raise ValueError(f"expected days out of {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return tuple((begin + at) % len(DAYS) for at in range((end - begin) % len(DAYS) + 1))
