"""Blocks made an orchard: own errors average out, shared ones do not."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from calibration.corrections import choose_correction
from calibration.errors import CalibrationError
from calibration.estimate import Estimate
from calibration.observed import TREES, Component
from calibration.orchard_yield import OtherBlock, VisitedBlock, orchard_yield

TREES_10 = Component(TREES, 0.1**2, 29, "sample: simple random")
DETECTOR_8 = Component("detector", 0.08**2, 4, "count bias from the bundle")


def visited(
    kg_per_ha: float, *components: Component, area_m2: float = 10_000, predicted: float = 20_000
) -> VisitedBlock:
    return VisitedBlock(area_m2, predicted, kg_per_ha, components)


def test_one_block_is_the_orchard() -> None:
    found = orchard_yield([visited(30_000, TREES_10, DETECTOR_8)])
    assert found.value == pytest.approx(30_000)
    assert found.relative_variance == pytest.approx(0.1**2 + 0.08**2)


def test_blocks_count_by_their_area() -> None:
    assert orchard_yield([visited(30_000), visited(10_000, area_m2=30_000)]).value == pytest.approx(15_000)


def test_what_trees_differ_averages_out_and_what_blocks_share_does_not() -> None:
    found = orchard_yield([visited(30_000, TREES_10, DETECTOR_8) for _ in range(4)])
    assert found.relative_variance == pytest.approx(0.1**2 / 4 + 0.08**2)


def test_weights_of_two_weighed_samples_are_errors_of_their_own() -> None:
    first, second = (Component("fruit weight", 0.06**2, 9, f"{weight} g weighed") for weight in (200, 210))
    apart = orchard_yield([visited(30_000, first), visited(30_000, second)])
    together = orchard_yield([visited(30_000, first), visited(30_000, first)])
    assert apart.relative_variance == pytest.approx(0.06**2 / 2)
    assert together.relative_variance == pytest.approx(0.06**2)


def test_a_block_nobody_visited_takes_the_factor_of_the_others() -> None:
    found = orchard_yield([visited(30_000)], [OtherBlock(10_000, 10_000)], Estimate(0, 0, inf))
    assert found.value == pytest.approx((30_000 + 15_000) / 2)
    assert found.variance == 0


def test_the_error_of_unvisited_blocks_is_that_of_draws() -> None:
    random, between = np.random.default_rng(0), 0.1
    sizes, unseen = np.array([1.0, 2.0]), np.array([1.5, 0.5, 1.0])
    alphas = 1 + random.normal(0, between, (200_000, 5))
    truth = (alphas[:, :2] * sizes).sum(axis=1) + (alphas[:, 2:] * unseen).sum(axis=1)
    estimated = (alphas[:, :2] * sizes).sum(axis=1) * (1 + unseen.sum() / sizes.sum())
    seen = (estimated - truth).std() / (sizes.sum() + unseen.sum())
    found = orchard_yield(
        [visited(20_000, area_m2=size) for size in sizes.tolist()],
        [OtherBlock(size, 20_000) for size in unseen.tolist()],
        Estimate(0, between**2, 6),
    )
    assert found.standard_error / 20_000 == pytest.approx(seen, rel=0.01)


@pytest.mark.parametrize(
    ("blocks", "others", "said"),
    [
        ([], [], "visited is empty; the yield of an orchard needs one block whose trees were counted"),
        ([visited(1, area_m2=0)], [], "area of a block in m² is 0; .*: measure the block on a map"),
        ([visited(1)], [OtherBlock(5, float("nan"))], "predicted yield of a block is nan; .*: check the predictions"),
    ],
)
def test_blocks_without_ground_or_prediction_are_named(
    blocks: list[VisitedBlock], others: list[OtherBlock], said: str
) -> None:
    with pytest.raises(CalibrationError, match=said):
        orchard_yield(blocks, others)


def test_blocks_nobody_visited_take_the_form_that_was_chosen_with_its_own_error() -> None:
    predicted = np.array([5, 10, 15, 20, 25, 30, 35, 40]) * 1000.0
    observed = predicted + 8000 + np.array([100, -100] * 4)
    choice = choose_correction(observed, predicted)
    assert choice.correction.form == "additive"
    assert choice.block_error is not None
    blocks = [visited(seen, DETECTOR_8, predicted=said) for seen, said in zip(observed, predicted, strict=True)]
    found = orchard_yield(blocks, [OtherBlock(80_000, 10_000)], choice=choice)
    assert found.value == pytest.approx((observed.mean() + 18_000) / 2, rel=1e-6)
    left_out = choice.block_error.variance / 4  # on half of the ground
    assert found.variance == pytest.approx(0.08**2 * found.value**2 + left_out)
    with pytest.raises(CalibrationError, match="predicted yield of a block is 0"):
        orchard_yield(blocks, [OtherBlock(10_000, 0)], choice=choice)


def test_the_ratio_that_was_chosen_is_the_ratio() -> None:
    blocks, others = [visited(30_000, TREES_10), visited(20_000, TREES_10)], [OtherBlock(10_000, 10_000)]
    choice = choose_correction([30_000, 20_000], [20_000, 20_000])
    assert orchard_yield(blocks, others, choice=choice) == orchard_yield(blocks, others)
