"""The training loop: it learns, stops, resumes, and the losses are those of the paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.crops.pixel_networks import FitSettings, Scales, fit, predict_logits
from models.crops.series import CropError, PixelSeries
from models.crops.stacked_lstm import StackedLSTM
from models.crops.training import LAST, DivergedError, Task, TrainingSettings, class_loss, class_weights, train
from tests.models.crops.drawn_series import drawn

SHORT = TrainingSettings(epochs=8, learning_rate=5e-3)


def _network(pixels: PixelSeries, seed: int = 0) -> StackedLSTM:
    torch.manual_seed(seed)
    return StackedLSTM(Scales.of(pixels), pixels.classes, units=(12, 8, 8), dropout=0.1)


def _accuracy(network: nn.Module, pixels: PixelSeries) -> float:
    return float((predict_logits(network, pixels.values).argmax(1) == pixels.label).mean())


def test_the_largest_class_weighs_one_and_a_rare_one_more() -> None:
    assert class_weights(np.repeat([0, 1, 2], [40, 10, 5]), 4).tolist() == [1, 4, 8, 0]


def test_the_weighted_loss_is_the_papers_sum_over_classes() -> None:
    logits, label = torch.randn(55, 3), torch.as_tensor(np.repeat([0, 1, 2], [40, 10, 5]))
    of_class = class_weights(label.numpy(), 3)
    sums = [functional.cross_entropy(logits[label == u], label[label == u], reduction="sum") for u in range(3)]
    expected = (sums[0] + 4 * sums[1] + 8 * sums[2]) / 55
    assert class_loss(logits, label, None, of_class).item() == pytest.approx(expected.item(), rel=1e-5)


def test_with_equal_classes_the_weighted_loss_is_the_plain_one() -> None:
    logits, label = torch.randn(60, 3), torch.arange(60) % 3
    weighted = class_loss(logits, label, None, class_weights(label.numpy(), 3))
    assert weighted.item() == pytest.approx(functional.cross_entropy(logits, label).item())


def test_a_pixel_without_weight_is_not_learned_from() -> None:
    logits, label = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    expected = functional.cross_entropy(logits[:3], label[:3], reduction="sum") / 4
    assert class_loss(logits, label, weight).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("optimizer", ["rmsprop", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "once"])
def test_a_network_learns(pixels: PixelSeries, optimizer: str, schedule: str) -> None:
    network = _network(pixels)
    settings = TrainingSettings(epochs=20, learning_rate=1e-2, optimizer=optimizer, schedule=schedule)  # type: ignore[arg-type]
    fit(network, pixels, None, FitSettings(settings, batch=40), seed=0)
    assert _accuracy(network, drawn(seed=9)) > 0.95
    assert not network.training


def test_the_seed_decides_everything_and_the_processs_chance_is_left_alone(pixels: PixelSeries) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    found = []
    for seed in (1, 1, 2):
        network = _network(pixels)
        torch.manual_seed(3)
        fit(network, pixels, None, FitSettings(replace(SHORT, epochs=2), jitter=0.1, level=0.1, dropped=0.1), seed)
        assert torch.equal(torch.rand(1), expected)
        found.append(predict_logits(network, pixels.values))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_the_weights_that_validated_best_are_kept(pixels: PixelSeries) -> None:
    upside_down = pixels.with_label((pixels.label + 1) % 3)
    network = _network(pixels)
    seen = fit(network, pixels, upside_down, FitSettings(replace(SHORT, epochs=30, patience=3), batch=40), seed=0)
    assert len(seen) < 30  # nothing learned helps there, so it stops
    logits = torch.as_tensor(predict_logits(network, upside_down.values))
    assert class_loss(logits, torch.as_tensor(upside_down.label)).item() == pytest.approx(min(seen), rel=1e-4)


def test_averaged_weights_are_what_is_judged_and_kept(pixels: PixelSeries) -> None:
    network = _network(pixels)
    seen = fit(network, pixels, pixels, FitSettings(replace(SHORT, averaged=0.9), batch=40), seed=0)
    logits = torch.as_tensor(predict_logits(network, pixels.values))
    assert class_loss(logits, torch.as_tensor(pixels.label)).item() == pytest.approx(min(seen), rel=1e-4)


@pytest.mark.parametrize("averaged", [0.0, 0.9])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(pixels: PixelSeries, tmp_path: Path, averaged: float) -> None:
    settings = FitSettings(replace(SHORT, epochs=5, averaged=averaged, schedule="once"), batch=40, jitter=0.1)
    whole = _network(pixels)
    expected = fit(whole, pixels, pixels, settings, seed=0)
    stopped = _network(pixels)
    _stops(stopped, after=20)  # of 6 an epoch
    with pytest.raises(_StoppedError):
        fit(stopped, pixels, pixels, settings, seed=0, folder=tmp_path)
    assert (tmp_path / LAST).is_file()
    again = _network(pixels, seed=7)
    seen = fit(again, pixels, pixels, settings, seed=0, folder=tmp_path)
    assert seen == pytest.approx(expected)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)


class _StoppedError(Exception):
    pass


def _stops(module: nn.Module, after: int) -> None:
    """Let the network's so-manieth training step raise."""
    steps = iter(range(after))

    def count(network: nn.Module, _: object) -> None:
        if network.training and next(steps, None) is None:
            raise _StoppedError

    module.register_forward_pre_hook(count)


def test_a_loss_that_is_no_number_is_an_error(pixels: PixelSeries) -> None:
    pixels.weight[:] = np.inf
    with pytest.raises(DivergedError, match="lower learning rate"):
        fit(_network(pixels), pixels, None, FitSettings(SHORT), seed=0)


def test_series_with_gaps_are_refused(pixels: PixelSeries) -> None:
    pixels.values[3, 2] = np.nan
    with pytest.raises(CropError, match="fill their gaps"):
        fit(_network(pixels), pixels, None, FitSettings(SHORT), seed=0)


def test_any_batches_and_any_loss_can_be_trained() -> None:
    """As networks with several heads or lengths of series do."""
    network = nn.Linear(2, 1)
    lengths: list[int] = []

    def batches(epoch: int) -> Iterator[list[Tensor]]:
        for length in (1, 2):
            lengths.append(length)
            yield [torch.ones(4, 2) * length, torch.ones(3, 2) * epoch]

    def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
        total: Tensor = sum((module(part) ** 2).mean() for part in batch)
        return total

    train(network, Task(batches, 2, loss), TrainingSettings(epochs=3, learning_rate=0.05), seed=0)
    assert lengths == [1, 2] * 3
    assert float(loss(network, [torch.ones(1, 2)]).detach()) < 1
