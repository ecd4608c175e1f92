"""Velocity, cover and the marks of ad rules, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from tests.oracle.ads import cover, due_states, justifies
from tests.oracle.columns import ints
from tests.oracle.policy import AdRule
from tests.oracle.world import (
    Json,
    answers,
    at,
    event,
    line,
    placed,
)


def test_velocity_weighs_the_newest_fourteen_days(tmp_path: Path) -> None:
    def sale(units: int, time: str, **more: str) -> Json:
        return event("pos.sale", at("s1", line("A", units), **more), time)

    got = answers(
        tmp_path,
        [
            sale(8, "2026-03-15T23:59:59Z"),
            placed("o1", 16, time="2026-03-08T00:00:00Z"),
            sale(1000, "2026-03-01T23:59:59Z"),
            sale(1000, "2026-03-15T12:00:00Z", order="o1"),
            sale(3, "2026-03-15T12:00:00Z", hold="h1"),
        ],
    )
    weights = sum(2 ** (-day / 7) for day in range(14))
    assert got.velocity("A") == pytest.approx((8 + 16 / 2 + 3) / weights)


RULE = AdRule("r", "shop", 2, 6, 1.0, 3.0)


@pytest.mark.parametrize(
    ("level", "units_per_day", "state"),
    [
        (2, 0.0, "paused"),
        (3, 0.0, "history"),
        (6, 0.0, "active"),
        (10, 11.0, "paused"),
        (10, 5.0, "history"),
        (10, 3.0, "active"),
        (10, 10.0, "history"),
    ],
)
def test_marks_of_level_and_cover_decide_or_leave_it_to_history(
    level: int, units_per_day: float, state: str
) -> None:
    levels = ints([level])
    due = due_states(RULE, levels, cover(levels, np.array([units_per_day])))
    told = "paused" if due.paused[0] else "active" if due.active[0] else "history"
    assert told == state


def test_a_signal_is_justified_by_its_own_figures() -> None:
    assert justifies(RULE, "paused", 2, None)
    assert justifies(RULE, "paused", 50, 0.5)
    assert not justifies(RULE, "paused", 3, 1.5)
    assert justifies(RULE, "active", 6, None)
    assert not justifies(RULE, "active", 6, 2.9)
    assert not justifies(RULE, "active", 5, None)
