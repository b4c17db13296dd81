"""Weight of a single fruit, however it was come by."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.fruit_weight import assumed_weight, given_weight, weighed_sample

weights = st.lists(st.floats(50, 400), min_size=2, max_size=60)


def test_a_given_weight_is_a_tenth_uncertain() -> None:
    weight = given_weight(210)
    assert (weight.name, weight.factor.value, weight.warnings) == ("fruit weight", 210, ())
    assert weight.factor.standard_error == pytest.approx(21)
    assert weight.choice == "210 g as given, ±10 %"


def test_how_sure_a_given_weight_is_may_be_said() -> None:
    assert given_weight(210, 0.02).factor.standard_error == pytest.approx(4.2)
    assert given_weight(210, 0).factor.variance == 0


def test_an_assumed_weight_is_less_sure_and_warned_of() -> None:
    weight = assumed_weight()
    assert weight.factor.relative_variance > given_weight(200).factor.relative_variance
    assert weight.warnings == ("no fruit weight is known: 200 g was assumed; weigh a few fruit",)


@given(weights)
def test_a_weighed_sample_is_its_mean_and_standard_error(grams: list[float]) -> None:
    found = weighed_sample(grams).factor
    assert found.value == pytest.approx(np.mean(grams))
    assert found.variance == pytest.approx(np.var(grams, ddof=1) / len(grams), abs=1e-9)
    assert found.degrees_of_freedom == len(grams) - 1


@given(weights)
def test_one_fruit_a_tree_is_as_good_as_fruit_of_nobody_knows_which(grams: list[float]) -> None:
    by_tree = weighed_sample(grams, [str(tree) for tree in range(len(grams))]).factor
    plain = weighed_sample(grams).factor
    assert (by_tree.value, by_tree.variance) == pytest.approx((plain.value, plain.variance), abs=1e-6)


def test_fruit_of_one_tree_are_alike_and_count_for_less() -> None:
    random = np.random.default_rng(0)
    grams = np.repeat(random.normal(200, 20, 6), 10) + random.normal(0, 5, 60)
    trees = [f"T{tree}" for tree in range(6) for _ in range(10)]
    found = weighed_sample(grams, trees)
    assert found.factor.degrees_of_freedom == 5
    assert found.factor.standard_error > 2 * weighed_sample(grams).factor.standard_error
    assert found.choice.endswith("60 fruit of 6 trees weighed")


@pytest.mark.parametrize("season", ["clementines2022-fruits.csv", "clementines2023-fruits.csv"])
def test_intervals_from_ten_real_fruit_hold_the_mean_of_all(data: Path, season: str) -> None:
    with (data / "satellite/fruit_weights" / season).open() as lines:
        grams = np.array([float(row["weight"]) for row in csv.DictReader(lines)])
    random, held = np.random.default_rng(0), []
    for _ in range(1000):
        low, high = weighed_sample(random.choice(grams, 10)).factor.interval(0.9)
        held.append(low <= grams.mean() <= high)
    assert 0.87 <= np.mean(held) <= 0.93


@pytest.mark.parametrize("weight", [0, -5, float("nan"), float("inf")])
def test_a_weight_is_a_number_above_zero(weight: float) -> None:
    with pytest.raises(CalibrationError, match=r"single fruit weight in g is .*: weigh a few fruit, or set it"):
        given_weight(weight)
    with pytest.raises(CalibrationError, match=r"fruit weight in g number 2 is .*: weigh at least two fruit"):
        weighed_sample([200, weight])


def test_one_fruit_or_one_tree_says_nothing_of_spread() -> None:
    with pytest.raises(CalibrationError, match="fruit weight in g: 1 given, at least 2 needed: weigh at least two"):
        weighed_sample([200])
    with pytest.raises(CalibrationError, match="in g: 1 given, at least 2 needed: weigh fruit of at least"):
        weighed_sample([200, 210], ["T1", "T1"])


def test_each_weighed_fruit_has_its_tree() -> None:
    with pytest.raises(CalibrationError, match="2 fruit weights and 1 trees were given; name the tree of each"):
        weighed_sample([200, 210], ["T1"])


def test_a_negative_spread_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"relative standard deviation of the fruit weight is -0\.1; .* give a"):
        given_weight(200, -0.1)
