"""Observed yield of the sampled trees, and of what they stand for: fruit x what they share / ground of a tree.

The mean count errs with the sampling design (:mod:`calibration.sampling`); the factors that turn counted fruit into kg
are shared by all trees, so their errors are multiplied in once (:mod:`calibration.shared_factors`).
"""

from __future__ import annotations

from dataclasses import dataclass

from calibration.errors import FloatArray, require_positive
from calibration.estimate import Estimate, product
from calibration.sampling import Design, mean_per_tree
from calibration.shared_factors import SharedFactor, once_each
from calibration.units import M2_PER_HA

TREES = "differences between trees"
_G_PER_KG = 1000.0


@dataclass(frozen=True)
class Component:
    """One of the errors an interval is made of.

    Attributes:
        name: what errs.
        relative_variance: its variance as a share of the estimate, squared.
        degrees_of_freedom: how well that is known.
        choice: how the figure was come by.
    """

    name: str
    relative_variance: float
    degrees_of_freedom: float
    choice: str


@dataclass(frozen=True, eq=False)
class SampledTrees:
    """The counted trees, and what turns their counts into yield.

    Attributes:
        counts: (trees,) fruit of each; in the order walked where the design is systematic.
        design: how the trees were chosen.
        area_m2: ground area of the sampled trees, measured or from :func:`sampling_area_m2`.
        factors: fruit weight in g, detector, visibility, sides and background, as far as known.
        names: code of each tree, for warnings; none where they have none.

    Raises:
        CalibrationError: an area that is not above zero, or a factor given twice.
    """

    counts: FloatArray
    design: Design
    area_m2: float
    factors: tuple[SharedFactor, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_positive(
            self.area_m2, "area of the sampled trees in m²", "measure it, or give the block's trees and area"
        )
        object.__setattr__(self, "factors", once_each(self.factors))

    @property
    def per_fruit(self) -> Estimate:
        """Yield in kg/ha for each fruit counted on a mean tree."""
        shared = product([factor.factor for factor in self.factors])
        return shared.times(len(self.counts) / self.area_m2 * M2_PER_HA / _G_PER_KG)


@dataclass(frozen=True)
class Observed:
    """Yield from counts.

    Attributes:
        kg_per_ha: the yield.
        components: the errors in it.
        warnings: what the reader should know before relying on it.
    """

    kg_per_ha: Estimate
    components: tuple[Component, ...]
    warnings: tuple[str, ...]


def sampling_area_m2(trees: int, trees_per_ha: float) -> float:
    """Ground area of sampled trees from the planting density.

    Raises:
        CalibrationError: no tree, or a density that is not above zero.
    """
    require_positive(trees, "number of sampled trees", "photograph at least one tree")
    return trees / require_positive(trees_per_ha, "trees per ha", "give the block's trees and area") * M2_PER_HA


def observed_yield(trees: SampledTrees) -> Observed:
    """Yield per area of the trees that the sample stands for, by the delta method.

    Args:
        trees: the counted trees.

    Raises:
        CalibrationError: fewer than two trees, a count that is negative or no number, or a design that does not fit.
    """
    mean = mean_per_tree(trees.counts, trees.design)
    return Observed(
        product([mean, trees.per_fruit]),
        components(mean, trees.design, trees.factors),
        tuple(warning for factor in trees.factors for warning in factor.warnings),
    )


def components(trees: Estimate, design: Design, factors: tuple[SharedFactor, ...]) -> tuple[Component, ...]:
    """The errors of an estimate: which trees were sampled, then each shared factor."""
    own = Component(TREES, trees.relative_variance, trees.degrees_of_freedom, f"sample: {design.name}")
    return (
        own,
        *(
            Component(each.name, each.factor.relative_variance, each.factor.degrees_of_freedom, each.choice)
            for each in factors
        ),
    )
