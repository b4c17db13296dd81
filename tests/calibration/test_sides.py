"""Both sides of a tree made one count, and neighbours' fruit taken off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.estimate import Estimate, exact
from calibration.sides import (
    both_sides,
    larger_side,
    one_side,
    own_share,
    share_seen_twice,
    side_factor,
    target_tree_only,
    unknown_seen_twice,
    unknown_side_factor,
    whole_photo,
)


def test_the_larger_side_stands_for_the_tree() -> None:
    joined = larger_side([50, 20, 0], [30, 40, 0])
    assert joined.counts.tolist() == [50, 40, 0]
    assert (joined.sides.factor, joined.sides.choice) == (exact(1.0), "the larger side")


def test_the_sum_loses_what_was_seen_twice() -> None:
    joined = both_sides([50, 20], [30, 40], Estimate(0.1, 0.0004, 7))
    assert joined.counts.tolist() == [80, 60]
    assert joined.sides.factor == Estimate(0.9, 0.0004, 7)
    assert joined.sides.choice == "sum of both sides, 10.0 % taken off as seen twice"


def test_one_side_is_multiplied() -> None:
    joined = one_side([50, 20], Estimate(1.6, 0.01, 7))
    assert joined.counts.tolist() == [50, 20]
    assert joined.sides.factor.value == 1.6
    assert joined.sides.choice == "one side, times 1.60 for both"


def test_all_three_ways_lead_to_the_same_fruit_where_their_shares_are_known() -> None:
    random = np.random.default_rng(0)
    seen = random.poisson(150, 400)
    on_both = random.binomial(seen, 0.2)
    first = on_both + random.binomial(seen - on_both, 0.5)
    second = seen - first + on_both
    summed = both_sides(first, second, share_seen_twice(first, second, on_both))
    single = one_side(first, side_factor(first, seen))
    for joined in (summed, single):
        assert joined.counts.sum() * joined.sides.factor.value == pytest.approx(seen.sum())
    assert larger_side(first, second).counts.sum() < seen.sum()


def test_before_anybody_has_looked_both_ways_assume_the_same_of_sides_alike() -> None:
    summed, single = unknown_seen_twice(), unknown_side_factor()
    assert 100 * single.factor.value == pytest.approx((100 + 100) * summed.factor.value)
    assert single.factor.relative_variance == pytest.approx(summed.factor.relative_variance)
    assert summed.factor.degrees_of_freedom == single.factor.degrees_of_freedom == 4
    low, high = (1 - end for end in summed.factor.interval(0.95))
    assert high < 0 < low < 0.5  # from dense leaves to far towards a wall of fruit
    for factor in (summed, single):
        assert factor.choice.endswith(", assumed")
        (said,) = factor.warnings
        assert "photograph 5 or more trees from both sides and count the fruit on each that can be seen" in said


@given(
    sides=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=20),
    share=st.floats(0, 0.49),
    factor=st.floats(0.1, 3),
)
def test_laws_of_joining(sides: list[tuple[int, int]], share: float, factor: float) -> None:
    first, second = (np.array(side, dtype=np.float64) for side in zip(*sides, strict=True))
    larger, summed = larger_side(first, second), both_sides(first, second, exact(share))
    assert (larger.counts <= summed.counts).all()
    assert (summed.counts <= 2 * larger.counts).all()
    for join in (larger_side, lambda a, b: both_sides(a, b, exact(share))):
        assert join(first, second).counts.tolist() == join(second, first).counts.tolist()
        assert (join(first + 1, second).counts >= join(first, second).counts).all()
        assert join(3 * first, 3 * second).counts == pytest.approx(3 * join(first, second).counts)
    assert one_side(first, exact(factor)).sides.factor.value == factor
    assert summed.sides.factor.value == pytest.approx(1 - share)


def test_neighbours_fruit_is_taken_off_as_a_share() -> None:
    share = own_share([90, 45], [100, 50])
    assert share.factor.value == pytest.approx(0.9)
    assert share.choice == "10.0 % neighbours' fruit, told on 2 trees"


def test_a_photo_taken_whole_is_warned_of_and_a_target_tree_is_not() -> None:
    assert "fruit of neighbouring trees in a photo counts too" in whole_photo().warnings[0]
    assert target_tree_only().warnings == ()
    assert whole_photo().factor == target_tree_only().factor == exact(1.0)


@pytest.mark.parametrize("bad", [-1, float("nan")])
def test_a_count_that_is_none_names_its_side(bad: float) -> None:
    with pytest.raises(CalibrationError, match=r"count of the first side number 2 is .*: count the side again"):
        larger_side([5, bad], [5, 5])
    with pytest.raises(CalibrationError, match="count of the second side number 1 is"):
        both_sides([5, 5], [bad, 5], exact(0.1))
    with pytest.raises(CalibrationError, match="count of a side number 1 is"):
        one_side([bad], exact(1.5))


def test_trees_with_one_side_only_are_refused_where_both_are_joined() -> None:
    said = "the second side has 1 counts and the first 2; photograph both sides of each tree, or count one side with"
    with pytest.raises(CalibrationError, match=said):
        larger_side([5, 6], [5])


@pytest.mark.parametrize("share", [-0.1, 0.5, 0.9])
def test_at_most_half_of_a_sum_is_there_twice(share: float) -> None:
    with pytest.raises(CalibrationError, match="it must be at least 0 and below a half"):
        both_sides([5, 6], [5, 6], exact(share))


@pytest.mark.parametrize("factor", [0, -1])
def test_a_side_factor_is_above_zero(factor: float) -> None:
    with pytest.raises(CalibrationError, match=r"factor of one side is .*: learn it from trees photographed on both"):
        one_side([5, 6], exact(factor))


def test_no_tree_has_more_own_fruit_than_were_counted() -> None:
    with pytest.raises(CalibrationError, match="own: more fruit of the target tree than were counted"):
        own_share([101, 45], [100, 50])
    with pytest.raises(CalibrationError, match="share of the target tree's own fruit: 1 given, at least 2 needed"):
        own_share([90], [100])
