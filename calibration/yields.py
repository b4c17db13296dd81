"""From counts to observed yield, and from observed to corrected yield.

Source: Pan and Liu, Plants 2026, 15, 213, equations (6) and (7): α = Y_true_sample / Y_pred_sample on the sampling
area, Y* = α · Y_pred for the orchard, with Y_true_sample = fruit counted x single fruit weight / ground area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from calibration.errors import CalibrationError, require_positive
from calibration.intervals import student_t_quantile
from calibration.units import M2_PER_HA

CONFIDENCE = 0.95
PLAUSIBLE_FACTOR = (0.3, 3.0)
FEW_TREES = 10


@dataclass(frozen=True)
class Range:
    """A value with its confidence interval.

    Attributes:
        value: the estimate.
        low: lower end, never below 0; None where one tree alone says nothing about spread.
        high: upper end.
    """

    value: float
    low: float | None
    high: float | None

    def times(self, factor: float) -> Range:
        """Everything multiplied by a factor above zero."""
        scaled = (None if end is None else end * factor for end in (self.low, self.high))
        return Range(self.value * factor, *scaled)


@dataclass(frozen=True)
class Correction:
    """What a sampling area says about the orchard's predicted yield.

    Attributes:
        observed_kg_per_ha: yield of the sampling area from its counts.
        predicted_area_kg_per_ha: yield the model predicts for the sampling area.
        predicted_orchard_kg_per_ha: yield the model predicts for the orchard.
        factor: α, observed / predicted on the sampling area.
        corrected_kg_per_ha: α x the orchard's predicted yield.
        warnings: what the reader should know before relying on it.
    """

    observed_kg_per_ha: Range
    predicted_area_kg_per_ha: float
    predicted_orchard_kg_per_ha: float
    factor: Range
    corrected_kg_per_ha: Range
    warnings: tuple[str, ...]


def sampling_area_m2(trees: int, trees_per_ha: float) -> float:
    """Ground area of sampled trees from the planting density.

    Raises:
        CalibrationError: no tree, or a density that is not above zero.
    """
    require_positive(trees, "number of sampled trees", "photograph at least one tree")
    return trees / require_positive(trees_per_ha, "trees per ha", "give the block's trees and area") * M2_PER_HA


def observed_yield(counts: Sequence[int], fruit_weight_g: float, area_m2: float) -> Range:
    """Yield of the sampling area from the fruit counted on its trees.

    The interval covers how much trees differ (Student's t on their mean, trees taken as a simple random sample); it
    does not cover fruit the camera missed, the fruit weight or the detector's own error.

    Args:
        counts: fruit counted on each sampled tree.
        fruit_weight_g: single fruit weight in g.
        area_m2: ground area of the sampled trees in m².

    Returns:
        Yield in kg/ha.

    Raises:
        CalibrationError: no tree, a negative count, or a weight or area that is not above zero.
    """
    if not counts:
        raise CalibrationError("there is no count to estimate from; photograph at least one tree of the block")
    numbers = np.asarray(counts, dtype=np.float64)
    if not np.isfinite(numbers).all() or (numbers < 0).any():
        raise CalibrationError("a tree's count is negative or no number; review the counts of this visit")
    require_positive(fruit_weight_g, "single fruit weight in g", "weigh a few fruit, or set it for the block")
    require_positive(area_m2, "area of the sampled trees in m²", "measure it, or give the block's trees and area")
    kg_per_ha = fruit_weight_g / 1000 / area_m2 * M2_PER_HA
    total, trees = float(numbers.sum()), len(numbers)
    if trees == 1:
        return Range(total * kg_per_ha, None, None)
    quantile = student_t_quantile((1 + CONFIDENCE) / 2, trees - 1)
    half = quantile * float(numbers.std(ddof=1)) * sqrt(trees)  # of the total: trees x the mean's half width
    return Range(total * kg_per_ha, max(0.0, total - half) * kg_per_ha, (total + half) * kg_per_ha)


def correct(
    observed_kg_per_ha: Range, predicted_area_kg_per_ha: float, predicted_orchard_kg_per_ha: float, trees: int
) -> Correction:
    """Correct the orchard's predicted yield by what was observed on its sampling area.

    Args:
        observed_kg_per_ha: yield of the sampling area from its counts.
        predicted_area_kg_per_ha: yield the model predicts for the sampling area.
        predicted_orchard_kg_per_ha: yield the model predicts for the orchard.
        trees: sampled trees, for the warnings.

    Raises:
        CalibrationError: a prediction that is not above zero.
    """
    require_positive(predicted_area_kg_per_ha, "predicted yield of the sampling area", "check the predictions file")
    require_positive(predicted_orchard_kg_per_ha, "predicted yield of the orchard", "check the predictions file")
    factor = observed_kg_per_ha.times(1 / predicted_area_kg_per_ha)
    return Correction(
        observed_kg_per_ha=observed_kg_per_ha,
        predicted_area_kg_per_ha=predicted_area_kg_per_ha,
        predicted_orchard_kg_per_ha=predicted_orchard_kg_per_ha,
        factor=factor,
        corrected_kg_per_ha=factor.times(predicted_orchard_kg_per_ha),
        warnings=_warnings(factor.value, trees),
    )


def _warnings(factor: float, trees: int) -> tuple[str, ...]:
    low, high = PLAUSIBLE_FACTOR
    warnings = []
    if not low <= factor <= high:
        warnings.append(
            f"the correction factor {factor:.2f} lies outside {low:g} to {high:g}: check the fruit weight, the area of "
            "the sampled trees and the units of the predictions"
        )
    if trees < FEW_TREES:
        warnings.append(
            f"only {trees} {'tree was' if trees == 1 else 'trees were'} sampled: photograph at least {FEW_TREES}"
        )
    return tuple(warnings)
