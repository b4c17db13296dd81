"""What becomes of flowers: shares that remain from stage to stage, and the weight of a fruit in the end.

A rate's logarithm is normal over seasons, with a median and a spread that are known no better than from so many seasons
(normal-inverse-chi-square; Gelman et al., Bayesian Data Analysis, 3rd edition 2013, section 3.3). A device starts with
the defaults below; harvests teach better ones (:mod:`calibration.season_scores`).

Sources of the defaults. From flower to harvest they keep 0.22 x 0.50 x 0.95 x 0.92 = 9.6 %: 5 to 10 % of the blossoms
make a full crop (newenglandapples.blogspot.com, June drop, 2010), about 10 % was the target of precision thinning at
the University of Massachusetts (jmcextman.blogspot.com, December 2017), 1 flower in 6 sets a good fruit in a normal
year (NIAB, Apple Best Practice Guide, flower numbers). Just before harvest 5 to 25 % fall from varieties that drop
(Robinson and Hoying, Cornell, in Good Fruit Grower, Why stop drop?). How the losses until July are divided between
fruit set and June drop with thinning, and all spreads, are our own reading: nine seasons of ten keep between 4 and
24 %. Growers thin to a target, so a block's own seasons soon tell more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, inf, log, sqrt
from typing import Any

from calibration.errors import CalibrationError, require_positive
from calibration.estimate import Estimate
from calibration.fruit_weight import ASSUMED_WEIGHT_G

STAGES = ("flowering", "young_fruit", "fruit_expansion", "ripening")
FRUIT_WEIGHT = "fruit_weight"
STEPS = (*STAGES, FRUIT_WEIGHT)


@dataclass(frozen=True)
class Rate:
    """A rate over seasons.

    Attributes:
        median: share of fruit that remains until the next stage, or the weight of a fruit in g.
        spread: standard deviation of its logarithm between seasons.
        seasons: how many seasons median and spread are worth; not whole where seasons were known in part.

    Raises:
        CalibrationError: a median or spread that is not above 0, or less than one season.
    """

    median: float
    spread: float
    seasons: float

    def __post_init__(self) -> None:
        require_positive(self.median, "median of a rate", "give the share of fruit that remains, or a weight in g")
        require_positive(self.spread, "spread of a rate", "give the standard deviation of its logarithm, such as 0.2")
        if not 1 <= self.seasons < inf:
            raise CalibrationError(f"seasons of a rate are {self.seasons:g}; it must be 1 or more: use 1 for a guess")

    @property
    def log(self) -> Estimate:
        """Logarithm of the rate in a season to come."""
        return Estimate(log(self.median), self.spread**2 * (1 + 1 / self.seasons), self.seasons)

    def learn(self, shift: float, share: float) -> Rate:
        """The rate after another season.

        Args:
            shift: expected log rate of that season, given all that was seen of it, less the log median.
            share: how much of the season's log rate was seen, from 0 (nothing: the shift is 0) to 1 (all).
        """
        seasons = self.seasons + share
        square = (self.seasons * self.spread**2 + self.seasons / seasons * shift**2) / seasons
        return Rate(self.median * exp(shift / seasons), sqrt(square), seasons)


@dataclass(frozen=True)
class SeasonRates:
    """One rate for each of :data:`STEPS`: what remains from each stage to the next, from ripening to the scale, and g.

    Raises:
        CalibrationError: a step without a rate.
    """

    steps: Mapping[str, Rate]

    def __post_init__(self) -> None:
        if set(self.steps) != set(STEPS):
            given, wanted = ", ".join(self.steps), ", ".join(STEPS)
            raise CalibrationError(f"rates are given for {given or 'nothing'}; give one for each of {wanted}")

    def with_fruit_weight(self, weight_g: float, spread: float, seasons: float) -> SeasonRates:
        """The same with the weight of another variety; arguments as in :class:`Rate`."""
        return SeasonRates({**self.steps, FRUIT_WEIGHT: Rate(weight_g, spread, seasons)})

    def to_document(self) -> dict[str, Any]:
        """Plain values that JSON holds without loss; :func:`rates_from_document` reads them."""
        return {step: asdict(rate) for step, rate in self.steps.items()}


def rates_from_document(document: Mapping[str, Any]) -> SeasonRates:
    """The rates whose ``to_document`` gave these values.

    Raises:
        CalibrationError: a value that is missing, of the wrong kind or impossible.
    """
    try:
        return SeasonRates({step: Rate(**values) for step, values in document.items()})
    except (TypeError, AttributeError) as error:
        raise CalibrationError(f"the document of season rates cannot be read ({error}); fetch it again") from error


DEFAULT_RATES = SeasonRates(
    {
        "flowering": Rate(0.22, 0.26, 3),
        "young_fruit": Rate(0.50, 0.20, 3),
        "fruit_expansion": Rate(0.95, 0.04, 3),
        "ripening": Rate(0.92, 0.05, 3),
        FRUIT_WEIGHT: Rate(ASSUMED_WEIGHT_G, 0.12, 3),  # nine of ten between 144 and 277 g
    }
)


def steps_after(stage: str) -> Sequence[str]:
    """The stages whose rates still apply to fruit counted at a stage.

    Raises:
        CalibrationError: an unknown stage.
    """
    if stage not in STAGES:
        raise CalibrationError(f"stage {stage!r} is unknown; known are {', '.join(STAGES)}")
    return STAGES[STAGES.index(stage) :]
