"""A variational autoencoder of a table with continuous and discrete columns (TVAE, Xu et al., NeurIPS 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.yields.mode_normaliser import ModeNormaliser
from models.yields.table import FloatArray

_RECONSTRUCTION = 2.0  # weight of the reconstruction beside the divergence
_STD_LIMITS = (0.01, 1.0)
_LEAST_POSSIBLE = 0.01  # share of drawn rows below which drawing is given up


class TvaeError(RuntimeError):
    """The autoencoder draws hardly any row that could be real."""

    exit_code = 1


@dataclass(frozen=True)
class TvaeSettings:
    """Training of the autoencoder.

    Attributes:
        epochs: passes over the rows.
        batch: rows a step, all where there are fewer.
        learning_rate: Adam's.
        weight_decay: Adam's.
        width: of the hidden layers and the code.
    """

    epochs: int = 300
    batch: int = 500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    width: int = 128


class _Network(nn.Module):
    def __init__(self, columns: int, continuous: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.encoder = nn.Sequential(
            nn.Linear(columns, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * width)
        )
        self.decoder = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, columns)
        )
        self.std = nn.Parameter(torch.full((continuous,), 0.1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoded rows, and mean and log variance of their codes."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B,) Kullback–Leibler divergence of normal distributions from the standard one."""
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2


class TableAutoencoder:
    """Draws rows like those it was fitted to.

    Columns stand as the places of all continuous columns, then the parts of each, then the discrete columns.

    Args:
        network: fitted.
        normalisers: of each continuous column.
        categories: of each discrete column.
    """

    def __init__(
        self, network: _Network, normalisers: Sequence[ModeNormaliser], categories: Sequence[NDArray[Any]]
    ) -> None:
        self.network, self.normalisers, self.categories = network, normalisers, categories

    @classmethod
    def fit(
        cls, continuous: FloatArray, discrete: Sequence[NDArray[Any]], settings: TvaeSettings, seed: int
    ) -> TableAutoencoder:
        """Fit to rows.

        Args:
            continuous: (n, columns).
            discrete: columns of n values each.
            settings: the training.
            seed: of everything drawn.
        """
        random = np.random.default_rng(seed)
        normalisers = [ModeNormaliser.fit(column, seed) for column in continuous.T]
        encoded = [n.encode(column, random) for n, column in zip(normalisers, continuous.T, strict=True)]
        found = [np.unique(column, return_inverse=True) for column in discrete]
        places = torch.tensor(np.stack([place for place, _ in encoded], axis=1), dtype=torch.float32)
        choices = [torch.from_numpy(part) for _, part in encoded] + [torch.from_numpy(number) for _, number in found]
        sizes = [n.modes for n in normalisers] + [len(categories) for categories, _ in found]
        rows = torch.cat([places, *(F.one_hot(c, s).float() for c, s in zip(choices, sizes, strict=True))], dim=1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _Network(rows.shape[1], places.shape[1], settings.width)
            _train(network, rows, torch.stack(choices, dim=1), sizes, settings)
        return cls(network, normalisers, [categories for categories, _ in found])

    @torch.no_grad()
    def draw(
        self, count: int, possible: Callable[[FloatArray], NDArray[np.bool_]], seed: int = 0
    ) -> tuple[FloatArray, list[NDArray[Any]]]:
        """Draw rows.

        Args:
            count: how many.
            possible: tells of (n, columns) continuous values which rows could be real; others are drawn again.
            seed: of the draw.

        Returns:
            (count, columns) continuous values and the discrete columns.

        Raises:
            TvaeError: less than one row in a hundred is possible.
        """
        generator = torch.Generator().manual_seed(seed)
        values: list[FloatArray] = []
        discrete: list[list[NDArray[Any]]] = []
        found = tried = 0
        while found < count:
            drawn, categories = self._draw_any(max(count, 100), generator)
            good = possible(drawn)
            values.append(drawn[good])
            discrete.append([column[good] for column in categories])
            found, tried = found + int(good.sum()), tried + len(good)
            if tried >= 20 * count and found < _LEAST_POSSIBLE * tried:
                raise TvaeError(
                    f"of {tried} drawn rows {found} could be real; the table is too small for the autoencoder, "
                    "leave it out (tvae_rows=0)"
                )
        columns = [np.concatenate(parts)[:count] for parts in zip(*discrete, strict=True)]
        return np.concatenate(values)[:count], columns

    def _draw_any(self, count: int, generator: torch.Generator) -> tuple[FloatArray, list[NDArray[Any]]]:
        out = self.network.decoder(torch.randn(count, self.network.width, generator=generator))
        continuous = len(self.normalisers)
        noise = self.network.std * torch.randn(count, continuous, generator=generator)
        places = (torch.tanh(out[:, :continuous]) + noise).double().numpy()
        sizes = [n.modes for n in self.normalisers] + [len(c) for c in self.categories]
        chosen = [logits.argmax(dim=1).numpy() for logits in out[:, continuous:].split_with_sizes(sizes, 1)]
        parts, numbers = chosen[:continuous], chosen[continuous:]
        decoded = [n.decode(p, k) for n, p, k in zip(self.normalisers, places.T, parts, strict=True)]
        return np.stack(decoded, axis=1), [c[n] for c, n in zip(self.categories, numbers, strict=True)]


def _train(network: _Network, rows: Tensor, choices: Tensor, sizes: list[int], settings: TvaeSettings) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    continuous = len(network.std)
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(rows)), settings.batch):
            decoded, mean, log_variance = network(rows[batch])
            error = rows[batch, :continuous] - torch.tanh(decoded[:, :continuous])
            loss = (error**2 / (2 * network.std**2) + torch.log(network.std)).sum(dim=1)
            for k, logits in enumerate(decoded[:, continuous:].split_with_sizes(sizes, 1)):
                loss = loss + F.cross_entropy(logits, choices[batch, k], reduction="none")
            optimizer.zero_grad()
            total = (_RECONSTRUCTION * loss + divergence(mean, log_variance)).mean()
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                network.std.clamp_(*_STD_LIMITS)
