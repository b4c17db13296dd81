"""Designs: which trees were sampled, and what that says of all."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError, FloatArray
from calibration.estimate import Estimate, satterthwaite
from calibration.sampling import Design, SimpleRandom, Stratified, Systematic, mean_per_tree, ratio_per_tree

several = st.lists(st.integers(0, 2000), min_size=2, max_size=40)
# bearing, and no two trees alike to the last digit
bearing = st.lists(st.integers(1, 2000), min_size=2, max_size=40)
designs = st.sampled_from([SimpleRandom(), SimpleRandom(100), Systematic(), Systematic(100)])


def orchard(trees: int = 600, seed: int = 0) -> FloatArray:
    """Fruit of trees along a walk: trend, patches, and trees of their own."""
    random = np.random.default_rng(seed)
    patches = np.repeat(random.normal(0, 0.25, trees // 30), 30)
    slope = np.linspace(-0.3, 0.3, trees)
    return random.poisson(100 * np.exp(patches + slope + random.normal(0, 0.2, trees))).astype(np.float64)


def test_a_simple_random_sample_by_the_book() -> None:
    found = mean_per_tree([80, 100, 120, 90], SimpleRandom(40))
    variance = np.var([80, 100, 120, 90], ddof=1)
    assert (found.value, found.variance, found.degrees_of_freedom) == pytest.approx((97.5, 0.9 * variance / 4, 3))


def test_a_census_has_no_error() -> None:
    assert mean_per_tree([80, 100, 120], SimpleRandom(3)).variance == 0
    assert mean_per_tree([80, 100, 120], Systematic(3)).variance == 0
    assert mean_per_tree([80, 100, 120, 90], Stratified(tuple("aabb"), {"a": 2, "b": 2})) == Estimate(97.5, 0, inf)


def test_an_unknown_population_is_taken_as_a_large_one() -> None:
    unknown, large = (mean_per_tree([1, 5, 3], SimpleRandom(trees)) for trees in (None, 10**15))
    assert large.variance == pytest.approx(unknown.variance)


def test_a_systematic_sample_by_successive_differences() -> None:
    found = mean_per_tree([80, 100, 120, 90], Systematic(40))
    assert found.value == 97.5
    assert found.variance == pytest.approx(0.9 * (20**2 + 20**2 + 30**2) / (2 * 3) / 4)
    assert found.degrees_of_freedom == pytest.approx(2 * 9 / 8)


def test_degrees_of_freedom_of_successive_differences_are_those_of_their_scatter() -> None:
    random = np.random.default_rng(5)
    variances = [Systematic().variance(random.normal(size=15))[0] for _ in range(40_000)]
    seen = 2 * np.mean(variances) ** 2 / np.var(variances)
    assert Systematic().variance(np.arange(15.0))[1] == pytest.approx(seen, rel=0.03)


def test_strata_by_the_book() -> None:
    values, strata = [10, 14, 40, 50, 42], tuple("aabbb")
    found = mean_per_tree(values, Stratified(strata, {"a": 20, "b": 60}))
    assert found.value == pytest.approx(0.25 * 12 + 0.75 * 44)
    expected = 0.25**2 * 0.9 * np.var([10, 14], ddof=1) / 2 + 0.75**2 * 0.95 * np.var([40, 50, 42], ddof=1) / 3
    assert found.variance == pytest.approx(expected)
    assert 1 <= found.degrees_of_freedom <= 3


def test_one_stratum_is_a_simple_random_sample() -> None:
    values = [10, 14, 40, 50, 42]
    one = mean_per_tree(values, Stratified(("all",) * 5, {"all": 80}))
    random = mean_per_tree(values, SimpleRandom(80))
    assert (one.value, one.variance, one.degrees_of_freedom) == pytest.approx(
        (random.value, random.variance, random.degrees_of_freedom)
    )


def test_degrees_of_freedom_of_small_strata_come_close_to_trees_less_strata() -> None:
    random = np.random.default_rng(1)
    design = Stratified(tuple("aabbccdd"), dict.fromkeys("abcd", 1000))
    found = [design.variance(random.normal(10, 1, 8))[1] for _ in range(2000)]
    plain = [satterthwaite(Estimate(0, v, 1) for v in random.chisquare(1, 4)) for _ in range(2000)]
    assert np.mean(plain) < 2.3
    assert 3.3 < np.mean(found) <= 4


@pytest.mark.parametrize("design", ["random", "stratified"])
def test_the_variance_is_right_on_average_over_all_samples(design: str) -> None:
    fruit, random = orchard(), np.random.default_rng(2)
    found = []
    for _ in range(2000):
        if design == "random":
            found.append(mean_per_tree(random.choice(fruit, 60, replace=False), SimpleRandom(600)))
        else:
            chosen = [random.choice(part, 20, replace=False) for part in np.split(fruit, [200, 400])]
            strata = Stratified(tuple("a" * 20 + "b" * 20 + "c" * 20), {"a": 200, "b": 200, "c": 200})
            found.append(mean_per_tree(np.concatenate(chosen), strata))
    means = np.array([estimate.value for estimate in found])
    assert means.mean() == pytest.approx(fruit.mean(), rel=0.005)
    assert np.mean([estimate.variance for estimate in found]) == pytest.approx(means.var(), rel=0.08)


def test_the_variance_of_a_walk_errs_on_the_safe_side_and_by_less_than_that_of_chance() -> None:
    seen, walked, by_chance = [], [], []
    for seed in range(40):
        fruit = orchard(seed=seed)
        walks = [fruit[start::20] for start in range(20)]
        seen.append(np.var([walk.mean() for walk in walks]))
        walked.append(np.mean([Systematic(600).variance(walk)[0] for walk in walks]))
        by_chance.append(np.mean([SimpleRandom(600).variance(walk)[0] for walk in walks]))
    assert np.mean(seen) < np.mean(walked) < 0.8 * np.mean(by_chance)


def test_a_prediction_that_follows_the_trees_makes_the_ratio_surer() -> None:
    fruit = orchard()[::10]
    blind = ratio_per_tree(fruit, np.full(60, 100.0), SimpleRandom(600))
    seeing = ratio_per_tree(fruit, fruit * np.random.default_rng(0).normal(1, 0.05, 60), SimpleRandom(600))
    assert seeing.relative_variance < 0.1 * blind.relative_variance


@given(several, st.floats(0.1, 1e5), designs)
def test_one_prediction_for_all_leaves_the_mean_and_its_error(numbers: list[int], one: float, design: Design) -> None:
    mean = mean_per_tree(numbers, design)
    ratio = ratio_per_tree(numbers, [one] * len(numbers), design)
    assert ratio.value == pytest.approx(mean.value / one)
    assert ratio.variance == pytest.approx(mean.variance / one**2, rel=1e-9, abs=1e-9 * mean.value**2 / one**2)
    assert ratio.degrees_of_freedom == mean.degrees_of_freedom


@given(bearing, st.floats(0.01, 100), designs)
def test_scaled_counts_have_a_scaled_mean(numbers: list[int], factor: float, design: Design) -> None:
    mean, scaled = mean_per_tree(numbers, design), mean_per_tree(np.array(numbers) * factor, design)
    assert scaled.value == pytest.approx(mean.value * factor)
    assert sqrt(scaled.variance) == pytest.approx(sqrt(mean.variance) * factor, rel=1e-9, abs=1e-9)


@given(several.flatmap(lambda numbers: st.tuples(st.just(numbers), st.permutations(numbers))))
def test_the_order_of_a_random_sample_does_not_matter(orders: tuple[list[int], list[int]]) -> None:
    first, second = (mean_per_tree(order, SimpleRandom(100)) for order in orders)
    assert (second.value, second.variance) == pytest.approx((first.value, first.variance))


@given(several)
def test_a_walk_may_be_walked_backwards(numbers: list[int]) -> None:
    first, second = mean_per_tree(numbers, Systematic(100)), mean_per_tree(numbers[::-1], Systematic(100))
    assert (second.value, second.variance) == pytest.approx((first.value, first.variance))


@given(several, st.data(), st.integers(1, 500), designs)
def test_more_fruit_on_any_tree_is_a_larger_mean(
    numbers: list[int], chosen: st.DataObject, more: int, design: Design
) -> None:
    index = chosen.draw(st.integers(0, len(numbers) - 1))
    fuller = [count + more * (i == index) for i, count in enumerate(numbers)]
    assert mean_per_tree(fuller, design).value > mean_per_tree(numbers, design).value


@given(several, st.integers(0, 400))
def test_knowing_the_population_never_widens(numbers: list[int], others: int) -> None:
    for design in (SimpleRandom, Systematic):
        known = mean_per_tree(numbers, design(len(numbers) + others))
        assert known.variance <= mean_per_tree(numbers, design()).variance


@pytest.mark.parametrize("design", [SimpleRandom(), Systematic(), Stratified(("a",), {"a": 5})])
def test_one_tree_is_refused(design: Design) -> None:
    with pytest.raises(CalibrationError, match=r"count of a tree: 1 given, at least 2 needed: photograph at least two"):
        mean_per_tree([5], design)


@pytest.mark.parametrize(("count", "said"), [(-1, "-1"), (float("nan"), "nan"), (float("inf"), "inf")])
def test_a_count_that_is_none_is_named(count: float, said: str) -> None:
    with pytest.raises(CalibrationError, match=rf"count of a tree number 2 is {said}; it must be a number not below 0"):
        mean_per_tree([5, count, 3], SimpleRandom())


@pytest.mark.parametrize("design", [SimpleRandom(2), Systematic(2)])
def test_more_trees_than_there_are_are_refused(design: Design) -> None:
    with pytest.raises(CalibrationError, match="3 trees were sampled of 2 there; correct the number of trees"):
        mean_per_tree([1, 2, 3], design)


@pytest.mark.parametrize(
    ("strata", "population", "said"),
    [
        ("aab", {"a": 5, "b": 5}, "stratum 'b' has one sampled tree; photograph a second there, or join it"),
        ("aabb", {"a": 5, "b": 5, "c": 5}, "stratum 'c' has no sampled tree; photograph two there, or join it"),
        ("aabb", {"a": 5}, "stratum 'b' has no number of trees; give it with the others'"),
        ("aabb", {"a": 5, "b": 1}, "2 trees were sampled in stratum 'b' of 1 there; correct the number"),
        ("aab", {"a": 5, "b": 5}, "one sampled tree"),
    ],
)
def test_strata_that_do_not_fit_are_named(strata: str, population: dict[str, int], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        mean_per_tree([3] * len(strata), Stratified(tuple(strata), population))


def test_strata_of_other_trees_are_refused() -> None:
    with pytest.raises(CalibrationError, match="strata are given for 2 trees and 3 were counted; name the stratum of"):
        mean_per_tree([1, 2, 3], Stratified(("a", "a"), {"a": 9}))


def test_a_stratum_of_one_tree_that_was_sampled_is_known() -> None:
    found = mean_per_tree([10, 12, 99], Stratified(("a", "a", "lone"), {"a": 9, "lone": 1}))
    assert found.value == pytest.approx(0.9 * 11 + 0.1 * 99)


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        ([1, 2], "predicted yield of a tree: 2 given, at least 3 needed: check the predictions"),
        ([1, 2, 3, 4], "4 trees have a prediction and 3 a count; give both for the same trees"),
        ([1, 0, 3], "predicted yield of a tree number 2 is 0; it must be a number above 0"),
        ([1, float("nan"), 3], "predicted yield of a tree number 2 is nan"),
    ],
)
def test_predictions_are_of_the_same_trees_and_above_zero(predicted: list[float], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        ratio_per_tree([5, 6, 7], predicted, SimpleRandom())
