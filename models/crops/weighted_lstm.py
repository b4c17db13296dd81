"""The weighted LSTM: a weak training set by class shares, reliable samples where map and network agree, final training.

Weikmann, Paris, Bruzzone: A recurrent deep learning model for large scale crop type mapping using time series of
Sentinel-2 images. What the paper leaves open is decided here and said where it is decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.crops.committee import Committee, towards
from models.crops.kernel import fit_kernel
from models.crops.pixel_networks import Build, FitSettings, Scales, fit, predict_logits, probabilities
from models.crops.sampling import Counts, counts_by_class, stratified
from models.crops.series import CropError, FloatArray, IntArray, PixelSeries
from models.crops.spectral import Spectra
from models.crops.stacked_lstm import UNITS, StackedLSTM
from models.crops.training import TrainingSettings

RELIABLE_QUANTILE = 0.25


def stacked_lstm(units: tuple[int, ...] = UNITS, dropout: float = 0.0) -> Build:
    """Builds the paper's network."""
    return lambda scales, _steps, classes: StackedLSTM(scales, classes, units, dropout)


@dataclass(frozen=True)
class WeightedSettings:
    """What decides a weighted LSTM.

    Attributes:
        counts: pixels of each class in the weak and in the final training set.
        training: the loop of each stage.
        plain: the loop of the plain loss that goes on from the weighted one's weights; ``training`` where None.
        batch: pixels a step.
        units: of the three layers.
        dropout: between them; the paper has none.
        weak_plain: whether the first stage ends with the plain loss too; the paper says so of the final stage only.
        continued: whether the final network goes on from the first one's weights, with the plain loss alone, as the
            paper may be read; otherwise it starts anew, with the weighted loss and then the plain one.
        judges: 1 lets the first network judge the pixels it learned from, as in the paper, whose map has far more
            pixels than its weak set. With few pixels a network remembers wrong labels; 2 or more networks then
            each learn from the other parts of the weak set and judge their own.
        quantile: of a class's confidences, interpolated linearly, above which a pixel is reliable.
        confidences: taken over pixels where thematic map and network agree, or over all the network gives the class.
        indices: whether networks see logarithms of the bands and vegetation indices, and not the bands themselves.
        kernel: whether the final network's probabilities are averaged with those of a kernel logistic regression; the
            paper has the network alone.
        map_shares: whether the final network decides by the shares of the thematic map, and not by those of its
            training set, in which rare classes are over-sampled; better on the whole, worse for rare classes.
        jitter: augmentation, see :class:`models.crops.pixel_networks.FitSettings`.
        level: likewise.
        dropped: likewise.
    """

    counts: Counts = field(default_factory=Counts)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    plain: TrainingSettings | None = None
    batch: int = 512
    units: tuple[int, ...] = UNITS
    dropout: float = 0.0
    weak_plain: bool = False
    continued: bool = False
    judges: int = 1
    quantile: float = RELIABLE_QUANTILE
    confidences: Literal["agreeing", "predicted"] = "agreeing"
    indices: bool = False
    kernel: bool = False
    map_shares: bool = False
    jitter: float = 0.0
    level: float = 0.0
    dropped: float = 0.0

    def stage(self, *, weighted: bool) -> FitSettings:
        """How one loss is trained with."""
        training = self.training if weighted or self.plain is None else self.plain
        return FitSettings(training, self.batch, weighted, self.jitter, self.level, self.dropped)


@dataclass(frozen=True, eq=False)
class WeightedLSTM:
    """What the stages left.

    Attributes:
        first: network of the weak set.
        final: network of the final training set.
        weak: positions of the weak set.
        reliable: (n,) whether a pixel is reliable.
        chosen: positions of the final training set.
    """

    first: nn.Module
    final: nn.Module
    weak: IntArray
    reliable: NDArray[np.bool_]
    chosen: IntArray


def weak_set(pixels: PixelSeries, counts: Counts, seed: int) -> IntArray:
    """Step 3: positions of a stratified random draw, each class by its share of the thematic map."""
    return stratified(pixels.label, counts_by_class(pixels.counts(), counts), seed)


def reliable_pixels(
    label: IntArray,
    found: FloatArray,
    quantile: float = RELIABLE_QUANTILE,
    confidences: Literal["agreeing", "predicted"] = "agreeing",
) -> NDArray[np.bool_]:
    """Step 6: where the network says what the thematic map says, and is confident for the class.

    Args:
        label: (n,) classes of the thematic map.
        found: (n, classes) probabilities.
        quantile: of the confidences of a class, interpolated linearly; a pixel has to be at it or above.
        confidences: whether they are of the pixels where both agree, or of all that the network gives the class.

    Returns:
        (n,) about ``1 - quantile`` of the agreeing pixels of each class, when confidences are of those.
    """
    mapped, confidence = found.argmax(1), found.max(1)
    agreeing = mapped == label
    reliable = np.zeros(len(label), bool)
    for index in range(found.shape[1]):
        of_class = (agreeing if confidences == "agreeing" else np.ones_like(agreeing)) & (mapped == index)
        if of_class.any():
            # a quantile in double precision may lie a hair above single precision's own values
            least = np.float32(np.quantile(confidence[of_class].astype(np.float64), quantile, method="linear"))
            reliable |= agreeing & (mapped == index) & (confidence >= least)
    return reliable


def train_weighted_lstm(
    pixels: PixelSeries,
    validation: PixelSeries | None,
    settings: WeightedSettings,
    seed: int,
    folder: Path | None = None,
    told: Callable[[str], None] = lambda _stage: None,
) -> WeightedLSTM:
    """Steps 3 to 7.

    Args:
        pixels: of the training patches, labelled by the thematic map.
        validation: of the validation patches, which decide when each stage stops; None trains all epochs.
        settings: of all steps.
        seed: of everything random.
        folder: where stages are kept; finished ones are not done again, an unfinished one is gone on with.
        told: is told the stage.

    Raises:
        CropError: a class without a reliable pixel.
        DivergedError: a loss that is no longer finite.
    """
    build = stacked_lstm(settings.units, settings.dropout)
    weak = weak_set(pixels, settings.counts, seed)

    def stage(name: str, on: PixelSeries, *, plain: bool) -> nn.Module:
        told(name)
        return two_losses(build, on, validation, settings, seed, None if folder is None else folder / name, plain=plain)

    first = stage("first", pixels.take(weak), plain=settings.weak_plain)
    found = probabilities(predict_logits(first, pixels.values))
    if settings.judges > 1:
        part = np.random.default_rng((seed, 2)).permutation(len(weak)) % settings.judges
        for index in range(settings.judges):
            judge = stage(f"judge-{index}", pixels.take(weak[part != index]), plain=settings.weak_plain)
            own = weak[part == index]
            found[own] = probabilities(predict_logits(judge, pixels.values[own]))
    reliable = reliable_pixels(pixels.label, found, settings.quantile, settings.confidences)
    # counts are of the thematic map's shares, as in step 3, of as many pixels as are reliable
    wanted = counts_by_class(pixels.counts(), settings.counts)
    candidates = np.flatnonzero(reliable)
    chosen = candidates[stratified(pixels.label[candidates], wanted, seed)]
    for name in (pixels.legend[index] for index in np.unique(pixels.label)):
        if not (pixels.label[chosen] == pixels.legend.index(name)).any():
            raise CropError(
                f"no pixel of {name} is reliable: the network never says it where the thematic map "
                "does; raise the minimum of the counts, or merge the class with another"
            )
    told("final")
    place = None if folder is None else folder / "final"
    start = first if settings.continued else None
    trained = two_losses(build, pixels.take(chosen), validation, settings, seed, place, start=start)
    shares = pixels.counts() / len(pixels) if settings.map_shares else None
    final = committee(trained, pixels.take(chosen), settings, seed, shares)
    return WeightedLSTM(first, final, weak, reliable, chosen)


def committee(
    network: nn.Module,
    pixels: PixelSeries,
    settings: WeightedSettings,
    seed: int,
    shares: NDArray[np.float64] | None = None,
) -> nn.Module:
    """A trained network, and beside it what else the settings want, as one.

    Args:
        network: whose last loss was the plain one.
        pixels: it was fitted to.
        settings: that say whether a kernel logistic regression joins it.
        seed: of everything random.
        shares: (classes,) of the place to map, which are then decided by; None leaves the training set's.
    """
    members = [network]
    if settings.kernel:
        members.append(_built(lambda seen: fit_kernel(seen, seed), pixels, indices=settings.indices))
    if len(members) == 1 and shares is None:
        return network
    return Committee(members, None if shares is None else towards(shares, pixels.counts())).eval()


def two_losses(
    build: Build,
    pixels: PixelSeries,
    validation: PixelSeries | None,
    settings: WeightedSettings,
    seed: int,
    folder: Path | None = None,
    *,
    plain: bool = True,
    start: nn.Module | None = None,
) -> nn.Module:
    """Step 5: train with the weighted loss; then, with ``plain``, go on from these weights with the plain one.

    Args:
        build: makes the network.
        pixels: to fit to.
        validation: pixels that decide when to stop; None trains all epochs.
        settings: of the loop.
        seed: of everything random.
        folder: where each loss is kept.
        plain: whether the second loss follows, so that the outputs are probabilities again.
        start: network of the first loss whose weights and scales the second one goes on from; None trains one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _built(_of_pixels(build), pixels, indices=settings.indices)
    if start is not None:
        network.load_state_dict(start.state_dict())
    losses = (("weighted", True),) if start is None else ()
    for name, weighted in (*losses, *((("plain", False),) if plain else ())):
        _fit_or_load(network, pixels, validation, settings.stage(weighted=weighted), seed, folder, name)
    return network


def _of_pixels(build: Build) -> Callable[[PixelSeries], nn.Module]:
    return lambda pixels: build(Scales.of(pixels), len(pixels.steps), pixels.classes)


def _built(make: Callable[[PixelSeries], nn.Module], pixels: PixelSeries, *, indices: bool) -> nn.Module:
    if not indices:
        return make(pixels)
    spectra = Spectra(pixels.bands)
    return nn.Sequential(spectra, make(spectra.of(pixels)))


def _fit_or_load(
    network: nn.Module,
    pixels: PixelSeries,
    validation: PixelSeries | None,
    settings: FitSettings,
    seed: int,
    folder: Path | None,
    name: str,
) -> None:
    done = None if folder is None else folder / f"{name}.pt"
    if done is not None and done.is_file():
        network.load_state_dict(torch.load(done, weights_only=True))
        network.eval()
        return
    fit(network, pixels, validation, settings, seed, None if folder is None else folder / name)
    if done is not None:
        partial = done.with_suffix(".partial")
        torch.save(network.state_dict(), partial)
        partial.replace(done)


def with_label_noise(pixels: PixelSeries, share: float, seed: int) -> PixelSeries:
    """Labels of which a share is replaced by another class at random, to see what the steps make of it."""
    random = np.random.default_rng(seed)
    wrong = random.random(len(pixels)) < share
    other = (pixels.label + random.integers(1, pixels.classes, len(pixels))) % pixels.classes
    return replace(pixels, label=np.where(wrong, other, pixels.label))
