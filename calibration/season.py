"""A harvest foretold from flowers or young fruit, and corrected as later visits arrive.

On the logarithmic scale a visit says log harvest = log count + Σ log rates of the stages to come, each with a variance.
Visits are combined by generalised least squares (Aitken, Proceedings of the Royal Society of Edinburgh 1935, 55, 42),
which is inverse-variance weighting that knows what visits share: the rates still to come, the luck of having sampled
these trees, and what all counts of one stage have wrong alike. So two visits at flowering do not make fruit set any
surer, and a count at ripening outweighs all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, inf, log

import numpy as np

from calibration.errors import CalibrationError, FloatArray, require_not_negative, require_positive
from calibration.estimate import Estimate
from calibration.season_rates import FRUIT_WEIGHT, STAGES, SeasonRates, steps_after

# Relative standard deviation between counts of the same trees a week apart in one stage: fruit that fell meanwhile,
# light, where the photographer stood; ours.
VISIT_SPREAD = 0.05
_KG_PER_G = 1e-3


@dataclass(frozen=True)
class StageVisit:
    """What was counted on one day.

    Attributes:
        day: of the visit.
        stage: one of :data:`STAGES`.
        fruit_per_tree: mean of the sampled trees, at flowering flowers; as it hangs, hidden fruit included.
        tree_variance: relative variance of that mean from which trees were sampled.
        stage_variance: relative variance from what all counts of the stage share (detector, visibility).
        degrees_of_freedom: of ``tree_variance``.
        sampling_area: visits of the same sampling area saw the same trees; the empty name is an area too.
    """

    day: date
    stage: str
    fruit_per_tree: float
    tree_variance: float
    stage_variance: float = 0.0
    degrees_of_freedom: float = inf
    sampling_area: str = ""

    def __post_init__(self) -> None:
        steps_after(self.stage)
        require_positive(
            self.fruit_per_tree,
            f"fruit_per_tree at {self.stage}",
            "review the counts; a block without flowers or fruit has no harvest to foretell",
        )
        for field in ("tree_variance", "stage_variance"):
            require_not_negative(getattr(self, field), field, "give the variance over the squared mean")
        if not self.degrees_of_freedom >= 1:
            raise CalibrationError(
                f"degrees_of_freedom is {self.degrees_of_freedom:g}; it must be 1 or more: sample at least two trees"
            )


@dataclass(frozen=True)
class Forecast:
    """A harvest as foretold on one day, for a tree on average.

    Attributes:
        day: of the latest visit in it.
        stage: of that visit.
        fruit_per_tree: fruit at harvest; median of a lognormal distribution, as its ``positive_interval`` is.
        kg_per_tree: weight at harvest, likewise.
        visit_weights: share of each visit in it, in order of their days; they sum to 1.
    """

    day: date
    stage: str
    fruit_per_tree: Estimate
    kg_per_tree: Estimate
    visit_weights: tuple[float, ...]

    @property
    def expected_kg_per_tree(self) -> float:
        """Mean of the distribution, for adding up blocks; above the median, as a lognormal leans."""
        return self.kg_per_tree.value * exp(self.kg_per_tree.relative_variance / 2)


def forecasts(visits: Sequence[StageVisit], rates: SeasonRates) -> list[Forecast]:
    """The forecast after each visit, from it and all before it.

    Args:
        visits: of one block in one season, in any order.
        rates: what remains from stage to stage.

    Returns:
        One forecast a visit, in order of their days.

    Raises:
        CalibrationError: no visit.
    """
    if not visits:
        raise CalibrationError("visits is empty; count flowers or fruit once to foretell a harvest")
    ordered = sorted(visits, key=lambda visit: (visit.day, STAGES.index(visit.stage)))
    return [_forecast(ordered[: i + 1], rates) for i in range(len(ordered))]


def _forecast(visits: Sequence[StageVisit], rates: SeasonRates) -> Forecast:
    logs = {step: rate.log for step, rate in rates.steps.items()}
    told = np.array(
        [log(visit.fruit_per_tree) + sum(logs[s].value for s in steps_after(visit.stage)) for visit in visits]
    )
    lasting = np.array([[step in steps_after(visit.stage) for step in STAGES] for visit in visits], dtype=np.float64)
    rate_variances = np.array([logs[step].variance for step in STAGES])
    trees, stages, own = visit_errors(visits)
    covariance = (lasting * rate_variances) @ lasting.T + trees + stages + own
    precise = np.linalg.solve(covariance, np.ones(len(visits)))
    weights = precise / precise.sum()
    shares = weights @ lasting  # how much of each rate's error comes through
    parts = [
        Estimate(0.0, variance * share**2, logs[step].degrees_of_freedom)
        for step, variance, share in zip(STAGES, rate_variances.tolist(), shares.tolist(), strict=True)
    ]
    parts.append(Estimate(0.0, float(weights @ trees @ weights), min(visit.degrees_of_freedom for visit in visits)))
    parts.append(Estimate(0.0, float(weights @ (stages + own) @ weights)))
    value, weight = float(weights @ told), logs[FRUIT_WEIGHT]
    return Forecast(
        day=visits[-1].day,
        stage=visits[-1].stage,
        fruit_per_tree=_lognormal(value, parts),
        kg_per_tree=_lognormal(value + weight.value + log(_KG_PER_G), [*parts, weight]),
        visit_weights=tuple(weights.tolist()),
    )


def visit_errors(visits: Sequence[StageVisit]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Covariances of the visits' errors on the logarithmic scale: from the trees, from the stage, each visit's own.

    What two visits share is at most the smaller of their variances, so that neither is told to count backwards.

    Returns:
        Three arrays of shape (visits, visits).
    """
    trees = _shared([visit.tree_variance for visit in visits], [visit.sampling_area for visit in visits])
    stages = _shared([visit.stage_variance for visit in visits], [visit.stage for visit in visits])
    return trees, stages, np.eye(len(visits)) * VISIT_SPREAD**2


def _shared(variances: Sequence[float], groups: Sequence[str]) -> FloatArray:
    values, names = np.array(variances), np.array(groups)
    return np.where(names[:, None] == names, np.minimum.outer(values, values), 0.0)


def _lognormal(value: float, parts: Sequence[Estimate]) -> Estimate:
    """The median with its variance, and degrees of freedom averaged over the parts as they share in it.

    Satterthwaite's would add them up, which holds the truth too seldom where parts are known from three seasons each:
    for a prediction their unknown variances are spread too (the Behrens-Fisher problem).
    """
    variance = sum(part.variance for part in parts)
    doubt = sum(part.variance / part.degrees_of_freedom for part in parts)
    median = exp(value)
    return Estimate(median, median**2 * variance, variance / doubt if doubt else inf)
