"""From observed yield to the correction factor and the corrected yield of the orchard.

Source: Pan and Liu, Plants 2026, 15, 213, equations (6) and (7): α = Y_true_sample / Y_pred_sample on the sampling
area, Y* = α · Y_pred for the orchard. The variance is ours: α is a ratio of means over the sampled trees (Cochran,
Sampling Techniques, 3rd edition 1977, 6.13), times factors that all of them share, times what one area says of others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.errors import FloatArray, require_numbers, require_positive
from calibration.estimate import Estimate, product
from calibration.guard_rails import few_trees, implausible_factor, one_tree_carries
from calibration.observed import Component, SampledTrees, components, observed_yield
from calibration.sampling import ratio_per_tree
from calibration.shared_factors import SharedFactor

CONFIDENCE = 0.95
_CHECK = "check the predictions file"


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the satellite model predicts.

    Attributes:
        trees_kg_per_ha: (trees,) yield predicted for the cell each sampled tree stands in.
        orchard_kg_per_ha: yield predicted for what is to be corrected, an orchard or a block.

    Raises:
        CalibrationError: a prediction that is not above zero.
    """

    trees_kg_per_ha: FloatArray
    orchard_kg_per_ha: float

    def __post_init__(self) -> None:
        require_numbers(self.trees_kg_per_ha, "predicted yield of the sampling area", _CHECK, above_zero=True)
        require_positive(self.orchard_kg_per_ha, "predicted yield of the orchard", _CHECK)


def predicted_alike(trees: int, area_kg_per_ha: float, orchard_kg_per_ha: float) -> Predicted:
    """One prediction for the whole sampling area.

    Raises:
        CalibrationError: a prediction that is not above zero.
    """
    require_positive(area_kg_per_ha, "predicted yield of the sampling area", _CHECK)
    return Predicted(np.full(trees, area_kg_per_ha), orchard_kg_per_ha)


@dataclass(frozen=True)
class Correction:
    """What sampled trees say about the predicted yield of an orchard or block.

    Attributes:
        observed_kg_per_ha: yield of the sampling area from its counts.
        predicted_area_kg_per_ha: yield the model predicts for the sampling area.
        predicted_orchard_kg_per_ha: yield the model predicts for the orchard.
        factor: α, observed / predicted on the sampling area, with the error of taking it for the orchard's.
        corrected_kg_per_ha: the orchard's yield: α x its predicted yield; less where the area was picked by hand.
        components: the errors in it, and how each was come by.
        warnings: what the reader should know before relying on it.
    """

    observed_kg_per_ha: Estimate
    predicted_area_kg_per_ha: float
    predicted_orchard_kg_per_ha: float
    factor: Estimate
    corrected_kg_per_ha: Estimate
    components: tuple[Component, ...]
    warnings: tuple[str, ...]


def correct(trees: SampledTrees, predicted: Predicted, area: SharedFactor) -> Correction:
    """Correct the yield predicted for an orchard or block by what was observed on sampled trees.

    Args:
        trees: the counted trees.
        predicted: what the model predicts for them and for the orchard.
        area: what trees of this siting say of the orchard, from :func:`calibration.siting.area_factor`.

    Raises:
        CalibrationError: fewer than two trees, a count that is negative or no number, a design that does not fit, or
            predictions of other trees.
    """
    observed = observed_yield(trees)
    of_counts = ratio_per_tree(trees.counts, predicted.trees_kg_per_ha, trees.design)
    # α is that of the sampling area; its error as the orchard's is in its variance
    factor = product([of_counts, trees.per_fruit, area.factor.times(1 / area.factor.value)])
    weights = trees.design.weights(len(trees.counts))
    return Correction(
        observed_kg_per_ha=observed.kg_per_ha,
        predicted_area_kg_per_ha=float(weights @ predicted.trees_kg_per_ha),
        predicted_orchard_kg_per_ha=predicted.orchard_kg_per_ha,
        factor=factor,
        corrected_kg_per_ha=factor.times(area.factor.value * predicted.orchard_kg_per_ha),
        components=components(of_counts, trees.design, (*trees.factors, area)),
        warnings=(
            *observed.warnings,
            *area.warnings,
            *implausible_factor(factor.value),
            *trees.design.warnings(trees.counts),
            *few_trees(len(trees.counts)),
            *one_tree_carries(trees.counts, trees.names or None),
        ),
    )
