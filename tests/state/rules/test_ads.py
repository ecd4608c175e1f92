"""Ad decisions: marks, dwell, the daily cap, and when to look again."""

from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from state.durations import DAY_MS
from state.policy.document import AdRule
from state.rules.ads import AdDecision, AdState, day_of, days, decide, is_quiet

RULE = AdRule(
    "google-shop",
    "shop",
    pause_at=2,
    resume_at=6,
    pause_cover_mdays=1_000,
    resume_cover_mdays=3_000,
    dwell_s=600,
    max_changes_per_day=4,
)
NOW = 100 * DAY_MS + 3_600_000
TOMORROW = 101 * DAY_MS


def look(
    level: int, cover: int | None, state: AdState | None = None, now_ms: int = NOW
) -> AdDecision:
    return decide(
        RULE, level, cover, state, now_ms, now_ms // DAY_MS, (now_ms // DAY_MS + 1) * DAY_MS
    )


def paused(ago_s: int = 3_600, changes: int = 1) -> AdState:
    return AdState("paused", NOW - ago_s * 1000, 100, changes)


def test_the_ads_of_a_new_sku_are_taken_to_be_running() -> None:
    assert look(10, None) == AdDecision(
        AdState("active", NOW, 100), "", 0, changed=False, next_look_ms=None
    )


def test_a_level_at_the_pause_mark_pauses() -> None:
    decision = look(2, None)
    assert (decision.state, decision.reason, decision.threshold) == (
        AdState("paused", NOW, 100, 1),
        "low_level",
        2,
    )
    assert decision.changed
    assert not look(3, None).changed


def test_few_days_of_cover_pause_though_the_level_is_high() -> None:
    decision = look(50, 1_000)
    assert (decision.reason, decision.threshold) == ("low_cover", 1_000)
    assert not look(50, 1_001).changed


@pytest.mark.parametrize(("level", "cover"), [(5, None), (6, 2_999), (3, 9_000)])
def test_ads_stay_paused_until_both_marks_are_met(level: int, cover: int | None) -> None:
    assert not look(level, cover, paused()).changed


def test_ads_resume_when_both_marks_are_met() -> None:
    decision = look(6, 3_000, paused())
    assert decision.state == AdState("active", NOW, 100, 2)
    assert (decision.reason, decision.threshold, decision.changed) == ("recovered", 6, True)


def test_a_resume_waits_for_the_dwell_and_looks_again_at_its_end() -> None:
    state = paused(ago_s=599)
    decision = look(9, None, state)
    assert not decision.changed
    assert decision.next_look_ms == NOW + 1_000
    assert look(9, None, state, NOW + 1_000).changed


def test_a_pause_does_not_wait_for_the_dwell() -> None:
    assert look(0, None, AdState("active", NOW - 1, 100, 1)).changed


def test_a_rule_that_made_its_changes_waits_for_the_next_day() -> None:
    state = AdState("active", NOW, 100, 4)
    decision = look(0, None, state)
    assert not decision.changed
    assert decision.next_look_ms == TOMORROW
    assert look(0, None, state, TOMORROW).state == AdState("paused", TOMORROW, 101, 1)


def test_a_clock_that_lags_does_not_refill_the_changes_of_the_day() -> None:
    state = AdState("active", NOW, 101, 4)
    assert not look(0, None, state).changed


def test_what_only_cover_keeps_paused_is_looked_at_when_the_buckets_age() -> None:
    assert look(9, 2_000, paused()).next_look_ms == TOMORROW
    assert look(50, 1_000).next_look_ms == TOMORROW
    assert look(5, 2_000, paused()).next_look_ms is None
    assert look(0, None).next_look_ms is None


def test_a_rule_without_cover_marks_does_not_look_at_cover() -> None:
    rule = AdRule("r", "shop", pause_at=0, resume_at=1)
    assert not decide(rule, 1, 0, None, NOW, 100, TOMORROW).changed


def test_days_of_cover_have_three_decimals() -> None:
    assert days(1_234) == 1.234
    assert days(None) is None


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def test_a_day_is_a_day_of_the_time_zone() -> None:
    day, next_ms = day_of(at("2026-12-01T00:00:00+08:00"), "Asia/Taipei")
    assert day == (datetime(2026, 12, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    assert next_ms == at("2026-12-02T00:00:00+08:00")
    assert day_of(at("2026-11-30T23:59:59+08:00"), "Asia/Taipei")[0] == day - 1


@pytest.mark.parametrize(
    ("noon", "hours"), [("2026-03-29T12:00:00+02:00", 23), ("2026-10-25T12:00:00+01:00", 25)]
)
def test_a_day_on_which_the_clocks_change_has_its_own_length(noon: str, hours: int) -> None:
    _, end_ms = day_of(at(noon), "Europe/Berlin")
    _, start_ms = day_of(at(noon) - DAY_MS, "Europe/Berlin")
    assert end_ms - start_ms == hours * 3_600_000


@given(
    st.integers(0, 4_000_000_000_000), st.sampled_from(["UTC", "Asia/Taipei", "America/New_York"])
)
def test_the_next_day_begins_right_at_its_start(now_ms: int, timezone: str) -> None:
    day, next_ms = day_of(now_ms, timezone)
    assert next_ms > now_ms
    assert day_of(next_ms, timezone)[0] == day + 1
    assert day_of(next_ms - 1, timezone)[0] == day


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 5_000) | st.none(), st.integers(0, 20_000)),
        max_size=60,
    )
)
def test_no_day_sees_more_changes_than_allowed_and_no_pause_is_shorter_than_the_dwell(
    looks: list[tuple[int, int | None, int]],
) -> None:
    state: AdState | None = None
    now_ms = 0
    by_day: dict[int, int] = {}
    for level, cover, later_s in looks:
        now_ms += later_s * 1000
        decision = look(level, cover, state, now_ms)
        if decision.changed:
            day = now_ms // DAY_MS
            by_day[day] = by_day.get(day, 0) + 1
            if decision.reason == "recovered" and state is not None:
                assert now_ms - state.since_ms >= RULE.dwell_s * 1000
        state = decision.state
    assert all(changes <= RULE.max_changes_per_day for changes in by_day.values())


@given(
    st.sampled_from(["active", "paused"]),
    st.integers(0, 9),
    st.none() | st.integers(0, 5_000),
    st.integers(0, 4),
    st.integers(0, 2_000),
    st.sampled_from([None, 1_000]),
)
def test_quiet_ads_keep_their_state_and_ask_for_no_other_look(
    name: Literal["active", "paused"],
    level: int,
    cover: int | None,
    changes: int,
    ago_s: int,
    mark: int | None,
) -> None:
    rule = structs.replace(RULE, pause_cover_mdays=mark, resume_cover_mdays=mark and 3 * mark)
    state = AdState(name, NOW - ago_s * 1000, 100, changes)
    made = decide(rule, level, cover, state, NOW, 100, TOMORROW)
    if is_quiet(rule, level, cover, state):
        assert made == AdDecision(state, "", 0, changed=False, next_look_ms=None)
    else:
        assert made.changed or made.next_look_ms is not None
