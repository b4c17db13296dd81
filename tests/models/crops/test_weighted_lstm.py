"""The weighted LSTM: its network, its stages, what the reliable samples are worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.crops.pixel_networks import Scales, predict_logits
from models.crops.sampling import Counts
from models.crops.series import CropError, PixelSeries
from models.crops.stacked_lstm import StackedLSTM
from models.crops.training import TrainingSettings
from models.crops.weighted_lstm import (
    WeightedSettings,
    reliable_pixels,
    train_weighted_lstm,
    two_losses,
    weak_set,
    with_label_noise,
)
from tests.models.crops.drawn_series import drawn

QUICK = WeightedSettings(
    counts=Counts(most=200, least=400, minimum=20),
    training=TrainingSettings(epochs=12, learning_rate=1e-2, optimizer="adamw"),
    batch=40,
    units=(12, 8, 8),
)


def _scales(bands: int) -> Scales:
    return Scales((0.0,) * bands, (1.0,) * bands)


@pytest.mark.parametrize(("bands", "parameters"), [(9, 424_615), (10, 425_415)])
def test_the_network_has_the_papers_size(bands: int, parameters: int) -> None:
    network = StackedLSTM(_scales(bands), 15)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert [layer.hidden_size for layer in network.layers if isinstance(layer, nn.LSTM)] == [200, 125, 100]


def test_the_last_state_decides_and_every_step_is_read() -> None:
    network = StackedLSTM(_scales(2), 3, units=(8, 6, 4)).eval()
    series = torch.randn(5, 7, 2, requires_grad=True)
    network(series).sum().backward()
    assert series.grad is not None
    assert (series.grad.abs().sum((0, 2)) > 0).all()
    states = network.bands(series)
    for layer in network.layers:
        states, _ = layer(states)
    torch.testing.assert_close(network(series), network.head(states[:, -1]))


def test_reliable_are_the_confident_ones_that_agree() -> None:
    found = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.99, 0.01], [0.2, 0.8]], np.float32)
    label = np.array([0, 0, 0, 0, 1, 1])
    # the 25th percentile of 0.6, 0.7, 0.8, 0.9 is 0.675; of 0.8 alone 0.8
    assert reliable_pixels(label, found).tolist() == [True, True, True, False, False, True]
    # over all that are given class 0 it is 0.7, of 0.6, 0.7, 0.8, 0.9, 0.99
    assert reliable_pixels(label, found, confidences="predicted").tolist() == [True, True, True, False, False, True]
    assert reliable_pixels(label, found, quantile=0.5, confidences="predicted").tolist() == [
        True, True, False, False, False, True,
    ]  # fmt: skip


def test_about_three_quarters_of_each_class_are_kept() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 4, 8000)
    logits = 3 * np.eye(4)[label] + random.standard_normal((8000, 4))
    found = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    reliable = reliable_pixels(label, found)
    agreeing = found.argmax(1) == label
    assert not reliable[~agreeing].any()
    for index in range(4):
        assert reliable[agreeing & (label == index)].mean() == pytest.approx(0.75, abs=0.002)


def test_planted_noise_is_whole_and_of_the_share() -> None:
    pixels = drawn(3000)
    noisy = with_label_noise(pixels, 0.2, seed=0)
    assert (noisy.label != pixels.label).mean() == pytest.approx(0.2, abs=0.02)
    wrong = noisy.label[noisy.label != pixels.label]
    assert set(wrong) == {0, 1, 2}


@pytest.mark.parametrize("judges", [1, 2])
def test_the_reliable_set_is_less_noisy_than_the_weak_set(judges: int) -> None:
    clean = drawn(400, noise=0.3)
    noisy = with_label_noise(clean, 0.2, seed=1)
    settings = replace(QUICK, judges=judges)
    made = train_weighted_lstm(noisy, None, settings, seed=0)
    in_weak = (noisy.label != clean.label)[made.weak].mean()
    in_chosen = (noisy.label != clean.label)[made.chosen].mean()
    assert in_weak == pytest.approx(0.2, abs=0.06)
    assert in_chosen < in_weak / 3
    assert set(made.chosen) <= set(np.flatnonzero(made.reliable))


def test_the_weak_set_follows_the_counts(pixels: PixelSeries) -> None:
    rare = pixels.take((pixels.label != 2) | (np.arange(240) % 10 == 0))
    drawn_counts = np.bincount(rare.label[weak_set(rare, Counts(100, 200, 20), seed=0)])
    share = rare.counts() / len(rare)
    assert drawn_counts.tolist() == [round(100 * share[0] + 20), round(100 * share[1] + 20), rare.counts()[2]]


def test_final_stage_ends_with_the_plain_loss_and_the_first_does_not(pixels: PixelSeries, tmp_path: Path) -> None:
    told: list[str] = []
    train_weighted_lstm(pixels, None, replace(QUICK, judges=2), seed=0, folder=tmp_path, told=told.append)
    assert told == ["first", "judge-0", "judge-1", "final"]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*.pt")) == [
        "final/plain.pt",
        "final/weighted.pt",
        "first/weighted.pt",
        "judge-0/weighted.pt",
        "judge-1/weighted.pt",
    ]


def test_the_plain_loss_goes_on_from_the_weighted_ones_weights(pixels: PixelSeries, tmp_path: Path) -> None:
    still = replace(QUICK, training=replace(QUICK.training, learning_rate=1e-12))
    weighted = two_losses(_build, pixels, None, QUICK, 0, tmp_path, plain=False)
    both = two_losses(_build, pixels, None, still, 0, tmp_path)
    for one, other in zip(weighted.parameters(), both.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_final_network_may_go_on_from_the_first_ones_weights(pixels: PixelSeries, tmp_path: Path) -> None:
    still = TrainingSettings(epochs=1, learning_rate=1e-12)
    settings = replace(QUICK, continued=True, plain=still)
    made = train_weighted_lstm(pixels, None, settings, seed=0, folder=tmp_path)
    assert len(made.chosen) < len(made.weak)
    assert np.allclose(predict_logits(made.first, pixels.values), predict_logits(made.final, pixels.values), atol=1e-5)
    assert [path.name for path in sorted((tmp_path / "final").glob("*.pt"))] == ["plain.pt"]


def _build(scales: Scales, _steps: int, classes: int) -> nn.Module:
    return StackedLSTM(scales, classes, units=(12, 8, 8))


def test_finished_stages_are_not_done_again(pixels: PixelSeries, tmp_path: Path) -> None:
    once = train_weighted_lstm(pixels, None, QUICK, seed=0, folder=tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")}
    again = train_weighted_lstm(pixels, None, QUICK, seed=0, folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")} == times
    assert np.array_equal(predict_logits(once.final, pixels.values), predict_logits(again.final, pixels.values))


def test_a_class_without_a_reliable_pixel_is_named(pixels: PixelSeries) -> None:
    untrained = replace(QUICK, training=TrainingSettings(epochs=1, learning_rate=1e-12))
    with pytest.raises(CropError, match="no pixel of crop"):
        train_weighted_lstm(pixels, None, untrained, seed=0)
