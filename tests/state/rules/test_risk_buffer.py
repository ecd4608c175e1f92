"""The buffer by risk against exact sums, without the shortcuts."""

from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.rules.risk_buffer import EXACT_MAX, PPM, quantile, risk_buffer

DAY_MS = 86_400_000


def exp_of(x: Fraction) -> Fraction:
    """Return e^x to far more digits than are compared."""
    terms = 60 + 4 * int(x)
    total = term = Fraction(1)
    for n in range(1, terms):
        term = term * x / n
        total += term
    return total


def chance_above(units: int, mean: Fraction) -> Fraction:
    below = sum(mean**k / factorial(k) for k in range(units + 1))
    return 1 - below / exp_of(mean)


@given(st.integers(1, 12 * PPM), st.integers(1, PPM // 2))
def test_the_buffer_is_the_smallest_that_the_exact_sum_allows(mean: int, risk: int) -> None:
    units = quantile(mean, risk)
    exact, allowed = Fraction(mean, PPM), Fraction(risk, PPM)
    assert chance_above(units, exact) <= allowed
    assert units == 0 or chance_above(units - 1, exact) > allowed


def test_known_quantiles_of_textbooks() -> None:
    # P(X <= 9 | m = 4) = 0.9919, P(X <= 8 | m = 4) = 0.9786; P(X <= 2 | m = 0.5) = 0.9856.
    assert quantile(4 * PPM, 10_000) == 9
    assert quantile(PPM // 2, 15_000) == 2
    assert quantile(PPM // 2, 10_000) == 3


def test_no_demand_and_no_lag_need_no_buffer() -> None:
    assert risk_buffer(0, 60_000, 10_000) == 0
    assert risk_buffer(5_000, 0, 10_000) == 0


def test_a_unit_a_day_shown_a_day_late_is_a_mean_of_one() -> None:
    assert risk_buffer(1_000, DAY_MS, 10_000) == quantile(PPM, 10_000) == 4


@pytest.mark.parametrize("mean", [EXACT_MAX - 1, EXACT_MAX, EXACT_MAX + 1, 10**7, 10**12])
def test_a_large_mean_is_covered_at_bounded_cost(mean: int) -> None:
    units = quantile(mean * PPM, 10_000)
    assert mean + 2 * mean**0.5 < units < mean + 4 * mean**0.5 + 10


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 3_600_000), st.integers(1, 400_000)
)
def test_more_demand_never_needs_less(a: int, b: int, lag_ms: int, risk: int) -> None:
    slow, fast = sorted((a, b))
    assert risk_buffer(slow, lag_ms, risk) <= risk_buffer(fast, lag_ms, risk)
