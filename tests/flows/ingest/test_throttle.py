"""The brake: who gets the store when publishing falls behind."""

import pytest

from flows.ingest.throttle import LATE_MS, PAUSE_MAX_S, STEP_MS, STEPS_MAX, STOPPED_MS, Throttle
from monitoring.metrics import REGISTRY

GATHER_MS = 20
LATE_BY_A_SECOND_MS = GATHER_MS + LATE_MS + 1_000


def told_s() -> float:
    """Return what the metric tells."""
    return REGISTRY.get_sample_value("penstock_held_back_seconds_total") or 0.0


def paused_s(brake: Throttle, now_s: float, due_age_ms: int) -> float:
    """Return how long nothing is read from `now_s` on, to the millisecond."""
    return (
        next(ms for ms in range(5_000) if not brake.holds(now_s + ms / 1_000, due_age_ms)) / 1_000
    )


def test_nothing_is_held_back_before_the_first_batch() -> None:
    assert not Throttle(GATHER_MS).holds(7.0, LATE_BY_A_SECOND_MS)


def test_nothing_is_held_back_while_publishing_keeps_up() -> None:
    brake = Throttle(GATHER_MS)
    brake.handed(7.0)
    assert not brake.holds(7.2, GATHER_MS + LATE_MS)


@pytest.mark.parametrize(
    ("took_s", "late_ms", "expected_s"),
    [
        pytest.param(0.2, STEP_MS, 0.2, id="for as long as the last batch took"),
        pytest.param(0.2, STEP_MS // 2, 0.1, id="for less time when the SKUs are less late"),
        pytest.param(0.2, 5_000, 0.2 * STEPS_MAX, id="so that a fourth of its speed is left"),
        pytest.param(9.0, 5_000, PAUSE_MAX_S, id="never for long"),
        pytest.param(0.2, STOPPED_MS, 0.0, id="not at all when nobody publishes"),
    ],
)
def test_ingest_pauses(took_s: float, late_ms: int, expected_s: float) -> None:
    before_s = told_s()
    brake = Throttle(GATHER_MS)
    brake.handed(0.0)
    held_s = paused_s(brake, took_s, GATHER_MS + LATE_MS + late_ms)
    assert held_s == pytest.approx(expected_s, abs=0.0011)
    assert told_s() - before_s == pytest.approx(expected_s)


def test_a_pause_is_not_begun_again_before_another_batch() -> None:
    brake = Throttle(GATHER_MS)
    brake.handed(0.0)
    paused = paused_s(brake, 0.2, LATE_BY_A_SECOND_MS)
    assert paused > 0
    assert not brake.holds(0.2 + 2 * paused, LATE_BY_A_SECOND_MS)
