"""Areas from a map and a reference sample."""

from __future__ import annotations

import numpy as np
import pytest

from models.maps.errors import MapError
from models.orchards.area import stratified_area

# Olofsson et al. (2014), Table 8: deforestation, forest gain, stable forest, stable non-forest; pixels of 30 m
_COUNTS = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
_PIXELS = [200_000, 150_000, 3_200_000, 6_450_000]
_HA_A_PIXEL = 0.09


def test_the_worked_example_of_olofsson_et_al() -> None:
    """The areas, proportions and accuracies the paper prints, to their printed digits."""
    estimate = stratified_area(_COUNTS, np.array(_PIXELS) * _HA_A_PIXEL)
    assert estimate.area.value.round().tolist() == [21_158, 11_686, 285_770, 581_386]
    np.testing.assert_allclose(estimate.area.half_width, [6_158, 3_756, 15_510, 16_282], atol=1)
    assert (estimate.area.value / 900_000).round(4).tolist() == [0.0235, 0.0130, 0.3175, 0.6460]
    assert estimate.users.value.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert estimate.users.half_width.round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert estimate.producers.value.round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    assert estimate.overall.value.round(2).tolist() == [0.95]
    assert estimate.overall.half_width.round(2).tolist() == [0.02]
    printed = [
        [0.0176, 0, 0.0013, 0.0011],
        [0, 0.0110, 0.0016, 0.0024],
        [0.0019, 0, 0.2967, 0.0213],
        [0.0040, 0.0020, 0.0179, 0.6212],
    ]
    np.testing.assert_allclose(estimate.proportions, printed, atol=5.1e-5)


def test_producers_accuracies_vary_as_much_as_is_said() -> None:
    """Their standard errors against ten thousand samples drawn from the example's own proportions."""
    estimate = stratified_area(_COUNTS, _PIXELS)
    counts = np.array(_COUNTS)
    rng = np.random.default_rng(7)
    rows = [rng.multinomial(row.sum(), row / row.sum(), size=10_000) / row.sum() for row in counts]
    proportions = np.stack(rows, 1) * (np.array(_PIXELS) / sum(_PIXELS))[:, None]
    producers = np.einsum("nii->ni", proportions) / proportions.sum(1)
    np.testing.assert_allclose(estimate.producers.standard_error, producers.std(0), rtol=0.12)


def test_a_map_without_a_mistake_is_its_own_estimate() -> None:
    estimate = stratified_area([[30, 0], [0, 30]], [900.0, 100.0])
    assert estimate.area.value.tolist() == [900, 100]
    assert estimate.area.half_width.tolist() == [0, 0]


def test_intervals_hold_the_true_area_as_often_as_they_say() -> None:
    """Maps of a known world, sampled a thousand times."""
    rng = np.random.default_rng(5)
    mapped, missed, invented = np.array([9000.0, 1000.0]), 0.04, 0.2
    true_area = 9000 * missed + 1000 * (1 - invented)
    held = 0
    for _ in range(1000):
        omitted, committed = rng.binomial(300, missed), rng.binomial(100, invented)
        area = stratified_area([[300 - omitted, omitted], [committed, 100 - committed]], mapped).area
        held += abs(area.value[1] - true_area) <= area.half_width[1]
    assert 0.92 <= held / 1000 <= 0.97


def test_a_class_that_is_not_on_the_map_needs_no_points() -> None:
    estimate = stratified_area([[50, 0, 0], [5, 45, 0], [0, 0, 0]], [500.0, 500.0, 0.0])
    assert estimate.area.value.tolist() == [550, 450, 0]
    assert np.isnan(estimate.users.value[2])


@pytest.mark.parametrize(
    ("counts", "areas", "said"),
    [
        ([[5, 1], [0, 1]], [10.0, 10.0], "class 1 of the map has 1 reference points; draw two at least"),
        ([[5, 1, 2], [0, 1, 2]], [10.0, 10.0], "does not fit"),
        ([[5, 1], [2, 3]], [10.0, -1.0], "must not be below 0"),
    ],
)
def test_what_cannot_be_estimated_is_refused(counts: list[list[int]], areas: list[float], said: str) -> None:
    with pytest.raises(MapError, match=said):
        stratified_area(counts, areas)
