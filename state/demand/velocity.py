"""How fast a SKU sells, and how many days its level will last. All in integers.

The store counts the units of each UTC day of business time. From the last `BUCKET_DAYS` of them:

    velocity = sum(units[i] * 2^(-i/7)) / sum(2^(-i/7))        i = 0 for today, 13 for 13 days ago

so a day counts half as much as the one a week later. The weights are fixed integers (2^20 for
today), and a bucket is a plain sum, so the order in which sales arrive changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from state.durations import DAY_MS

BUCKET_DAYS: Final = 14
"""Days that weigh anything: the store keeps no older ones."""
HALF_LIFE_DAYS: Final = 7

WEIGHTS = tuple(round((1 << 20) * 2 ** (-age / HALF_LIFE_DAYS)) for age in range(BUCKET_DAYS))
_WEIGHT_SUM = sum(WEIGHTS)


def day_number(business_ms: int) -> int:
    """Return the number of the UTC day, 0 for 1970-01-01."""
    return business_ms // DAY_MS


def buckets(units_by_day: Mapping[int, int], today: int) -> tuple[int, ...]:
    """Return the units of today and of the 13 days before it, newest first."""
    return tuple(units_by_day.get(today - age, 0) for age in range(BUCKET_DAYS))


def velocity_mpd(units: Sequence[int]) -> int:
    """Return the decayed velocity in thousandths of a unit per day, rounded down.

    `units` are per day, newest first; what is missing at the end sold nothing, what is beyond
    `BUCKET_DAYS` is not looked at.
    """
    weighted = sum(weight * sold for weight, sold in zip(WEIGHTS, units, strict=False))
    return weighted * 1000 // _WEIGHT_SUM


def velocity_of(demand: Iterable[tuple[int, int]], today: int) -> int:
    """Return the same velocity from (UTC day, units), for the few days that have any.

    Each day stands once; a day to come, or one too long ago, does not count.
    """
    weighted = 0
    for day, units in demand:
        age = today - day
        if 0 <= age < BUCKET_DAYS:
            weighted += WEIGHTS[age] * units
    return weighted * 1000 // _WEIGHT_SUM


def cover_mdays(level: int, velocity_mpd: int) -> int | None:
    """Return how long a level lasts, in thousandths of a day, rounded down; None = for ever."""
    if velocity_mpd <= 0:
        return None
    return max(level, 0) * 1_000_000 // velocity_mpd
