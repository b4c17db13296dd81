"""Corrected yields of many blocks by drawing again, without the delta method's assumption that errors are small.

The estimator is that of :func:`calibration.yields.correct`. Which trees were sampled is drawn again as the design
drew them. Trees of a simple random sample, or of a stratum, are drawn with replacement, their deviations stretched so
that the variance is the estimator's own, finite population included (Rao and Wu, Journal of the American Statistical
Association 1988, 83, 231). A systematic sample has one draw only: its successive differences get random signs and
sizes, which has the variance of successive differences (Fay and Train, ASA Proceedings, Government Statistics 1995,
154). What trees share is drawn from its own error, once for all blocks that share it. Quantiles of so few trees fall
short; they are stretched as Student's t is to the normal distribution (the expanded percentile interval of Hesterberg,
The American Statistician 2015, 69, 371).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from calibration.errors import CalibrationError, FloatArray
from calibration.estimate import Estimate, product
from calibration.intervals import student_t_quantile
from calibration.observed import SampledTrees
from calibration.sampling import Design, SimpleRandom, Stratified, Systematic, not_sampled, ratio_per_tree
from calibration.shared_factors import SharedFactor
from calibration.yields import Predicted

LEAST_DRAWS = 100
_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class Block:
    """What is known of a block, as :func:`calibration.yields.correct` takes it.

    Attributes:
        trees: the counted trees.
        predicted: what the model predicts for them and for the block or orchard.
        area: what trees of this siting say of it.
    """

    trees: SampledTrees
    predicted: Predicted
    area: SharedFactor


@dataclass(frozen=True, eq=False)
class Drawn:
    """Corrected yields drawn again.

    Attributes:
        kg_per_ha: (blocks,) the estimates.
        deviations: (blocks, draws) logarithm of the same with every error drawn, less that of the estimate; errors that
            blocks share are the same in a column.
        degrees_of_freedom: (blocks,) how well the variance of the errors is known, together.
    """

    kg_per_ha: FloatArray
    deviations: FloatArray
    degrees_of_freedom: FloatArray

    def intervals(self, confidence: float) -> FloatArray:
        """(blocks, 2) lower and upper ends in kg/ha: quantiles of the draws, stretched as Student's t is to the normal.

        Raises:
            CalibrationError: the confidence is out of range.
        """
        if not 0 < confidence < 1:
            raise CalibrationError(f"a confidence of {confidence:g} cannot be; use one between 0 and 1, such as 0.9")
        tail = (1 - confidence) / 2
        # the draws nearest to the quantiles; sorting them all would take longer than drawing
        ends = [round(share * (self.deviations.shape[1] - 1)) for share in (tail, 1 - tail)]
        normal = student_t_quantile(1 - tail, inf)
        stretch = [student_t_quantile(1 - tail, degrees) / normal for degrees in self.degrees_of_freedom.tolist()]
        quantiles = np.partition(self.deviations, ends, axis=1)[:, ends]
        intervals: FloatArray = self.kg_per_ha[:, None] * np.exp(quantiles * np.array(stretch)[:, None])
        return intervals


def draw_again(blocks: Sequence[Block], draws: int, random: np.random.Generator) -> Drawn:
    """Draw the corrected yield of each block again and again.

    Args:
        blocks: the blocks; those with an equal shared factor share its error.
        draws: times to draw; 1000 give ends within a few per cent of the interval's width.
        random: the source of chance.

    Raises:
        CalibrationError: too few draws, or a block that yield cannot be estimated from.
    """
    if draws < LEAST_DRAWS:
        raise CalibrationError(f"{draws} draws are too few for an interval; take at least {LEAST_DRAWS}")
    shared: dict[SharedFactor, FloatArray] = {}
    drawn = Drawn(np.empty(len(blocks)), np.empty((len(blocks), draws)), np.empty(len(blocks)))
    for i, block in enumerate(blocks):
        found = ratio_per_tree(block.trees.counts, block.predicted.trees_kg_per_ha, block.trees.design)
        yields = product([found, block.trees.per_fruit, block.area.factor])
        drawn.kg_per_ha[i] = yields.value * block.predicted.orchard_kg_per_ha
        drawn.degrees_of_freedom[i] = yields.degrees_of_freedom
        _draw_trees(block, found, random, drawn.deviations[i])
        drawn.deviations[i] += _draw_factor(block.area, draws, random)
        for factor in block.trees.factors:
            if factor not in shared:
                shared[factor] = _draw_factor(factor, draws, random)
            drawn.deviations[i] += shared[factor]
    return drawn


def _draw_factor(factor: SharedFactor, draws: int, random: np.random.Generator) -> FloatArray:
    """(draws,) deviations of the factor's logarithm."""
    deviations: FloatArray = sqrt(factor.factor.relative_variance) * random.standard_normal(draws)
    return deviations


def _draw_trees(block: Block, found: Estimate, random: np.random.Generator, out: FloatArray) -> None:
    """Fill in (draws,) deviations of the logarithm of counts over predictions."""
    if not found.value or not found.variance:
        out[:] = 0
        return
    design = block.trees.design
    table = np.stack([block.trees.counts, block.predicted.trees_kg_per_ha])
    if isinstance(design, Systematic):
        means = _successive_differences(table, design, len(out), random)
    else:
        means = _with_replacement(table, design, len(out), random)
    means = means.clip(min=_SMALLEST)
    np.log(means[0] / means[1] / found.value, out=out)


def _with_replacement(table: FloatArray, design: Design, draws: int, random: np.random.Generator) -> FloatArray:
    """(2, draws) means of both rows of the table, trees drawn with replacement within strata."""
    means = np.zeros((2, draws))
    for members, share in _strata(design, table.shape[1]):
        trees = len(members)
        weight = design.weights(table.shape[1])[members[0]] * trees
        mean = table[:, members].mean(axis=1, keepdims=True)
        stretched = mean + sqrt(share * trees / max(1, trees - 1)) * (table[:, members] - mean)
        chosen = random.integers(trees, size=(trees, draws), dtype=np.int32)
        means += weight / trees * np.stack([row.take(chosen).sum(axis=0) for row in stretched])
    return means


def _strata(design: Design, trees: int) -> list[tuple[NDArray[np.intp], float]]:
    """Sampled trees of each stratum, and the share of it that was not sampled."""
    if isinstance(design, Stratified):
        labels = np.array(design.strata)
        members = {stratum: np.flatnonzero(labels == stratum) for stratum in design.population}
        return [(found, not_sampled(design.population[name], len(found))) for name, found in members.items()]
    if isinstance(design, SimpleRandom):
        return [(np.arange(trees), not_sampled(design.population, trees))]
    raise CalibrationError(f"no way is known to draw a sample again that is {design.name}; use the delta method")


def _successive_differences(
    table: FloatArray, design: Systematic, draws: int, random: np.random.Generator
) -> FloatArray:
    """(2, draws) means of both rows of the table, each difference of neighbours with a random sign and size."""
    trees = table.shape[1]
    scale = sqrt(not_sampled(design.population, trees) / (2 * trees * (trees - 1)))
    means: FloatArray = table.mean(axis=1, keepdims=True) + scale * np.diff(table) @ random.standard_normal(
        (trees - 1, draws)
    )
    return means
