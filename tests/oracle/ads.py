"""Ad states: what each rule has to have come to at the end of the stream.

Paused at or below a pause mark of level or cover; active at or above both resume marks. In between
the state is what the last signal said, and a level that was really emitted has to justify it.

Sales velocity is a weighted mean of the units asked for on the newest 14 UTC days, the day of the
newest event of the whole stream included: the weight of the day i days ago is ``2 ** (-i / 7)``.
Days of cover are level / velocity, and without end when nothing was asked for.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tests.oracle.columns import Bools, Ints
from tests.oracle.orders import Demand
from tests.oracle.policy import AdRule

Floats: TypeAlias = npt.NDArray[np.float64]

DAY_MS = 86_400_000
DAYS = 14
HALF_LIFE_DAYS = 7
# The engine keeps velocity and cover as integers, in thousandths.
ROUNDING = 0.001


@dataclass(frozen=True, slots=True)
class Cover:
    """Days of cover of each SKU, as the range that rounding to thousandths leaves open."""

    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Due:
    """What a rule demands of each SKU; where neither is set, history decides."""

    paused: Bools
    active: Bools


def velocity(demand: Demand, newest_ms: int, skus: int) -> Floats:
    """Units a day, by SKU."""
    age = newest_ms // DAY_MS - demand.time_ms // DAY_MS
    recent = age < DAYS
    weighted = np.zeros(skus, dtype=np.float64)
    np.add.at(weighted, demand.sku[recent], demand.units[recent] * _weight(age[recent]))
    return weighted / float(_weight(np.arange(DAYS)).sum())


def _weight(age_days: Ints) -> Floats:
    return np.exp2(-age_days / HALF_LIFE_DAYS)


def cover(level: Ints, units_per_day: Floats) -> Cover:
    """Level over velocity; endless where the velocity is 0."""
    sells = units_per_day > 0
    slow = np.where(sells, np.maximum(units_per_day - ROUNDING, 0), 0)
    fast = np.where(sells, units_per_day + ROUNDING, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(fast > 0, level / fast - ROUNDING, np.inf)
        high = np.where(slow > 0, level / slow + ROUNDING, np.inf)
    return Cover(low, high)


def due_states(rule: AdRule, level: Ints, days: Cover) -> Due:
    """Where the marks leave no choice."""
    paused = level <= rule.pause_at
    active = level >= rule.resume_at
    if rule.pause_cover_days is not None:
        paused |= days.high <= rule.pause_cover_days
    if rule.resume_cover_days is not None:
        active &= days.low >= rule.resume_cover_days
    return Due(paused, active)


def justifies(rule: AdRule, state: str, level: int, days_of_cover: float | None) -> bool:
    """Do the figures that a signal carries demand the state that it tells?"""
    days = float("inf") if days_of_cover is None else days_of_cover
    if state == "paused":
        low = rule.pause_cover_days is not None and days <= rule.pause_cover_days
        return level <= rule.pause_at or low
    enough = rule.resume_cover_days is None or days >= rule.resume_cover_days
    return level >= rule.resume_at and enough
