"""Fisher's F quantiles without SciPy, checked against it."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, f

from calibration.errors import CalibrationError
from calibration.intervals import student_t_quantile
from calibration.variance_ratio import variance_ratio_quantile

probabilities = st.floats(0.05, 0.99)
degrees = st.floats(1, 200) | st.floats(200, 10_000)


@given(probabilities, degrees, degrees)
def test_quantiles_are_those_of_scipy(probability: float, first: float, second: float) -> None:
    expected = f.ppf(probability, first, second)
    assert variance_ratio_quantile(probability, first, second) == pytest.approx(expected, rel=5e-4)


@given(probabilities, degrees)
def test_against_a_known_variance_it_is_chi_squared(probability: float, first: float) -> None:
    assert variance_ratio_quantile(probability, first, inf) == pytest.approx(
        chi2.ppf(probability, first) / first, rel=5e-4
    )


@given(st.floats(0.5, 0.99), st.floats(1, 500))
def test_with_one_degree_above_it_is_students_squared(probability: float, second: float) -> None:
    student = student_t_quantile((1 + probability) / 2, second)
    assert variance_ratio_quantile(probability, 1, second) == pytest.approx(student**2, rel=5e-4)


@given(st.floats(0.05, 0.95), st.floats(1, 500), st.floats(1, 500))
def test_turned_upside_down_it_is_the_other_tail(probability: float, first: float, second: float) -> None:
    upper = variance_ratio_quantile(probability, first, second)
    assert upper * variance_ratio_quantile(1 - probability, second, first) == pytest.approx(1, rel=5e-4)


@pytest.mark.parametrize(
    ("probability", "first", "second"),
    [(0, 5, 5), (1, 5, 5), (float("nan"), 5, 5), (0.9, 0.5, 5), (0.9, 5, 0), (0.9, float("nan"), 5)],
)
def test_arguments_out_of_range_are_refused(probability: float, first: float, second: float) -> None:
    with pytest.raises(CalibrationError, match=r"no ratio of variances at probability .* at least two trees in each"):
        variance_ratio_quantile(probability, first, second)
