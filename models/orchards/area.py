"""Areas and accuracies from a map and a reference sample: the stratified estimators of Olofsson et al. (2014).

Source: Olofsson, Foody, Herold, Stehman, Woodcock, Wulder, Good practices for estimating area and assessing accuracy
of land change, Remote Sensing of Environment 148 (2014), 42-57; the numbers in brackets are its equations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.maps.errors import MapError

_Z_95 = 1.96  # the paper's own factor for 95 %
M2_PER_HA = 10_000.0
MU_PER_HA = 15.0


@dataclass(frozen=True, eq=False)
class Estimated:
    """Figures of each class with their standard errors.

    Attributes:
        value: (k,) the estimates.
        standard_error: (k,) their standard errors.
    """

    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]

    @property
    def half_width(self) -> NDArray[np.float64]:
        """(k,) half of the interval of 95 %."""
        return _Z_95 * self.standard_error


@dataclass(frozen=True, eq=False)
class AreaEstimate:
    """What a map and a reference sample say of areas and accuracies.

    Attributes:
        proportions: (k, k) estimated shares of the whole area, map in rows, reference in columns (4).
        area: of each class, in the unit of the mapped areas (9) to (11).
        users: user's accuracy of each class (2), (6).
        producers: producer's accuracy of each class (3), (7).
        overall: overall accuracy, one entry (1), (5).
    """

    proportions: NDArray[np.float64]
    area: Estimated
    users: Estimated
    producers: Estimated
    overall: Estimated


def stratified_area(counts: ArrayLike, mapped_area: ArrayLike) -> AreaEstimate:
    """Estimate areas and accuracies from reference points drawn at random within each class of the map.

    Args:
        counts: (k, k) reference points by class of the map (rows) and class that is there (columns).
        mapped_area: (k,) area of each class on the map, in any unit.

    Raises:
        MapError: shapes that do not fit, an area below 0, or a mapped class with fewer than two points.
    """
    n = np.asarray(counts, dtype=np.float64)
    areas = np.asarray(mapped_area, dtype=np.float64)
    if n.ndim != 2 or n.shape != (len(areas), len(areas)):
        raise MapError(f"an error matrix of shape {n.shape} does not fit {len(areas)} mapped areas")
    if (n < 0).any() or (areas < 0).any() or areas.sum() <= 0:
        raise MapError("counts and mapped areas must not be below 0, and some area must be mapped")
    # a class that is not on the map is no stratum: it has no share and needs no points
    there = areas > 0
    rows = n.sum(1)
    for index in np.flatnonzero(there & (rows < 2)):
        raise MapError(
            f"class {index} of the map has {rows[index]:.0f} reference points; draw two at least in each class"
        )
    rows = np.where(there, rows, 2.0)
    weights = areas / areas.sum()
    shares = n / rows[:, None]
    proportions = weights[:, None] * shares
    # variance of each row's share, the sampling of its stratum
    variances = shares * (1 - shares) / (rows - 1)[:, None]
    share_of_class = proportions.sum(0)
    area = Estimated(share_of_class * areas.sum(), np.sqrt((weights[:, None] ** 2 * variances).sum(0)) * areas.sum())
    right = np.diag(shares)
    right_variance = np.diag(variances)
    overall = Estimated(np.array([proportions.trace()]), np.sqrt(np.array([(weights**2 * right_variance).sum()])))
    return AreaEstimate(
        proportions=proportions,
        area=area,
        users=Estimated(np.where(there, right, np.nan), np.where(there, np.sqrt(right_variance), np.nan)),
        producers=_producers(areas, proportions, variances, right_variance),
        overall=overall,
    )


def _producers(
    areas: NDArray[np.float64],
    proportions: NDArray[np.float64],
    variances: NDArray[np.float64],
    right_variance: NDArray[np.float64],
) -> Estimated:
    found = proportions.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        producers = np.diag(proportions) / found
        size = found * areas.sum()
        elsewhere = (areas[:, None] ** 2 * variances).sum(0) - areas**2 * right_variance
        variance = (areas**2 * (1 - producers) ** 2 * right_variance + producers**2 * elsewhere) / size**2
    return Estimated(producers, np.sqrt(variance))
