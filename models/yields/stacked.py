"""Many networks of one graph trained at once: what one step costs is mostly the calls, whose number stays the same."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils.data import DataLoader

from models.trainer import quiet_trainer
from models.yields.encoding import Encoding
from models.yields.samples import Samples

if TYPE_CHECKING:
    from models.yields.training import TrainingSettings

Batch = list[Tensor]


def train_stack(
    networks: Sequence[nn.Module],
    encodings: Sequence[Encoding],
    parts: Sequence[Samples],
    settings: TrainingSettings,
    seeds: Sequence[int],
) -> Tensor:
    """Train networks, each on its own rows, in place.

    Each goes on as it would alone: its rows come in the order of its own seed, and no number of one enters another.
    What is left to chance inside (dropout, hidden counties) is drawn for all together. All take as many steps as the
    mean of them needs for the epochs, so parts of different years may differ a little in rows.

    Args:
        networks: of one graph; tables of counties may differ in length.
        encodings: of each.
        parts: rows of each.
        settings: the training.
        seeds: of each one's order of rows.

    Returns:
        The loss of each in its last step.
    """
    rows = [len(part) for part in parts]
    batch = min(settings.batch, *rows)
    steps = math.ceil(settings.epochs * sum(rows) / len(rows) / batch)
    order = torch.stack([_order(count, steps * batch, seed) for count, seed in zip(rows, seeds, strict=True)])
    data = [_padded(column) for column in zip(*map(_columns, encodings, parts), strict=True)]
    fit = _Stack(networks, data, settings, steps)
    loader: DataLoader[Any] = DataLoader(order.reshape(len(parts), steps, batch).transpose(0, 1), batch_size=None)  # type: ignore[arg-type]
    quiet_trainer(epochs=1).fit(fit, loader)
    fit.cpu().hand_back(networks)
    return fit.last_losses


class _Stack(pl.LightningModule):
    """Parameters of all networks, one above the other, and one graph that reads them."""

    def __init__(
        self, networks: Sequence[nn.Module], data: Sequence[Tensor], settings: TrainingSettings, steps: int
    ) -> None:
        super().__init__()
        self.settings, self.steps = settings, steps
        self.graph = [_Standardised(networks[0])]  # in a list: its own parameters are not trained
        self.names = [f"network.{name}" for name, _ in networks[0].named_parameters()]
        self.stacked = nn.ParameterList(
            _padded(column) for column in zip(*(n.parameters() for n in networks), strict=True)
        )
        self.buffer_names = [f"network.{name}" for name, _ in networks[0].named_buffers()]
        # no parameters, but Lightning moves them to the device with these
        self.kept = self._registered("kept", map(_padded, zip(*(n.buffers() for n in networks), strict=True)))
        self.data = self._registered("data", data)
        self.last_losses = torch.zeros(len(networks))
        self.losses: Callable[..., Tensor] = vmap(self._loss, randomness="different")

    def _registered(self, name: str, tensors: Iterable[Tensor]) -> list[str]:
        names = []
        for number, tensor in enumerate(tensors):
            names.append(f"{name}_{number}")
            self.register_buffer(names[-1], tensor)
        return names

    def _buffers_of(self, names: Sequence[str]) -> list[Tensor]:
        return [self.get_buffer(name) for name in names]

    def _loss(self, parameters: Batch, buffers: Batch, data: Batch, rows: Tensor) -> Tensor:
        """Weighted squared error of one network on these of its rows."""
        season, county, year, area, target, weight = (column[rows] for column in data)
        county = torch.where(torch.rand(county.shape, device=county.device) < self.settings.stranger, 0, county)
        known = dict(zip(self.names, parameters, strict=True)) | dict(zip(self.buffer_names, buffers, strict=True))
        found = functional_call(self.graph[0], known, (season, county, year, area))
        loss: Tensor = (weight * (found - target) ** 2).sum() / weight.sum()
        return loss

    def training_step(self, rows: Tensor, _number: int) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*batching rule.*")  # weight norm goes one by one
            losses = self.losses(list(self.stacked), self._buffers_of(self.kept), self._buffers_of(self.data), rows)
        self.last_losses = losses.detach()
        return losses.sum()

    def configure_optimizers(self) -> Any:
        rate = self.settings.learning_rate
        optimizer = torch.optim.AdamW(list(self.stacked), lr=rate, weight_decay=self.settings.weight_decay, fused=True)
        once = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=self.steps + 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": once, "interval": "step"}}

    @torch.no_grad()
    def hand_back(self, networks: Sequence[nn.Module]) -> None:
        """Give each network its own parameters and buffers."""
        for number, network in enumerate(networks):
            own = [*network.parameters(), *network.buffers()]
            for mine, stacked in zip(own, [*self.stacked, *self._buffers_of(self.kept)], strict=True):
                mine.copy_(stacked[number][tuple(slice(size) for size in mine.shape)])


class _Standardised(nn.Module):
    """A network's yields on the scale of its training yields, as its forward."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, season: Tensor, county: Tensor, year: Tensor, area_ha: Tensor) -> Tensor:
        found: Tensor = self.network.standardised(season, county, year, area_ha)
        return found


def _order(rows: int, drawn: int, seed: int) -> Tensor:
    """(drawn,) row numbers: one random order of all rows after the other, cut off."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randperm(rows, generator=generator) for _ in range(math.ceil(drawn / rows))])[:drawn]


def _columns(encoding: Encoding, part: Samples) -> list[Tensor]:
    scales = encoding.scales
    target = (torch.tensor(part.yields) - scales.yield_mean) / (scales.yield_std or 1.0)
    return [*encoding.inputs(part), target.float(), torch.tensor(part.weight, dtype=torch.float32)]


def _padded(column: Sequence[Tensor]) -> Tensor:
    """Tensors one above the other, shorter ones filled up with zeros that nothing reads."""
    same = [tensor.detach() for tensor in column]
    if not same[0].ndim:
        return torch.stack(same)
    longest = max(map(len, same))
    return torch.stack([torch.cat([t, t.new_zeros(longest - len(t), *t.shape[1:])]) for t in same])
