"""More rows where few are known: noise, Mixup within a county, and a variational autoencoder of the table.

Only rows that are fitted to are ever augmented, and only they decide how (Pan and Liu, Plants 2026, 15, 213, sections
2.1 and 3.6). The paper augments before it takes its validation rows, so that near-copies of what is fitted to decide
when to stop; that protocol is here by option, to compare.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.yields.samples import Samples, together
from models.yields.table import FloatArray
from models.yields.tvae import TableAutoencoder, TvaeSettings

_LOG = logging.getLogger(__name__)

Protocol = Literal["strict", "paper"]


@dataclass(frozen=True)
class AugmentationSettings:
    """How rows are added.

    Attributes:
        noise_copies: noisy copies of each row.
        noise: standard deviation of the noise, in each feature's own.
        mixup_rows: rows to mix, in real rows; less where few pairs may be mixed.
        mixup_alpha: of the beta distribution that mixing weights come from; the paper has none.
        mixup_yield_gap: largest difference of yields of a pair, in the county's own standard deviation.
        tvae_rows: rows to draw from the autoencoder, in real rows.
        tvae: the autoencoder's training.
    """

    noise_copies: int = 2
    noise: float = 0.01
    mixup_rows: float = 2.0
    mixup_alpha: float = 0.4
    mixup_yield_gap: float = 0.1
    tvae_rows: float = 10.0
    tvae: TvaeSettings = field(default_factory=TvaeSettings)


def augment(real: Samples, settings: AugmentationSettings, random: np.random.Generator) -> Samples:
    """Real rows and what is made of them: noise first, Mixup of real and noisy rows, then the autoencoder of all.

    Args:
        real: rows that may be fitted to.
        settings: how many of each.
        random: the source of chance.

    Returns:
        The real rows first, unchanged.
    """
    known = [real]
    if settings.noise_copies:
        known.append(with_noise(real, settings, random))
    if settings.mixup_rows:
        mixed = mixed_up(real, together(known), settings, random)
        if len(mixed):
            known.append(mixed)
    if settings.tvae_rows:
        known.append(drawn(real, together(known), settings, random))
    return together(known)


def augmented_parts(
    real: Samples,
    share: float,
    settings: AugmentationSettings,
    random: np.random.Generator,
    protocol: Protocol = "strict",
) -> tuple[Samples, Samples]:
    """Rows to fit to and rows to validate on.

    Args:
        real: rows that may be fitted to.
        share: to validate on.
        settings: how rows are added.
        random: the source of chance.
        protocol: "strict" validates on real rows and augments the others; "paper" augments all and divides then.
    """
    if protocol == "paper":
        real = augment(real, settings, random)
    order = random.permutation(len(real))
    count = min(max(1, round(share * len(real))), len(real) - 1)
    fit, validate = real.take(np.sort(order[count:])), real.take(np.sort(order[:count]))
    return (fit if protocol == "paper" else augment(fit, settings, random)), validate


def with_noise(real: Samples, settings: AugmentationSettings, random: np.random.Generator) -> Samples:
    """Copies with normal noise on features and area; yields stay."""
    copies = together([real] * settings.noise_copies)
    scale = settings.noise * real.season.std(axis=0)
    season = copies.season + scale * random.standard_normal(copies.season.shape)
    area = copies.area_ha + settings.noise * real.area_ha.std() * random.standard_normal(len(copies))
    return replace(copies, season=season, area_ha=np.where(area > 0, area, copies.area_ha))


def mixed_up(real: Samples, rows: Samples, settings: AugmentationSettings, random: np.random.Generator) -> Samples:
    """Weighted means of two rows of one county whose yields are close; the year is the heavier one's.

    A county's closeness is judged by its real rows. How many pairs qualify is logged; it is never loosened.
    """
    pairs = mixable_pairs(real, rows, settings.mixup_yield_gap)
    numbers = {county: len(found) for county, found in pairs.items()}
    _LOG.info("pairs that may be mixed, by county: %s", numbers)
    every = np.concatenate([np.empty((0, 2), dtype=np.intp), *pairs.values()])
    if not len(every):
        return rows.take(np.empty(0, dtype=np.intp))
    one, other = every[random.integers(len(every), size=round(settings.mixup_rows * len(real)))].T
    share = random.beta(settings.mixup_alpha, settings.mixup_alpha, len(one))

    def mix(values: FloatArray) -> FloatArray:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        mixed: FloatArray = part * values[one] + (1 - part) * values[other]
        return mixed

    heavier = np.where(share >= 0.5, one, other)
    return Samples(
        season=mix(rows.season),
        county=rows.county[one],
        year=rows.year[heavier],
        area_ha=mix(rows.area_ha),
        yields=mix(rows.yields),
        weight=mix(rows.weight),
    )


def mixable_pairs(real: Samples, rows: Samples, yield_gap: float) -> Mapping[str, NDArray[np.intp]]:
    """Pairs of different rows, (pairs, 2), that may be mixed, for each county."""
    pairs: dict[str, NDArray[np.intp]] = {}
    for county in np.unique(real.county):
        limit = yield_gap * real.yields[real.county == county].std()
        members = np.flatnonzero(rows.county == county)
        first, second = np.triu_indices(len(members), 1)
        close = np.abs(rows.yields[members[first]] - rows.yields[members[second]]) <= limit
        pairs[str(county)] = np.stack([members[first[close]], members[second[close]]], axis=1)
    return pairs


def drawn(real: Samples, rows: Samples, settings: AugmentationSettings, random: np.random.Generator) -> Samples:
    """Rows from an autoencoder that was fitted to ``rows``; only such as could be real.

    Raises:
        TvaeError: it draws hardly any such row.
    """
    shape = rows.season.shape[1:]
    continuous = np.column_stack([rows.season.reshape(len(rows), -1), rows.area_ha, rows.yields])
    lowest, highest = _bounds(np.column_stack([real.season.reshape(len(real), -1), real.area_ha, real.yields]))
    model = TableAutoencoder.fit(continuous, [rows.county, rows.year], settings.tvae, int(random.integers(2**31)))

    def possible(values: FloatArray) -> NDArray[np.bool_]:
        return np.asarray(((values >= lowest) & (values <= highest)).all(axis=1))

    values, (county, year) = model.draw(round(settings.tvae_rows * len(real)), possible)
    return Samples(
        season=values[:, :-2].reshape(-1, *shape),
        county=county.astype(np.str_),
        year=year.astype(np.int64),
        area_ha=values[:, -2],
        yields=values[:, -1],
        weight=np.full(len(values), float(real.weight.mean())),
    )


def _bounds(real: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest value that could be real, by column: a tenth of the range beyond what was seen.

    What was never negative, such as an area, a yield or a reflectance, stays so.
    """
    low, high = real.min(axis=0), real.max(axis=0)
    margin = 0.1 * (high - low) + 1e-9 * np.abs(high)
    return np.where(low > 0, np.maximum(low - margin, 0.01 * low), np.where(low == 0, 0, low - margin)), high + margin
