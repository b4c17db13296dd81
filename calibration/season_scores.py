"""When the harvest is weighed: how good each forecast was, and what the season taught.

A forecast is scored by its error and by its interval, which should be narrow and hold the truth (the interval score of
Gneiting and Raftery, Journal of the American Statistical Association 2007, 102, 359, equation 43, on the logarithmic
scale). The rates learn from the season's own log rates, as far as visits and harvest tell them: expected values given
all counts, weights and what was known before, with a share of a season each for what was seen of it (the expectation
step of Dempster, Laird and Rubin, Journal of the Royal Statistical Society B 1977, 39, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import log, sqrt

import numpy as np

from calibration.errors import CalibrationError, FloatArray, require_positive
from calibration.season import Forecast, StageVisit, visit_errors
from calibration.season_rates import STAGES, STEPS, SeasonRates, steps_after

SCALE_SPREAD = 0.02  # relative standard deviation of a weighed harvest: scales, bins that went elsewhere; ours
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Harvest:
    """What was weighed in the end.

    Attributes:
        kg_per_tree: weight picked over trees picked, of the whole block.
        spread: its relative standard deviation.
        fruit_weight_g: mean weight of a fruit, if a sample was weighed.
        fruit_weight_spread: its relative standard deviation.
    """

    kg_per_tree: float
    spread: float = SCALE_SPREAD
    fruit_weight_g: float | None = None
    fruit_weight_spread: float = 0.03

    def __post_init__(self) -> None:
        require_positive(
            self.kg_per_tree, "kg_per_tree of the harvest", "weigh the harvest, or leave the season unscored"
        )
        require_positive(self.spread, "spread of the harvest", "give the error of its weight, such as 0.02")
        require_positive(self.fruit_weight_spread, "fruit_weight_spread", "give the error of the mean, such as 0.03")
        if self.fruit_weight_g is not None:
            require_positive(self.fruit_weight_g, "fruit_weight_g of the harvest", "weigh a few fruit, or leave it out")


@dataclass(frozen=True)
class Score:
    """How good a forecast was.

    Attributes:
        day: it was made on.
        stage: of the latest visit in it.
        error: forecast less harvest, as a share of the harvest.
        held: whether its interval held the harvest.
        interval: that interval in kg a tree.
        interval_score: logarithmic width of the interval, and how far it missed the harvest x 2 / (1 - confidence).
        surprise: log forecast less log harvest in standard deviations.
    """

    day: date
    stage: str
    error: float
    held: bool
    interval: tuple[float, float]
    interval_score: float
    surprise: float


def score_forecasts(forecasts: Sequence[Forecast], harvest: Harvest, confidence: float = CONFIDENCE) -> list[Score]:
    """Score every forecast of a season.

    Args:
        forecasts: of one block in one season.
        harvest: what was weighed.
        confidence: of the intervals.

    Raises:
        CalibrationError: the confidence is out of range.
    """
    return [_score(forecast, harvest, confidence) for forecast in forecasts]


def _score(forecast: Forecast, harvest: Harvest, confidence: float) -> Score:
    low, high = forecast.kg_per_tree.positive_interval(confidence)
    beyond = max(log(low / harvest.kg_per_tree), log(harvest.kg_per_tree / high), 0.0)
    off = log(forecast.kg_per_tree.value / harvest.kg_per_tree)
    return Score(
        day=forecast.day,
        stage=forecast.stage,
        error=forecast.kg_per_tree.value / harvest.kg_per_tree - 1,
        held=low <= harvest.kg_per_tree <= high,
        interval=(low, high),
        interval_score=log(high / low) + 2 / (1 - confidence) * beyond,
        surprise=off / sqrt(forecast.kg_per_tree.relative_variance + harvest.spread**2),
    )


def learn_rates(rates: SeasonRates, visits: Sequence[StageVisit], harvest: Harvest) -> SeasonRates:
    """What the next season is foretold with.

    Args:
        rates: that this season was foretold with.
        visits: of one block in this season.
        harvest: what was weighed.

    Raises:
        CalibrationError: no visit.
    """
    if not visits:
        raise CalibrationError("visits is empty; without a count a harvest teaches nothing of the rates")
    before = np.array([log(rates.steps[step].median) for step in STEPS])
    spreads = np.array([rates.steps[step].spread for step in STEPS])
    after, covariance = _season_rates(before, spreads, visits, harvest)
    seen = np.clip(1 - np.diag(covariance) / spreads**2, 0, 1)
    pairs = zip(STEPS, (after - before).tolist(), seen.tolist(), strict=True)
    return SeasonRates({step: rates.steps[step].learn(shift, share) for step, shift, share in pairs})


def _season_rates(
    before: FloatArray, spreads: FloatArray, visits: Sequence[StageVisit], harvest: Harvest
) -> tuple[FloatArray, FloatArray]:
    """This season's log rates and their covariance, given all that was seen; shapes (steps,) and (steps, steps).

    The unknowns are log fruit a tree at harvest, of which nothing is known before, and the log rates.
    """
    rows = [[1.0, *(-float(step in steps_after(visit.stage)) for step in STAGES), 0.0] for visit in visits]
    seen = [log(visit.fruit_per_tree) for visit in visits]
    ends = [([1.0, *[0.0] * len(STAGES), 1.0], log(harvest.kg_per_tree * 1000), harvest.spread)]
    if harvest.fruit_weight_g is not None:
        weighed = [0.0, *[0.0] * len(STAGES), 1.0]
        ends.append((weighed, log(harvest.fruit_weight_g), harvest.fruit_weight_spread))
    design = np.array(rows + [row for row, _, _ in ends])
    errors = np.zeros((len(design), len(design)))
    errors[: len(visits), : len(visits)] = sum(visit_errors(visits))
    errors[range(len(visits), len(design)), range(len(visits), len(design))] = [spread**2 for _, _, spread in ends]
    told = np.linalg.solve(errors, np.column_stack([design, seen + [value for _, value, _ in ends]]))
    precision = design.T @ told[:, :-1]
    precision[1:, 1:] += np.diag(1 / spreads**2)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (design.T @ told[:, -1] + np.append(0.0, before / spreads**2))
    return mean[1:], covariance[1:, 1:]
