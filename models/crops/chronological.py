"""Chronological batch training of the recurrent U-Net: batches of the first date, of the first two, and so on.

The paper: update parameters gradually, with an additional time step after every new batch type, which is more likely
to preserve the knowledge gained from the values of each new time step. Ours: each cycle walks k = 1 … T in order, with
one batch or more of each k, the loss taken after date k; so the network also maps early in a season.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.crops.patches import UNLABELLED, PatchSeries
from models.crops.recurrent_unet import RecurrentUNet
from models.crops.series import CropError, FloatArray, IntArray
from models.crops.training import Task, TrainingSettings, train
from models.maps.accuracy import confusion, scores
from models.maps.resampling import Matrix


def _training() -> TrainingSettings:
    return TrainingSettings(
        epochs=20, learning_rate=3e-3, optimizer="adamw", weight_decay=1e-4, schedule="once", patience=0
    )


@dataclass(frozen=True)
class CycleSettings:
    """How a recurrent U-Net is trained.

    Attributes:
        training: the loop; an epoch is one cycle through the dates.
        batch: patches a step.
        of_each: batches of each number of dates in a cycle.
        turned: whether patches are flipped and turned at random.
    """

    training: TrainingSettings = field(default_factory=_training)
    batch: int = 8
    of_each: int = 1
    turned: bool = True


def schedule(
    patches: int, steps: int, settings: CycleSettings, seed: int, cycle: int
) -> Iterator[tuple[IntArray, int]]:
    """The batches of one cycle: which patches, and how many dates of them.

    Every patch comes once before any comes again.
    """
    random = np.random.default_rng((seed, cycle))
    size = min(settings.batch, patches)
    needed = steps * settings.of_each * size
    order = np.concatenate([random.permutation(patches) for _ in range(-(-needed // patches))])
    for number in range(steps * settings.of_each):
        yield order[number * size : (number + 1) * size], number // settings.of_each + 1


def fit_patches(
    network: RecurrentUNet,
    patches: PatchSeries,
    validation: PatchSeries | None,
    settings: CycleSettings,
    seed: int,
    folder: Path | None = None,
) -> list[float]:
    """Train a network in place, chronologically.

    Args:
        network: to fit; it goes on from the weights it has, and what is frozen stays.
        patches: to fit to.
        validation: patches that decide when to stop; None trains all cycles.
        settings: how.
        seed: of everything random.
        folder: where to keep what it takes to go on.

    Returns:
        The validation of each cycle.

    Raises:
        CropError: patches without a label.
        DivergedError: the loss is no longer finite.
    """
    if not (patches.mask != UNLABELLED).any():
        raise CropError("no patch to train on has a label; give some whose crop is known")
    steps = len(patches.steps)

    def batches(cycle: int) -> Iterator[tuple[Tensor, Tensor]]:
        random = np.random.default_rng((seed, cycle, 1))
        for chosen, known in schedule(len(patches), steps, settings, seed, cycle):
            values, mask = patches.values[chosen, :known], patches.mask[chosen]
            if settings.turned:
                values, mask = _turned(values, mask, random)
            yield torch.as_tensor(np.ascontiguousarray(values)), torch.as_tensor(np.ascontiguousarray(mask))

    def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        assert isinstance(module, RecurrentUNet)
        module.carry.clip()
        return mask_loss(module(batch[0]), batch[1])

    def validate(module: nn.Module) -> float:
        assert isinstance(module, RecurrentUNet)
        assert validation is not None
        found = torch.as_tensor(predict(module, validation))
        return float(mask_loss(torch.logit(found, 1e-6)[:, None], torch.as_tensor(validation.mask)))

    task = Task(batches, steps * settings.of_each, loss, None if validation is None else validate)
    seen = train(network, task, settings.training, seed, folder)
    network.carry.clip()
    return seen


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of logits (B, 1, H, W) over the pixels of the mask (B, H, W) that are labelled; 0 if none is."""
    there = mask != UNLABELLED
    entropy = functional.binary_cross_entropy_with_logits(logits[:, 0], mask.clamp(min=0).to(logits), reduction="none")
    return (entropy * there).sum() / there.sum().clamp(min=1)


def predict(network: RecurrentUNet, patches: PatchSeries, known: int | None = None, batch: int = 16) -> FloatArray:
    """(n, side, side) probability of the crop after the dates that are known; all where None."""
    network.eval()
    with torch.no_grad():
        parts = [
            torch.sigmoid(network(torch.as_tensor(patches.values[begin : begin + batch, :known])))[:, 0].numpy()
            for begin in range(0, len(patches), batch)
        ]
    found: FloatArray = np.concatenate(parts)
    return found


def by_place(patches: PatchSeries, mapped: NDArray[np.bool_]) -> Matrix:
    """(places, 2, 2) error matrices of the labelled pixels, map in rows; the crop is class 1."""
    _, place = np.unique(patches.place, return_inverse=True)
    matrices = np.zeros((int(place.max()) + 1, 2, 2), np.int64)
    for index, mask, image in zip(place, patches.mask, mapped, strict=True):
        there = mask != UNLABELLED
        matrices[index] += confusion(mask[there], image[there].astype(np.int64), 2)
    return matrices


def iou(patches: PatchSeries, mapped: NDArray[np.bool_]) -> float:
    """Intersection over union of the crop over all labelled pixels; NaN where it is neither there nor mapped."""
    return float(scores(by_place(patches, mapped).sum(0))["iou"][1])


def _turned(
    values: FloatArray, mask: NDArray[np.int8], random: np.random.Generator
) -> tuple[FloatArray, NDArray[np.int8]]:
    quarter, flip = int(random.integers(4)), bool(random.integers(2))
    values, mask = np.rot90(values, quarter, (-2, -1)), np.rot90(mask, quarter, (-2, -1))
    return (values[..., ::-1], mask[..., ::-1]) if flip else (values, mask)
