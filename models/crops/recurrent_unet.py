"""A recurrent U-Net: one encoder and decoder for every date, and at each level a state that dates hand on.

Jo, Koukos et al., Towards global crop maps with transfer learning (arXiv 2211.04755), names the architecture and says
of it that weighted features are added to the next time step. The rest is our definition: at each level the encoder's
features plus a 1 × 1 convolution of the level's state before are the new state, which the decoder reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.crops.pixel_networks import Scales
from models.crops.series import CropError
from models.standardise import Standardise

WIDTHS = (32, 64, 128, 256)
_CARRIED = 0.5


def _double(inside: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (inside, out):
        layers += [nn.Conv2d(before, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Features of one date at each level, each half as fine as the one before.

    Args:
        bands: how many.
        widths: features of each level.
    """

    def __init__(self, bands: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_double(i, out) for i, out in zip([bands, *widths[:-1]], widths, strict=True))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features (B, width, H / 2^level, W / 2^level) of an image (B, bands, H, W)."""
        found = []
        for number, level in enumerate(self.levels):
            image = level(image if number == 0 else nn.functional.max_pool2d(image, 2))
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
    """

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for coarse, fine in pairs)
        self.levels = nn.ModuleList(_double(2 * fine, fine) for _, fine in pairs)
        self.out = nn.Conv2d(widths[0], classes, 1)
        self.frozen = False

    def train(self, mode: bool = True) -> Decoder:
        """As any module, but a frozen decoder's batch statistics stay what they are."""
        super().train(mode and not self.frozen)
        return self

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """(B, classes, H, W) logits of the states, finest first."""
        image = states[-1]
        for up, level, state in zip(self.up, self.levels, states[-2::-1], strict=True):
            image = level(torch.cat([up(image), state], 1))
        logits: Tensor = self.out(image)
        return logits


class RecurrentUNet(nn.Module):
    """Logits at any date of all dates up to it.

    Args:
        scales: constants of the training patches' bands.
        classes: of the output; 1 for a mask.
        widths: features of each level.
    """

    def __init__(self, scales: Scales, classes: int = 1, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.bands = Standardise(scales.mean, scales.std)
        self.encoder = Encoder(len(scales.mean), widths)
        self.carry = Carry(widths)
        self.decoder = Decoder(widths, classes)

    def states(self, series: Tensor, before: Sequence[Tensor] | None = None) -> list[Tensor]:
        """States of all levels after the last date.

        Args:
            series: (B, T, bands, H, W), sides multiples of 2 to the number of levels less one.
            before: states of the dates before; none where the series begins.

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
            features = self.encoder(normal)
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
        logits: Tensor = self.decoder(self.states(series[:, :known]))
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
