"""Weight of a single fruit: a figure somebody gave, or a sample of fruit on a scale.

All trees share it, so an error in it does not shrink with the number of trees photographed.
"""

from __future__ import annotations

from collections.abc import Sequence

from calibration.errors import CalibrationError, Numbers, require_not_negative, require_numbers, require_positive
from calibration.estimate import Estimate
from calibration.ratios import ratio_of_totals
from calibration.sampling import SimpleRandom, mean_per_tree
from calibration.shared_factors import SharedFactor

FRUIT_WEIGHT = "fruit weight"
# Relative standard deviations of a weight that nobody weighed; assumptions of ours. The mean weight of a block moves by
# about a tenth from season to season with its crop load; varieties lie further apart.
FROM_EXPERIENCE = 0.10
ASSUMED = 0.20
# how a weight ends that came from a scale
WEIGHED = "weighed"
# what a ripe dessert apple weighs, where nobody knows better
ASSUMED_WEIGHT_G = 200.0


def given_weight(weight_g: float, relative_sd: float = FROM_EXPERIENCE) -> SharedFactor:
    """A weight somebody gave.

    Args:
        weight_g: single fruit weight.
        relative_sd: how far this season's mean weight may lie from it, as a share of it (one standard deviation).

    Returns:
        Single fruit weight in g.

    Raises:
        CalibrationError: a weight that is not above zero, or a negative spread.
    """
    require_positive(weight_g, "single fruit weight in g", "weigh a few fruit, or set it for the block")
    require_not_negative(relative_sd, "relative standard deviation of the fruit weight", "give a share, such as 0.1")
    return SharedFactor(
        FRUIT_WEIGHT,
        Estimate(weight_g, (weight_g * relative_sd) ** 2),
        f"{weight_g:g} g as given, ±{relative_sd * 100:.0f} %",
    )


def assumed_weight() -> SharedFactor:
    """The weight in g where nobody gave one; with a warning."""
    weight_g = ASSUMED_WEIGHT_G
    return SharedFactor(
        FRUIT_WEIGHT,
        Estimate(weight_g, (weight_g * ASSUMED) ** 2),
        f"{weight_g:g} g assumed, ±{ASSUMED * 100:.0f} %",
        warnings=(f"no fruit weight is known: {weight_g:g} g was assumed; weigh a few fruit",),
    )


def weighed_sample(weights_g: Numbers, trees: Sequence[str] | None = None) -> SharedFactor:
    """Mean weight from fruit on a scale.

    Args:
        weights_g: weight of each fruit, fruit taken as they hang and not the fine ones.
        trees: the tree each was picked from; fruit of one tree are alike, so that ten trees say more than one.

    Returns:
        Single fruit weight in g.

    Raises:
        CalibrationError: fewer than two fruit or trees, or a weight that is not above zero.
    """
    numbers = require_numbers(weights_g, "fruit weight in g", "weigh at least two fruit", least=2, above_zero=True)
    if trees is None:
        weight, where = mean_per_tree(numbers, SimpleRandom()), ""
    else:
        # the weight of a tree's fruit over their number: trees are the units that were drawn
        weights, fruit = _by_tree(numbers.tolist(), trees)
        weight = ratio_of_totals(weights, fruit, "fruit weight in g", "weigh fruit of at least two trees")
        where = f" of {len(set(trees))} trees"
    return SharedFactor(FRUIT_WEIGHT, weight, f"{weight.value:.0f} g, {len(numbers)} fruit{where} {WEIGHED}")


def _by_tree(weights_g: Sequence[float], trees: Sequence[str]) -> tuple[list[float], list[int]]:
    if len(trees) != len(weights_g):
        raise CalibrationError(
            f"{len(weights_g)} fruit weights and {len(trees)} trees were given; name the tree of each"
        )
    weighed: dict[str, list[float]] = {}
    for weight, tree in zip(weights_g, trees, strict=True):
        weighed.setdefault(tree, []).append(weight)
    return [sum(of_tree) for of_tree in weighed.values()], [len(of_tree) for of_tree in weighed.values()]
