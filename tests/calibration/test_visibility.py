"""Fruit that no photo shows, learned from trees counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.estimate import exact
from calibration.ratios import ratio_of_totals
from calibration.visibility import (
    HandCount,
    TreeKind,
    deming_slope,
    unknown_visibility,
    visibility_of,
)

KIND = TreeKind("North", "Gala", "spindle", "ripening")


def by_hand(counted: Sequence[float], fruit: Sequence[float], **other: str) -> list[HandCount]:
    """Trees of KIND, or of another as far as said."""
    place = {field: other.get(field, getattr(KIND, field)) for field in TreeKind.__dataclass_fields__}
    return [HandCount(seen, there, **place) for seen, there in zip(counted, fruit, strict=True)]


def drawn(random: np.random.Generator, trees: int, visibility: float = 1.4, **other: str) -> list[HandCount]:
    """Both counts with errors of their own, from trees that bear differently."""
    bears = random.gamma(4, 30, trees)
    return by_hand(random.poisson(bears).tolist(), random.poisson(visibility * bears).tolist(), **other)


def test_visibility_is_fruit_there_over_fruit_counted() -> None:
    found = visibility_of(KIND, by_hand([50, 100, 60, 80, 10], [70, 120, 90, 120, 20]), "machine")
    assert found.factor.value == pytest.approx(420 / 300)
    assert found.factor.degrees_of_freedom == 4
    assert found.choice == "5 trees counted by hand, same orchard, variety, training, stage; against machine"


def test_it_is_not_pulled_down_by_errors_in_the_counts_as_a_regression_is() -> None:
    random = np.random.default_rng(0)
    found, regressed = [], []
    for _ in range(500):
        trees = by_hand(*_noisy(random, 12))
        found.append(visibility_of(KIND, trees, "machine").factor.value)
        x, y = (np.array([getattr(tree, field) for tree in trees]) for field in ("counted", "by_hand"))
        regressed.append(float(x @ y / (x @ x)))
    assert np.mean(found) == pytest.approx(1.4, abs=0.01)
    assert np.mean(regressed) < 1.37


def _noisy(random: np.random.Generator, trees: int) -> tuple[list[float], list[float]]:
    bears = random.gamma(10, 10, trees)
    return (bears * random.normal(1, 0.2, trees)).clip(min=0).tolist(), (1.4 * bears).tolist()


def test_it_is_the_slope_of_greatest_likelihood_when_both_counts_are_poisson() -> None:
    x, y = np.array([50, 100, 60, 80, 10]), np.array([70, 120, 90, 120, 20])
    found = visibility_of(KIND, by_hand(x.tolist(), y.tolist()), "machine").factor.value

    def likelihood(slope: float) -> float:
        bears = (x + y) / (1 + slope)
        return float((x * np.log(bears) - bears + y * np.log(slope * bears) - slope * bears).sum())

    slopes = np.linspace(1.0, 2.0, 2001)
    assert found == pytest.approx(slopes[np.argmax([likelihood(slope) for slope in slopes])], abs=1e-3)


def test_its_interval_holds_the_truth_nine_times_in_ten() -> None:
    random, held = np.random.default_rng(1), []
    for _ in range(1500):
        low, high = visibility_of(KIND, drawn(random, 8), "machine").factor.positive_interval(0.9)
        held.append(low <= 1.4 <= high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.025)


def test_elsewhere_it_is_as_uncertain_as_orchards_differ() -> None:
    random, held = np.random.default_rng(2), []
    for _ in range(600):
        orchards = random.normal(1.4, 0.14, 7)
        trees = [tree for i, own in enumerate(orchards[1:]) for tree in drawn(random, 6, own, orchard=f"O{i}")]
        low, high = visibility_of(KIND, trees, "machine").factor.positive_interval(0.9)
        held.append(low <= orchards[0] <= high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.035)


def test_orchards_that_differ_are_joined_with_the_default_difference() -> None:
    """Three orchards with visibility 1.2, 1.5 and 1.8, trees of each all alike."""
    trees = [
        tree
        for name, visibility in (("A", 1.2), ("B", 1.5), ("C", 1.8))
        for tree in by_hand([100.0, 100.0], [100 * visibility] * 2, orchard=name)
    ]
    made = visibility_of(KIND, trees, "machine")
    found = made.factor
    assert "6 trees in 3 other orchard(s) counted by hand" in made.choice
    partly = visibility_of(TreeKind("A", *("Gala", "spindle", "ripening")), trees, "machine")
    assert "6 trees here and in 2 other orchard(s) counted by hand" in partly.choice
    assert partly.factor == found  # two trees of an orchard's own are too few
    seen = 2 * 0.2**2
    between = (4 * 0.1**2 + seen) / 6 * (1 + 1 / 3)
    pooled = ratio_of_totals([tree.by_hand for tree in trees], [tree.counted for tree in trees], "visibility")
    assert found.value == pytest.approx(1.5)
    assert found.variance == pytest.approx(pooled.variance + 1.5**2 * between)


def test_what_was_counted_says_which_factors_are_in_it_already() -> None:
    trees = by_hand([50, 100, 60, 80, 10], [70, 120, 90, 120, 20])
    assert visibility_of(KIND, trees, "machine").includes == {"detector", "both sides", "background fruit"}
    assert visibility_of(KIND, trees, "reviewed").includes == {"both sides", "background fruit"}
    assert visibility_of(KIND, trees, "own fruit seen").includes == set()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"training": "vase"}, "5 trees here counted by hand, same stage"),
        ({"orchard": "South"}, "in 1 other orchard(s) counted by hand, same variety, training, stage"),
        ({"orchard": "South", "variety": "Fuji"}, "counted by hand, same training, stage"),
        ({"orchard": "South", "variety": "Fuji", "training": "vase"}, "counted by hand, same stage"),
    ],
)
def test_trees_most_alike_are_taken(other: dict[str, str], said: str) -> None:
    trees = by_hand([50, 100, 60, 80, 10], [70, 120, 90, 120, 20], **other)
    found = visibility_of(KIND, trees, "machine")
    assert said in found.choice
    own = by_hand([50, 100, 60, 80, 10], [60, 110, 70, 90, 11])
    assert visibility_of(KIND, [*trees, *own], "machine") == visibility_of(KIND, own, "machine")
    assert found.factor.relative_variance > visibility_of(KIND, own, "machine").factor.relative_variance


@pytest.mark.parametrize("trees", [[], by_hand([50] * 4, [70] * 4), by_hand([50] * 9, [70] * 9, stage="young_fruit")])
def test_without_trees_like_these_all_fruit_is_taken_as_seen_and_warned_of(trees: list[HandCount]) -> None:
    found = visibility_of(KIND, trees, "machine")
    assert found == unknown_visibility()
    assert found.factor == exact(1.0)
    assert found.warnings == (
        "fruit that no photo shows is not counted: count 5 or more trees by hand to learn how much",
    )


def test_a_share_hidden_that_grows_with_the_load_is_warned_of() -> None:
    random = np.random.default_rng(3)
    fruit = random.gamma(4, 30, 20) + 10
    seen = 4 * fruit**0.7 * random.normal(1, 0.02, 20)
    (said,) = visibility_of(KIND, by_hand(seen.tolist(), fruit.tolist()), "machine").warnings
    assert said.startswith("trees with much fruit hide a larger share of it (slope 1.4")
    even = 0.7 * fruit * random.normal(1, 0.02, 20)
    assert visibility_of(KIND, by_hand(even.tolist(), fruit.tolist()), "machine").warnings == ()


def test_demings_slope_does_not_flatten_as_that_of_least_squares() -> None:
    random = np.random.default_rng(4)
    x = random.normal(0, 1, 4000)
    noisy, y = x + random.normal(0, 0.5, 4000), 1.2 * x + random.normal(0, 0.5, 4000)
    found = deming_slope(noisy[:400], y[:400])
    assert abs(found.value - 1.2) < 3 * found.standard_error
    assert float(noisy @ y / (noisy @ noisy)) < 1.0


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("field", ["counted", "by_hand"])
def test_a_hand_count_that_is_none_is_named(field: str, count: float) -> None:
    (tree,) = by_hand([5], [7])
    with pytest.raises(CalibrationError, match=f"{field} of a tree is .*: count the tree again"):
        replace(tree, **{field: count})  # type: ignore[arg-type]  # the field is one of the numbers


def test_bare_trees_say_nothing() -> None:
    with pytest.raises(CalibrationError, match="visibility: there are not two trees with fruit"):
        visibility_of(KIND, by_hand([0] * 5, [1] * 5), "machine")
    other = [*by_hand([50] * 5, [70] * 5, orchard="A"), *by_hand([0], [1], orchard="B")]
    with pytest.raises(CalibrationError, match="no fruit was counted on the trees of orchard B; leave them out"):
        visibility_of(KIND, other, "machine")


def test_an_unknown_basis_is_refused() -> None:
    with pytest.raises(CalibrationError, match="basis 'x' is unknown; known are machine, reviewed, own fruit seen"):
        visibility_of(KIND, [], "x")  # type: ignore[arg-type]
