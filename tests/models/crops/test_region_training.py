"""LSTM-MTL learns each region's own rule, at any date, and never looks past it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.crops.importance import gradients, importance
from models.crops.pixel_networks import Scales
from models.crops.region_training import RegionSettings, fit_regions, region_logits
from models.crops.seasons import from_planting, so_far
from models.crops.series import CropError, PixelSeries
from models.crops.training import TrainingSettings
from tests.models.crops.drawn_series import drawn

NAN = np.float32(np.nan)
SHORT = RegionSettings(
    width=8,
    dropout=0.1,
    batch=24,
    training=TrainingSettings(epochs=12, learning_rate=2e-2, optimizer="adamw", weight_decay=1e-3, patience=0),
)


def _mean(pixels: PixelSeries) -> np.ndarray:
    return np.array(Scales.of(pixels).mean, np.float32)


def _regions_disagree(seed: int = 0) -> PixelSeries:
    """In the north a greening is the first class, in the south the second: no single head can say both."""
    pixels = drawn(240, classes=2, seed=seed)
    label = np.where(pixels.region == 0, pixels.label, 1 - pixels.label)
    return replace(pixels, label=label)


def _step_matters(step: int, number: int = 240, size: float = 3) -> PixelSeries:
    """Noise everywhere; the first band at one step is the class, the surer the larger its size."""
    pixels = drawn(number, classes=2)
    values = np.random.default_rng(3).standard_normal(pixels.values.shape).astype(np.float32)
    values[:, step, 0] += np.where(pixels.label == 1, size, -size)
    return replace(pixels, values=values)


def test_each_region_learns_its_own_rule_where_one_head_cannot() -> None:
    pixels, test = _regions_disagree(), _regions_disagree(seed=1)
    network = fit_regions(pixels, None, SHORT, seed=0)
    assert (region_logits(network, test, _mean(pixels)).argmax(1) == test.label).mean() > 0.95
    everywhere = replace(pixels, region=np.zeros(240, np.int64), regions=("all",))
    one_head = fit_regions(everywhere, None, SHORT, seed=0)
    found = region_logits(one_head, replace(test, region=np.zeros(240, np.int64)), _mean(pixels)).argmax(1)
    assert (found == test.label).mean() < 0.65


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    pixels = _regions_disagree()
    settings = replace(SHORT, truncated=True, jitter=0.1, training=replace(SHORT.training, epochs=4))
    whole = fit_regions(pixels, None, settings, seed=1)
    fit_regions(pixels, None, replace(settings, training=replace(settings.training, epochs=2)), 1, tmp_path)
    resumed = fit_regions(pixels, None, settings, 1, tmp_path)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_validation_decides_which_weights_stay() -> None:
    pixels = _regions_disagree()
    settings = replace(SHORT, training=replace(SHORT.training, epochs=10, patience=3))
    network = fit_regions(pixels, _regions_disagree(seed=1), settings, seed=0)
    assert (region_logits(network, pixels, _mean(pixels)).argmax(1) == pixels.label).mean() > 0.9


def test_a_region_without_pixels_is_refused_by_name() -> None:
    pixels = drawn()
    with pytest.raises(CropError, match="south has no pixels"):
        fit_regions(pixels.take(pixels.region == 0), None, SHORT, seed=0)


def test_a_map_of_a_date_never_uses_a_later_one() -> None:
    """Everything after the date is poisoned, gaps before it included, which a filling from both sides would use."""
    pixels = _regions_disagree()
    holes = pixels.values.copy()
    holes[::2, 2] = NAN
    pixels = replace(pixels, values=holes)
    network = fit_regions(pixels, None, replace(SHORT, truncated=True), seed=0)
    for known in range(1, 7):
        poisoned = pixels.values.copy()
        poisoned[:, known:] = 1e6
        clean, found = (
            region_logits(network, replace(pixels, values=values), _mean(pixels), known)
            for values in (pixels.values, poisoned)
        )
        assert np.array_equal(clean, found)
        lost = pixels.values.copy()
        lost[:, known:] = NAN
        assert np.array_equal(clean, region_logits(network, replace(pixels, values=lost), _mean(pixels), known))


def test_training_at_random_dates_makes_early_maps_better_than_training_at_the_end() -> None:
    """What is known after two steps says which class; at the end it is drowned, so only truncation teaches it."""
    pixels = _step_matters(1)
    at_any = fit_regions(pixels, None, replace(SHORT, truncated=True), seed=0)
    early = region_logits(at_any, pixels, _mean(pixels), 2).argmax(1)
    late = region_logits(at_any, pixels, _mean(pixels)).argmax(1)
    assert (early == pixels.label).mean() > 0.95
    assert (late == pixels.label).mean() > 0.95


def test_what_is_known_at_a_date_is_filled_from_before_it_only() -> None:
    values = np.array([[1, NAN, 3, NAN, 9], [NAN, NAN, NAN, 4, 5], [1, 2, 3, 4, 5]], np.float32)[..., None]
    known = so_far(values, np.array([4, 3, 2]), np.array([7], np.float32))
    assert known[..., 0].tolist() == [[1, 2, 3, 3, 0], [7, 7, 7, 0, 0], [1, 2, 0, 0, 0]]


def test_seasons_begin_at_each_regions_planting() -> None:
    pixels = drawn()
    season = from_planting(pixels, {"north": 0, "south": 2}, 4)
    assert np.array_equal(season.values[:120], pixels.values[:120, :4])
    assert np.array_equal(season.values[120:], pixels.values[120:, 2:])
    assert season.steps == ("00", "01", "02", "03")
    with pytest.raises(CropError, match="no first step is known for south"):
        from_planting(pixels, {"north": 0}, 4)
    with pytest.raises(CropError, match="does not fit into 6 steps"):
        from_planting(pixels, {"north": 0, "south": 3}, 4)


@pytest.mark.parametrize("step", [1, 4])
def test_where_one_step_matters_the_gradient_peaks_there_with_its_sign(step: int) -> None:
    # a network that is sure of everything is moved by nothing, so the class shows through noise only
    pixels = _step_matters(step, number=480, size=1)
    network = fit_regions(pixels, None, replace(SHORT, training=replace(SHORT.training, epochs=25)), seed=0)
    found = importance(network, pixels, _mean(pixels))
    assert found.shape == (2, 2, 6, 2)
    for region in range(2):
        for label, sign in ((0, -1), (1, 1)):
            of_class = found[region, label]
            assert np.unravel_index(np.abs(of_class).argmax(), of_class.shape) == (step, 0)
            assert np.sign(of_class[step, 0]) == sign


def test_gradients_are_those_of_the_probability_by_standardised_input() -> None:
    pixels = _step_matters(2, number=20)
    network = fit_regions(pixels, None, replace(SHORT, training=replace(SHORT.training, epochs=2)), seed=0)
    exact = gradients(network, pixels, _mean(pixels))
    std = np.array(Scales.of(pixels).std)
    moved = pixels.values.copy()
    moved[:, 2, 0] += np.float32(0.01) * std[0].astype(np.float32)

    def own(values: np.ndarray) -> np.ndarray:
        logits = torch.as_tensor(region_logits(network, replace(pixels, values=values), _mean(pixels)))
        return torch.softmax(logits, 1).numpy()[np.arange(20), pixels.label]

    assert exact[:, 2, 0] == pytest.approx((own(moved) - own(pixels.values)) / 0.01, abs=2e-3)
