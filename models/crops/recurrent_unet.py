"""A recurrent U-Net: one encoder and decoder for every date, and at each level a state that dates hand on.

Jo, Koukos et al., Towards global crop maps with transfer learning (arXiv 2211.04755), names the architecture and says
of it that weighted features are added to the next time step. The rest is our definition: at each level the encoder's
features plus a 1 × 1 convolution of the level's state before are the new state, which the decoder reads. Batch
normalisation keeps statistics for each date (Cooijmans et al., Recurrent Batch Normalization, arXiv 1603.09025):
batches are normalised date by date while training, and a running mean of all dates would fit none of them afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.crops.pixel_networks import Scales
from models.crops.series import CropError
from models.standardise import Standardise

WIDTHS = (32, 64, 128, 256)
DATES = 8
_CARRIED = 0.5
_MOMENTUM = 0.3  # a date may come once a cycle only; a smaller share would lag behind the weights


class NormByDate(nn.Module):
    """Batch normalisation with one weight and bias for all dates, and a mean and variance for each.

    Args:
        width: features.
        dates: how many have statistics of their own; later ones take the last's.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, dates: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(dates, width))
        self.register_buffer("running_var", torch.ones(dates, width))

    def forward(self, image: Tensor, date: int) -> Tensor:
        """The image (B, width, H, W) of one date, counted from 0, normalised."""
        row = min(date, len(self.running_mean) - 1)
        mean, variance = self.running_mean[row], self.running_var[row]
        return functional.batch_norm(image, mean, variance, self.weight, self.bias, self.training, _MOMENTUM)

    def extend(self, dates: int) -> None:
        """Give later dates statistics too; they start as the last date's."""
        more = dates - len(self.running_mean)
        if more > 0:
            self.running_mean = torch.cat([self.running_mean, self.running_mean[-1:].repeat(more, 1)])
            self.running_var = torch.cat([self.running_var, self.running_var[-1:].repeat(more, 1)])


class Double(nn.Module):
    """Twice a 3 × 3 convolution, batch normalisation and ReLU.

    Args:
        inside: features that come in.
        out: features that go out.
        dates: with statistics of their own.
    """

    def __init__(self, inside: int, out: int, dates: int) -> None:
        super().__init__()
        pairs = ((inside, out), (out, out))
        self.convolutions = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in pairs)
        self.norms = nn.ModuleList(NormByDate(out, dates) for _ in pairs)

    def forward(self, image: Tensor, date: int) -> Tensor:
        """(B, out, H, W) of an image (B, inside, H, W) of a date, counted from 0."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            image = functional.relu(norm(convolution(image), date), inplace=True)
        return image


class Encoder(nn.Module):
    """Features of one date at each level, each half as fine as the one before.

    Args:
        bands: how many.
        widths: features of each level.
        dates: with statistics of their own.
    """

    def __init__(self, bands: int, widths: Sequence[int], dates: int) -> None:
        super().__init__()
        pairs = zip([bands, *widths[:-1]], widths, strict=True)
        self.levels = nn.ModuleList(Double(inside, out, dates) for inside, out in pairs)

    def forward(self, image: Tensor, date: int) -> list[Tensor]:
        """Features (B, width, H / 2^level, W / 2^level) of an image (B, bands, H, W) of a date, counted from 0."""
        found = []
        for number, level in enumerate(self.levels):
            image = level(image if number == 0 else functional.max_pool2d(image, 2), date)
            found.append(image)
        return found


class Carry(nn.Module):
    """What each level keeps of its state: ``W s``, at first half of it, never so much that states grow without end.

    Args:
        widths: features of each level.
        bounded: whether the spectral norm of W is kept at 1 or below.
    """

    def __init__(self, widths: Sequence[int], *, bounded: bool = True) -> None:
        super().__init__()
        self.bounded = bounded
        self.levels = nn.ModuleList(nn.Conv2d(width, width, 1) for width in widths)
        for level in self.levels:
            assert isinstance(level, nn.Conv2d)
            nn.init.zeros_(level.weight)
            level.weight.data.diagonal().fill_(_CARRIED)
            assert level.bias is not None
            nn.init.zeros_(level.bias)

    @torch.no_grad()
    def clip(self) -> None:
        """Bring W back to spectral norm 1 where training took it beyond."""
        if not self.bounded:
            return
        for level in self.levels:
            assert isinstance(level, nn.Conv2d)
            norm = torch.linalg.matrix_norm(level.weight[..., 0, 0], 2)
            level.weight.div_(norm.clamp(min=1))


class Decoder(nn.Module):
    """From the states of all levels to one image of logits.

    Args:
        widths: features of each level.
        classes: of the output; 1 for a mask.
        dates: with statistics of their own.
    """

    def __init__(self, widths: Sequence[int], classes: int, dates: int) -> None:
        super().__init__()
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for coarse, fine in pairs)
        self.levels = nn.ModuleList(Double(2 * fine, fine, dates) for _, fine in pairs)
        self.out = nn.Conv2d(widths[0], classes, 1)
        self.frozen = False

    def train(self, mode: bool = True) -> Decoder:
        """As any module, but a frozen decoder's batch statistics stay what they are."""
        super().train(mode and not self.frozen)
        return self

    def forward(self, states: Sequence[Tensor], date: int) -> Tensor:
        """(B, classes, H, W) logits of the states after a date, counted from 0; finest first."""
        image = states[-1]
        for up, level, state in zip(self.up, self.levels, states[-2::-1], strict=True):
            image = level(torch.cat([up(image), state], 1), date)
        logits: Tensor = self.out(image)
        return logits


class RecurrentUNet(nn.Module):
    """Logits at any date of all dates up to it.

    Args:
        scales: constants of the training patches' bands.
        classes: of the output; 1 for a mask.
        widths: features of each level.
        dates: of the training series; later ones are normalised as the last of them.
    """

    def __init__(self, scales: Scales, classes: int = 1, widths: Sequence[int] = WIDTHS, dates: int = DATES) -> None:
        super().__init__()
        self.dates = dates
        self.bands = Standardise(scales.mean, scales.std)
        self.encoder = Encoder(len(scales.mean), widths, dates)
        self.carry = Carry(widths)
        self.decoder = Decoder(widths, classes, dates)

    def states(self, series: Tensor, before: Sequence[Tensor] | None = None, passed: int = 0) -> list[Tensor]:
        """States of all levels after the last date.

        Args:
            series: (B, T, bands, H, W), sides multiples of 2 to the number of levels less one.
            before: states of the dates before; none where the series begins.
            passed: dates before.

        Raises:
            CropError: sides that do not halve as often as the network has levels.
        """
        halvings = 2 ** (len(self.encoder.levels) - 1)
        if series.shape[-1] % halvings or series.shape[-2] % halvings:
            raise CropError(
                f"patches of {series.shape[-2]} x {series.shape[-1]} px cannot be halved "
                f"{len(self.encoder.levels) - 1} times; take multiples of {halvings}"
            )
        states = None if before is None else list(before)
        for step in range(series.shape[1]):
            normal = self.bands(series[:, step].movedim(1, -1)).movedim(-1, 1)
            features = self.encoder(normal, passed + step)
            if states is None:
                states = features
            else:
                carried = [carry(state) for carry, state in zip(self.carry.levels, states, strict=True)]
                states = [new + old for new, old in zip(features, carried, strict=True)]
        if states is None:
            raise CropError("a series without dates has no map; give one date at least")
        return states

    def forward(self, series: Tensor, known: int | None = None) -> Tensor:
        """Logits after the dates that are known.

        Args:
            series: (B, T, bands, H, W).
            known: dates that have passed; all where None. Nothing later is looked at.

        Returns:
            (B, classes, H, W).
        """
        there = series[:, :known]
        logits: Tensor = self.decoder(self.states(there), there.shape[1] - 1)
        return logits


def time_inverted(series: Tensor, known: int, steps: int) -> Tensor:
    """Dates to come filled with those that were, in reverse: x1 … xk, x(k-1) … x1, x2 …, for what needs a fixed length.

    Args:
        series: (B, T, bands, H, W).
        known: dates that have passed; nothing later is looked at.
        steps: to fill up to.
    """
    if known == 1:
        return series[:, :1].expand(-1, steps, *series.shape[2:])
    there = list(range(known))
    turn = there + there[-2:0:-1]  # there and back, without standing still at either end
    return series[:, [turn[step % len(turn)] for step in range(steps)]]
