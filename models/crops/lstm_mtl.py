"""LSTM-MTL: a bidirectional LSTM with attention that all regions share, and one output layer for each region.

The paper's own words give the shared network's width and its heads; the attention is DeepCropMapping's (Xu et al.,
Remote Sensing of Environment 247, 2020): ``e_t = ReLU(w·h_t + b)``, ``a = softmax(e)``, ``H = Σ a_t h_t``. The ReLU
gives every step with a negative score the same weight; it is in the original and is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.crops.pixel_networks import Scales
from models.crops.series import CropError
from models.standardise import Standardise

WIDTH = 128
ANYWHERE = -1
_FORGET_BIAS = 3.0


class AtBiLSTM(nn.Module):
    """The shared network: two bidirectional LSTM layers, and attention over the steps.

    Args:
        scales: constants of the training pixels.
        width: of the state in each direction.
        dropout: share dropped between the layers.
    """

    def __init__(self, scales: Scales, width: int = WIDTH, dropout: float = 0.5) -> None:
        super().__init__()
        self.bands = Standardise(scales.mean, scales.std)
        self.lstm = nn.LSTM(len(scales.mean), width, 2, batch_first=True, bidirectional=True, dropout=dropout)
        self.score = nn.Linear(2 * width, 1)
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias"):  # both biases add up; gates lie as input, forget, cell, output
                nn.init.zeros_(bias)
                nn.init.constant_(bias[width : 2 * width], _FORGET_BIAS / 2)

    def forward(self, series: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, 2 · width) features of series (B, T, bands); see :meth:`attended`."""
        return self.attended(series, lengths)[0]

    def attended(self, series: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features, and how much each step weighs in them.

        Args:
            series: (B, T, bands).
            lengths: (B,) steps that are there, 1 to T; what stands after them has no effect. All where None.

        Returns:
            (B, 2 · width) and (B, T), which sums to 1 over the steps that are there.
        """
        normal = self.bands(series)
        if lengths is None:
            states = self.lstm(normal)[0]
            score = torch.relu(self.score(states))[..., 0]
        else:
            steps = series.shape[1]
            # packed, so that the backward direction starts at the last step that is there
            packed = pack_padded_sequence(normal, lengths.cpu(), batch_first=True, enforce_sorted=False)
            states = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=steps)[0]
            there = torch.arange(steps, device=series.device) < lengths.to(series.device)[:, None]
            score = torch.relu(self.score(states))[..., 0].masked_fill(~there, -torch.inf)
        weight = torch.softmax(score, 1)
        return (weight[..., None] * states).sum(1), weight


class LstmMtl(nn.Module):
    """The shared network with a head for each region; with one head it is the paper's AtBiLSTM.

    Args:
        scales: constants of the training pixels.
        regions: how many heads.
        classes: how many.
        width: of the shared state in each direction.
        dropout: share dropped between layers and before the heads.
    """

    def __init__(
        self, scales: Scales, regions: int, classes: int = 2, width: int = WIDTH, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.shared = AtBiLSTM(scales, width, dropout)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleList(nn.Linear(2 * width, classes) for _ in range(regions))

    def forward(self, series: Tensor, region: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits by the head of each pixel's region.

        Args:
            series: (B, T, bands).
            region: (B,) index of the region; :data:`ANYWHERE` is outside all regions, and gets the mean of the
                heads' probabilities, as logarithms.
            lengths: (B,) steps that are there; all where None.

        Returns:
            (B, classes).
        """
        features = self.dropout(self.shared(series, lengths))
        by_region = torch.stack([head(features) for head in self.heads], 1)
        own = by_region[torch.arange(len(series), device=series.device), region.clamp(min=0)]
        return torch.where((region == ANYWHERE)[:, None], _mean_of_heads(by_region), own)

    def heads_of(self, series: list[Tensor], lengths: list[Tensor] | None = None) -> list[Tensor]:
        """Logits of a batch that holds pixels of each region in turn: the training step's way, one pass for all."""
        number = [len(part) for part in series]
        joined = None if lengths is None else torch.cat(lengths)
        features = self.dropout(self.shared(torch.cat(series), joined)).split(number)
        return [head(of_region) for head, of_region in zip(self.heads, features, strict=True)]


class OneRegion(nn.Module):
    """LSTM-MTL as it maps one region: (B, steps, bands) to (B, classes), as every pixel network.

    Args:
        network: all regions.
        region: index of the one; :data:`ANYWHERE` for places outside all of them.

    Raises:
        CropError: no such region.
    """

    def __init__(self, network: LstmMtl, region: int) -> None:
        super().__init__()
        if not ANYWHERE <= region < len(network.heads):
            raise CropError(f"there is no region {region}; the network has {len(network.heads)}")
        self.network, self.region = network, region

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes) logits."""
        features = self.network.shared(series)
        if self.region == ANYWHERE:
            return _mean_of_heads(torch.stack([head(features) for head in self.network.heads], 1))
        logits: Tensor = self.network.heads[self.region](features)
        return logits


def _mean_of_heads(logits: Tensor) -> Tensor:
    """(B, classes) logarithm of the mean probability of logits (B, regions, classes)."""
    return torch.log(torch.softmax(logits, -1).mean(1))
