"""When a location has been silent for longer than is usual for it.

What is counted are minutes in which anything came from the location: a till that sends a hundred receipts at
once has spoken once. Of each hour of the day, and of each hour of the week, a decayed mean is kept; usual is the
smaller of the two, so that one busy hour proves nothing, and a day on which the shop is closed every week is known
after the first. An hour of the day that was never lived through expects nothing.

A location is silent when, since its last event, `EXPECTED` such minutes would have been usual. If they come
independently of each other, that happens by chance once in 22,000 times (e^-10).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

EXPECTED: Final = 10.0

MINUTE_MS, QUARTER_MS, HOUR_MS = 60_000, 900_000, 3_600_000
DAY_HOURS, WEEK_HOURS = 24, 168
LOOK_BACK_MS: Final = 28 * DAY_HOURS * HOUR_MS
"""So far back silence is added up: one location that speaks less than once in three days is never missed."""

_DAYS, _WEEKS = 7, 4
"""A new day, and a new week, weigh this part of the mean."""
_UNKNOWN: Final = 65_535
_MILLI: Final = 1000
_FORM: Final = Struct(f"<qqQ{DAY_HOURS}H{WEEK_HOURS}H")


class Rhythm(msgspec.Struct, frozen=True):
    """How one location speaks. Means are in thousandths of a minute per hour."""

    newest_ms: int
    """Time of its last event."""
    hour: int
    """The local hour that `minutes` are of."""
    minutes: int
    """A bit for each minute of that hour in which it spoke."""
    by_day: tuple[int, ...] = (_UNKNOWN,) * DAY_HOURS
    by_week: tuple[int, ...] = (_UNKNOWN,) * WEEK_HOURS

    def usual(self, hour: int) -> int:
        """Return in how many minutes of a local hour it usually speaks, in thousandths."""
        by_day = self.by_day[hour % DAY_HOURS]
        return 0 if by_day == _UNKNOWN else min(by_day, self.by_week[hour % WEEK_HOURS])


def encode(rhythm: Rhythm) -> bytes:
    """Return what `decode` reads."""
    known = (rhythm.newest_ms, rhythm.hour, rhythm.minutes)
    return _FORM.pack(*known, *rhythm.by_day, *rhythm.by_week)


def decode(text: bytes) -> Rhythm | None:
    """Return what `encode` wrote, None when it is of another form."""
    if len(text) != _FORM.size:
        return None
    newest_ms, hour, minutes, *means = _FORM.unpack(text)
    return Rhythm(newest_ms, hour, minutes, tuple(means[:DAY_HOURS]), tuple(means[DAY_HOURS:]))


def heard(rhythm: Rhythm | None, minutes: Iterable[int], timezone: str) -> Rhythm:
    """Return the rhythm with minutes (since 1970) in which the location spoke, at least one.

    May be given the same again. What is of an hour before the current one comes too late to count.
    """
    ordered = sorted(minutes)
    known = rhythm or Rhythm(0, local_hour(ordered[0] * MINUTE_MS, timezone), 0)
    for minute in ordered:
        at_ms = minute * MINUTE_MS
        hour = local_hour(at_ms, timezone)
        if hour > known.hour:
            known = _rolled(known, hour)
        bits = known.minutes | (1 << minute % 60) if hour == known.hour else known.minutes
        newest_ms = max(known.newest_ms, at_ms)
        known = Rhythm(newest_ms, known.hour, bits, known.by_day, known.by_week)
    return known


def expected(rhythm: Rhythm, from_ms: int, to_ms: int, timezone: str) -> float:
    """Return in how many minutes between two times the location would usually have spoken."""
    total, at_ms = 0, max(from_ms, to_ms - LOOK_BACK_MS)
    while at_ms < to_ms:
        # An hour of any time zone begins and ends at a quarter of one.
        next_ms = min(to_ms, (at_ms // QUARTER_MS + 1) * QUARTER_MS)
        total += (next_ms - at_ms) * rhythm.usual(local_hour(at_ms, timezone))
        at_ms = next_ms
    return total / (_MILLI * HOUR_MS)


def local_hour(ms: int, timezone: str) -> int:
    """Return the number of an hour by the clocks of a time zone; 0 begins a day, and a week."""
    return _hour_of_quarter(ms // QUARTER_MS, timezone)


@lru_cache(maxsize=1 << 13)
def _hour_of_quarter(quarter: int, timezone: str) -> int:
    moment = datetime.fromtimestamp(quarter * QUARTER_MS // 1000, UTC)
    offset = ZoneInfo(timezone).utcoffset(moment.astimezone(ZoneInfo(timezone)))
    offset_ms = 0 if offset is None else int(offset.total_seconds()) * 1000
    return (quarter * QUARTER_MS + offset_ms) // HOUR_MS


def _rolled(rhythm: Rhythm, hour: int) -> Rhythm:
    """Return the rhythm at a later hour, what came before learned."""
    by_day, by_week = list(rhythm.by_day), list(rhythm.by_week)
    spoken = rhythm.minutes.bit_count() * _MILLI
    for passed in range(rhythm.hour, min(hour, rhythm.hour + 4 * WEEK_HOURS)):
        at_day, at_week = passed % DAY_HOURS, passed % WEEK_HOURS
        by_day[at_day] = _mean(by_day[at_day], spoken, _DAYS)
        by_week[at_week] = _mean(by_week[at_week], spoken, _WEEKS)
        spoken = 0
    return Rhythm(rhythm.newest_ms, hour, 0, tuple(by_day), tuple(by_week))


def _mean(known: int, found: int, part: int) -> int:
    return found if known == _UNKNOWN else known + (found - known) // part
