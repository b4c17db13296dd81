"""Taking a recurrent U-Net from one country to another: RI, FT and FT_E of the paper, and radar bands it has not seen.

The paper's line for FT_E writes FT; what is meant is the encoder's fine-tuning below frozen decoder weights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch

from models.crops.pixel_networks import Scales
from models.crops.recurrent_unet import DATES, WIDTHS, NormByDate, RecurrentUNet
from models.crops.series import CropError

Mode = Literal["RI", "FT", "FT_E"]
NewBand = Literal["zero", "copy"]
MODES: tuple[Mode, ...] = ("RI", "FT", "FT_E")


def random_start(scales: Scales, seed: int, widths: Sequence[int] = WIDTHS, dates: int = DATES) -> RecurrentUNet:
    """RI: the architecture alone, weights drawn at random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RecurrentUNet(scales, widths=widths, dates=dates)


def fine_tuned(before: RecurrentUNet, mode: Mode, *, other_crop: bool = False) -> RecurrentUNet:
    """A copy to go on training with.

    Args:
        before: trained elsewhere.
        mode: ``FT`` trains everything; ``FT_E`` encoder and carries, while the decoder keeps its weights and the
            statistics of its batch normalisation to the last bit.
        other_crop: whether the mask means something else now, so that the last 1 × 1 layer begins anew; it is then
            trained in FT_E too, as nobody has taught it anything.

    Raises:
        CropError: RI, which starts from nothing.
    """
    if mode == "RI":
        raise CropError("RI takes no trained network; make one with random weights")
    network = copy.deepcopy(before)
    if mode == "FT_E":
        network.decoder.requires_grad_(False)
        network.decoder.frozen = True
    if other_crop:
        network.decoder.out.reset_parameters()
        network.decoder.out.requires_grad_(True)
    return network


def with_dates(before: RecurrentUNet, dates: int) -> RecurrentUNet:
    """A copy that keeps statistics of so many dates, so that it can be trained on series longer than it has seen.

    Statistics of dates that are there stay what they are; new ones start as the last's.
    """
    network = copy.deepcopy(before)
    for part in network.modules():
        if isinstance(part, NormByDate):
            part.extend(dates)
    network.dates = max(network.dates, dates)
    return network


def with_bands(
    before: RecurrentUNet, bands: Sequence[str], wanted: Sequence[str], scales: Scales, new: NewBand = "zero"
) -> RecurrentUNet:
    """A copy that also reads bands it has not been trained with.

    Args:
        before: trained.
        bands: names of its bands.
        wanted: names of the bands to read, those it knows among them.
        scales: constants of the wanted bands; those it knows keep the network's own.
        new: ``zero`` gives new bands no weight, so that the copy first computes what the network did; ``copy`` gives
            them the first known band's kernels, and halves these.

    Raises:
        CropError: a known band that is left out.
    """
    if missing := [name for name in bands if name not in wanted]:
        raise CropError(f"the network reads {missing[0]}, which is not among {', '.join(wanted)}; give it too")
    mean, std = list(scales.mean), list(scales.std)
    for index, name in enumerate(bands):
        mean[wanted.index(name)] = float(before.bands.mean[index])
        std[wanted.index(name)] = float(before.bands.std[index])
    widths = [level.convolutions[0].out_channels for level in before.encoder.levels]  # type: ignore[index, union-attr]
    network = RecurrentUNet(Scales(tuple(mean), tuple(std)), before.decoder.out.out_channels, widths, before.dates)
    weights = before.state_dict()
    first = weights.pop("encoder.levels.0.convolutions.0.weight")
    kernels = torch.zeros(first.shape[0], len(wanted), *first.shape[2:])
    for index, name in enumerate(wanted):
        if name in bands:
            kernels[:, index] = first[:, list(bands).index(name)] / (2 if new == "copy" else 1)
        elif new == "copy":
            kernels[:, index] = first[:, 0] / 2
    weights["encoder.levels.0.convolutions.0.weight"] = kernels
    weights |= {"bands.mean": network.bands.mean, "bands.std": network.bands.std}
    network.load_state_dict(weights)
    return network
