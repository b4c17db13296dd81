"""Student's t quantiles without SciPy, checked against it."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from calibration.errors import CalibrationError
from calibration.intervals import student_t_quantile


@given(st.floats(0.5, 0.9999), st.integers(1, 2000) | st.sampled_from([10_000, 1_000_000]))
def test_quantiles_are_those_of_scipy(probability: float, degrees: int) -> None:
    expected = t.ppf(probability, degrees)
    assert student_t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-5, abs=1e-9)


@given(st.floats(0.5, 0.999), st.integers(1, 200))
def test_more_trees_bring_the_quantile_down(probability: float, degrees: int) -> None:
    assert student_t_quantile(probability, degrees + 1) <= student_t_quantile(probability, degrees)


@pytest.mark.parametrize("probability", [-1, 0.49, 1, 2, float("nan")])
def test_a_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(CalibrationError, match=r"no t quantile at probability .*; use 0\.5 <= p < 1"):
        student_t_quantile(probability, 5)


@given(st.floats(0.5, 0.9995), st.floats(1, 50))
def test_degrees_of_freedom_need_not_be_whole(probability: float, degrees: float) -> None:
    assert student_t_quantile(probability, degrees) == pytest.approx(t.ppf(probability, degrees), rel=1e-5, abs=1e-9)


def test_without_end_they_are_the_normal_distributions() -> None:
    assert student_t_quantile(0.975, inf) == pytest.approx(norm.ppf(0.975))
    assert student_t_quantile(0.975, 2e7) == pytest.approx(norm.ppf(0.975))


def test_one_tree_has_no_quantile() -> None:
    with pytest.raises(CalibrationError, match=r"0 degrees of freedom; .* at least two trees"):
        student_t_quantile(0.975, 0)
