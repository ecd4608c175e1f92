"""Whether the ads for a SKU should run: one decision for each rule, from the level of its channel.

Pause when the level or the days of cover are at or below the pause thresholds. Resume when both are
back at or above the resume thresholds and the pause has lasted `dwell_s`. At most `max_changes_per_day`
changes in a day of the policy's time zone, both kinds counted: a rule that may not act any more
looks again tomorrow.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from state.durations import DAY_MS
from state.policy.document import AdRule

QUARTER_MS = 900_000
"""Every time zone in use is a multiple of this off UTC, so no day starts inside a quarter hour."""

_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()

Reason = Literal["low_level", "low_cover", "recovered", ""]


class AdState(msgspec.Struct, frozen=True):
    """What one rule last decided for one SKU. `changes` were made in `day` (a local day number)."""

    state: Literal["active", "paused"]
    since_ms: int
    day: int = 0
    changes: int = 0


class AdDecision(msgspec.Struct, frozen=True):
    """What a rule says now.

    `state` is to be kept; it is the one passed in unless `changed`. `reason` says why a change was
    made, "" = none; `threshold` is the one that it crossed: units for `low_level` and `recovered`,
    thousandths of a day for `low_cover`. `next_look_ms` is the business time at which the answer
    may change though the stock does not; None = only a change of stock can.
    """

    state: AdState
    reason: Reason
    threshold: int
    changed: bool
    next_look_ms: int | None


def decide(
    rule: AdRule,
    level: int,
    cover_mdays: int | None,
    state: AdState | None,
    business_ms: int,
    day: int,
    next_day_ms: int,
) -> AdDecision:
    """Decide for one rule and SKU.

    `level` is in units, `cover_mdays` in thousandths of a day (None = for ever). `state` is None
    for a SKU that the rule never saw: its ads are taken to be running. `day` and `next_day_ms` come
    from `day_of`.
    """
    if state is None:
        state = AdState("active", business_ms, day)
    if state.state == "active":
        reason, threshold = _why_pause(rule, level, cover_mdays)
        allowed_ms = business_ms
    else:
        reason, threshold = _why_resume(rule, level, cover_mdays)
        allowed_ms = state.since_ms + rule.dwell_s * 1000
    if not reason:
        return _stay(state, _ageing(rule, level, cover_mdays, state, business_ms))
    # A clock that lags behind the one that made the last change must not refill the day's budget.
    changes = state.changes if day <= state.day else 0
    if changes >= rule.max_changes_per_day:
        allowed_ms = max(allowed_ms, next_day_ms)
    if allowed_ms > business_ms:
        return _stay(state, allowed_ms)
    other: Literal["active", "paused"] = "paused" if state.state == "active" else "active"
    made = AdState(other, business_ms, max(day, state.day), changes + 1)
    next_look_ms = _ageing(rule, level, cover_mdays, made, business_ms)
    return AdDecision(made, reason, threshold, changed=True, next_look_ms=next_look_ms)


def is_quiet(rule: AdRule, level: int, cover_mdays: int | None, state: AdState) -> bool:
    """Say whether `decide` would keep the state and ask for no other look, at any business time.

    Cheaper than the decision, and true of nearly all SKUs.
    """
    if state.state == "active":
        return not _why_pause(rule, level, cover_mdays)[0]
    return level < rule.resume_at


def days(mdays: int | None) -> float | None:
    """Return thousandths of a day as days, for a message to the outside."""
    return None if mdays is None else mdays / 1000


def day_of(business_ms: int, timezone: str) -> tuple[int, int]:
    """Return the local day number (0 for 1970-01-01) and the time (ms) at which the next starts.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: no such time zone.
    """
    return _day_of_quarter(business_ms // QUARTER_MS, timezone)


@lru_cache(maxsize=1024)
def _day_of_quarter(quarter: int, timezone: str) -> tuple[int, int]:
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(quarter * QUARTER_MS // 1000, UTC).astimezone(zone).date()
    tomorrow = local + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
    return local.toordinal() - _EPOCH_ORDINAL, int(midnight.timestamp()) * 1000


def _stay(state: AdState, next_look_ms: int | None) -> AdDecision:
    return AdDecision(state, "", 0, changed=False, next_look_ms=next_look_ms)


def _why_pause(rule: AdRule, level: int, cover_mdays: int | None) -> tuple[Reason, int]:
    if level <= rule.pause_at:
        return "low_level", rule.pause_at
    mark = rule.pause_cover_mdays
    if mark is not None and cover_mdays is not None and cover_mdays <= mark:
        return "low_cover", mark
    return "", 0


def _why_resume(rule: AdRule, level: int, cover_mdays: int | None) -> tuple[Reason, int]:
    if level >= rule.resume_at and _covered(rule, cover_mdays):
        return "recovered", rule.resume_at
    return "", 0


def _covered(rule: AdRule, cover_mdays: int | None) -> bool:
    mark = rule.resume_cover_mdays
    return mark is None or cover_mdays is None or cover_mdays >= mark


def _ageing(
    rule: AdRule, level: int, cover_mdays: int | None, state: AdState, business_ms: int
) -> int | None:
    """Return the start of the next UTC day where only the cover keeps the ads paused.

    A day without sales lowers the velocity, so cover grows by itself and never falls by itself.
    """
    waits = state.state == "paused" and level >= rule.resume_at and not _covered(rule, cover_mdays)
    return (business_ms // DAY_MS + 1) * DAY_MS if waits else None
