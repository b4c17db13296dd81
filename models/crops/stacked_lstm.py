"""The network of the weighted LSTM: three stacked layers of 200, 125 and 100 units, the last state to the classes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.crops.pixel_networks import Scales
from models.standardise import Standardise

UNITS = (200, 125, 100)


class StackedLSTM(nn.Module):
    """Three LSTM layers of falling width; the last layer's last state gives the logits.

    Args:
        scales: constants of the training pixels.
        classes: how many.
        units: of each layer.
        dropout: share dropped between layers and before the head; the paper has none.
    """

    def __init__(self, scales: Scales, classes: int, units: Sequence[int] = UNITS, dropout: float = 0.0) -> None:
        super().__init__()
        self.bands = Standardise(scales.mean, scales.std)
        widths = [len(scales.mean), *units]
        self.layers = nn.ModuleList(
            nn.LSTM(before, after, batch_first=True) for before, after in zip(widths, units, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, series: Tensor) -> Tensor:
        """(B, classes) logits of (B, steps, bands)."""
        states = self.bands(series)
        for layer in self.layers:
            states = self.dropout(layer(states)[0])
        logits: Tensor = self.head(states[:, -1])
        return logits
