"""What is said before anybody relies on a correction factor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from calibration.guard_rails import few_trees, implausible_factor, one_tree_carries, unlike_orchard


@pytest.mark.parametrize(("factor", "warned"), [(0.29, True), (0.3, False), (1.0, False), (3.0, False), (3.1, True)])
def test_an_implausible_factor_is_warned_of(factor: float, warned: bool) -> None:
    said = implausible_factor(factor)
    assert bool(said) == warned
    if warned:
        assert "lies outside 0.3 to 3: check the fruit weight, the area of the sampled trees and the units" in said[0]


@pytest.mark.parametrize(("trees", "said"), [(2, ("only 2 trees were sampled: photograph at least 10",)), (10, ())])
def test_few_trees_are_warned_of(trees: int, said: tuple[str, ...]) -> None:
    assert few_trees(trees) == said


def test_one_tree_that_carries_the_estimate_is_named() -> None:
    counts = np.array([100.0, 90, 110, 95, 105, 900])
    names = ["T1", "T2", "T3", "T4", "T5", "T6"]
    (said,) = one_tree_carries(counts, names)
    assert said.startswith("tree T6 alone moves the estimate by +133 %: look at its photos again")
    assert one_tree_carries(counts)[0].startswith("tree number 6 alone")


@pytest.mark.parametrize(("others", "bound"), [(6, 2.6), (40, 1.0)], ids=["unlike the others", "moves the mean"])
def test_it_is_unlike_the_others_and_moves_the_mean_by_its_standard_error(others: int, bound: float) -> None:
    rest = np.linspace(80, 120, others)
    spread = rest.std(ddof=1) / np.sqrt(others + 1)

    def told(standard_errors: float) -> bool:
        # the mean of n + 1 moves by (x - mean of n) / (n + 1)
        return bool(one_tree_carries(np.append(rest, 100 + (others + 1) * spread * standard_errors)))

    assert not told(0.97 * bound)
    assert told(1.03 * bound)


def test_its_bound_for_few_trees_is_students() -> None:
    """t of one tree against six others, once in a hundred among seven trees."""
    assert t.ppf(1 - 0.01 / 14, 5) / np.sqrt(6) == pytest.approx(2.6, rel=0.02)


def test_even_trees_carry_alike_and_two_cannot_be_told_apart() -> None:
    assert one_tree_carries(np.full(8, 50.0)) == ()
    assert one_tree_carries(np.zeros(8)) == ()
    assert one_tree_carries(np.array([1.0, 500.0])) == ()
    random = np.random.default_rng(0)
    assert np.mean([bool(one_tree_carries(random.gamma(6, 20, 30))) for _ in range(500)]) < 0.02


def test_a_bare_tree_among_bearing_ones_is_named_too() -> None:
    assert "tree number 1 alone moves the estimate by -10 %" in one_tree_carries(np.array([0.0] + [100.0] * 9))[0]


def test_an_area_unlike_the_orchard_is_named_with_what_differs() -> None:
    orchard = {"ndvi": np.array([0.4, 0.5, 0.6, np.nan]), "predicted yield": np.array([1.0, 2.0, 3.0])}
    sampled = {"ndvi": np.array([0.6, 0.6]), "predicted yield": np.array([2.0, 2.2])}
    (said,) = unlike_orchard(sampled, orchard)
    assert "sees another orchard (ndvi by +1.2 standard deviations)" in said
    assert "sample trees over all of it" in said
    orchard["predicted yield"] = np.array([1.0, 1.1, 1.2])
    assert "(predicted yield by +12.2 standard deviations, and 1 more)" in unlike_orchard(sampled, orchard)[0]


def test_an_area_like_the_orchard_or_features_of_one_of_them_only_are_no_matter() -> None:
    cells = np.arange(10.0)
    assert unlike_orchard({"ndvi": cells[::2]}, {"ndvi": cells}) == ()
    assert unlike_orchard({}, {"ndvi": cells}) == ()
    assert unlike_orchard({"ndvi": cells}, {"ndvi": np.full(10, 3.0)}) == ()
