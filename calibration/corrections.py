"""Three ways to correct a prediction by blocks where yield was observed, and which of them the blocks prefer.

* ratio: corrected = α x predicted, the paper's (Pan and Liu, Plants 2026, 15, 213, equations 6 and 7). Right where the
  model errs by a proportion.
* additive: corrected = predicted + δ. Right where it misses a constant.
* log-linear: corrected = c x predicted^b. Right where it reads good blocks low and poor ones high (b > 1), as models do
  that were trained on regional means, or the other way round (b < 1).

Each is fitted so that corrected and observed yield agree in total. With enough blocks, each block is left out in turn
and predicted from the others (Stone, Journal of the Royal Statistical Society B 1974, 36, 111); the ratio stays unless
another form errs less by more than one standard error of the paired difference (the rule of Breiman et al.,
Classification and Regression Trees 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal, get_args

import numpy as np

from calibration.errors import CalibrationError, FloatArray, Numbers, require_numbers, require_positive
from calibration.estimate import Estimate

Form = Literal["ratio", "additive", "log-linear"]
FORMS: tuple[Form, ...] = get_args(Form)
ENOUGH_BLOCKS = 8  # with fewer, choosing costs more where the ratio is right than it gains where it is not
SLOPES = (0.0, 3.0)  # predictions that hardly differ may give any slope; what lies beyond these is their noise
_PARAMETERS: Mapping[Form, int] = {"ratio": 1, "additive": 1, "log-linear": 2}


@dataclass(frozen=True)
class FittedCorrection:
    """A correction of predicted yields.

    Attributes:
        form: which one.
        level: ratio, α; additive, δ in kg/ha; log-linear, the corrected yield at ``reference`` in kg/ha.
        slope: exponent b of the log-linear form, held within :data:`SLOPES`; 1 in the others.
        reference: predicted yield in kg/ha that a log-linear correction turns about, 1 in the others.
        predicted_range: lowest and highest prediction it was fitted to, in kg/ha.
    """

    form: Form
    level: float
    slope: float
    reference: float
    predicted_range: tuple[float, float]

    def apply(self, predicted_kg_per_ha: Numbers) -> FloatArray:
        """Corrected yields in kg/ha, none below 0.

        Args:
            predicted_kg_per_ha: predictions, shape (blocks,).

        Raises:
            CalibrationError: a prediction that is not above 0.
        """
        predicted = _predictions(predicted_kg_per_ha)
        if self.form == "additive":
            return np.maximum(predicted + self.level, 0.0)
        return self.level * (predicted / self.reference) ** self.slope

    def extrapolates(self, predicted_kg_per_ha: Numbers) -> bool:
        """Whether any prediction lies outside those it was fitted to by more than a tenth."""
        predicted = _predictions(predicted_kg_per_ha)
        low, high = self.predicted_range
        return bool((predicted < low / 1.1).any() or (predicted > high * 1.1).any())


@dataclass(frozen=True)
class Choice:
    """The correction that suits these blocks.

    Attributes:
        correction: fitted to all of them.
        reason: why this form, in words.
        errors_kg_per_ha: mean absolute error of each form on blocks left out; empty where there were too few to tell.
        block_error: error of a block left out, 0 ± its root mean square; None where there were too few blocks.
    """

    correction: FittedCorrection
    reason: str
    errors_kg_per_ha: Mapping[Form, float] = field(default_factory=dict)
    block_error: Estimate | None = None

    def block_yield(self, predicted_kg_per_ha: float) -> Estimate:
        """Corrected yield in kg/ha of one more block, its variance what the blocks left out showed.

        Raises:
            CalibrationError: a prediction that is not above 0, or too few blocks to know the error.
        """
        if self.block_error is None:
            raise CalibrationError(
                f"the error of a corrected block is unknown from fewer than {ENOUGH_BLOCKS} blocks: measure more, or "
                "take the interval of the block's own sampled trees"
            )
        value = float(self.correction.apply([predicted_kg_per_ha])[0])
        return Estimate(value, self.block_error.variance, self.block_error.degrees_of_freedom)


def fit_correction(
    form: Form, observed_kg_per_ha: Numbers, predicted_kg_per_ha: Numbers, weights: Numbers | None = None
) -> FittedCorrection:
    """Fit one form to blocks.

    Args:
        form: one of :data:`FORMS`.
        observed_kg_per_ha: yield observed in each block, shape (blocks,).
        predicted_kg_per_ha: yield predicted for it, shape (blocks,).
        weights: how much each block counts, such as its area; all alike if None.

    Raises:
        CalibrationError: an unknown form, lists that do not fit together, a value that is impossible, or blocks that
            the form cannot be fitted to.
    """
    if form not in FORMS:
        raise CalibrationError(f"form of correction {form!r} is unknown; known are {', '.join(FORMS)}")
    observed, predicted, shares = _blocks(observed_kg_per_ha, predicted_kg_per_ha, weights)
    if form == "log-linear" and not _has_slope(observed, predicted, least=2):
        raise CalibrationError(
            "a log-linear correction needs two different predictions and observed yields above 0; use the ratio"
        )
    return _fit(form, observed, predicted, shares)


def choose_correction(
    observed_kg_per_ha: Numbers, predicted_kg_per_ha: Numbers, weights: Numbers | None = None
) -> Choice:
    """The form that predicts blocks it has not seen best, the ratio if in doubt; arguments as :func:`fit_correction`.

    Raises:
        CalibrationError: lists that do not fit together or a value that is impossible.
    """
    observed, predicted, shares = _blocks(observed_kg_per_ha, predicted_kg_per_ha, weights)
    blocks = len(observed)
    if blocks < ENOUGH_BLOCKS:
        reason = f"the ratio, as {blocks} {'block is' if blocks == 1 else 'blocks are'} too few to tell forms apart"
        return Choice(_fit("ratio", observed, predicted, shares), f"{reason}; {ENOUGH_BLOCKS} would be enough")
    # one may be left out
    forms = [form for form in FORMS if form != "log-linear" or _has_slope(observed, predicted, least=3)]
    errors = {form: _left_out_errors(form, observed, predicted, shares) for form in forms}
    means = {form: float(shares @ np.abs(error)) for form, error in errors.items()}
    chosen: Form = min(means, key=lambda form: means[form])
    gain, doubt = _gain(errors["ratio"], errors[chosen], shares)
    if chosen == "ratio":
        reason = f"the ratio errs least in {blocks} blocks left out in turn"
    elif gain <= doubt:
        reason = f"the ratio, as the {chosen} form errs less in {blocks} blocks left out in turn by no more than chance"
        chosen = "ratio"
    else:
        reason = f"the {chosen} form errs {gain:.0f} kg/ha less than the ratio in {blocks} blocks left out in turn"
    mean_square = float(shares @ errors[chosen] ** 2)
    return Choice(
        correction=_fit(chosen, observed, predicted, shares),
        reason=reason,
        errors_kg_per_ha=means,
        block_error=Estimate(0.0, mean_square, blocks - _PARAMETERS[chosen]),
    )


def _fit(form: Form, observed: FloatArray, predicted: FloatArray, shares: FloatArray) -> FittedCorrection:
    reach = float(predicted.min()), float(predicted.max())
    if form == "additive":
        return FittedCorrection(form, float(shares @ (observed - predicted) / shares.sum()), 1.0, 1.0, reach)
    slope, reference = 1.0, 1.0
    if form == "log-linear":
        centre = float(shares @ np.log(predicted) / shares.sum())
        along = np.log(predicted) - centre
        slope = float(np.clip(shares @ (along * np.log(observed)) / (shares @ along**2), *SLOPES))
        reference = float(np.exp(centre))
    level = float(shares @ observed / (shares @ (predicted / reference) ** slope))
    return FittedCorrection(form, level, slope, reference, reach)


def _left_out_errors(form: Form, observed: FloatArray, predicted: FloatArray, shares: FloatArray) -> FloatArray:
    """Corrected less observed yield of each block, predicted from the others; shape (blocks,)."""
    errors = np.empty_like(observed)
    for i in range(len(observed)):
        others = np.arange(len(observed)) != i
        fitted = _fit(form, observed[others], predicted[others], shares[others])
        errors[i] = fitted.apply(predicted[i : i + 1])[0] - observed[i]
    return errors


def _gain(ratio: FloatArray, other: FloatArray, shares: FloatArray) -> tuple[float, float]:
    """By how much less the other form errs, and that difference's standard error."""
    differences = np.abs(ratio) - np.abs(other)
    mean = float(shares @ differences)
    return mean, sqrt(float(shares**2 @ (differences - mean) ** 2) * len(shares) / (len(shares) - 1))


def _has_slope(observed: FloatArray, predicted: FloatArray, least: int) -> bool:
    return bool((observed > 0).all()) and len(np.unique(predicted)) >= least


def _blocks(
    observed: Numbers, predicted: Numbers, weights: Numbers | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Observed, predicted, and weights that sum to 1."""
    seen = require_numbers(observed, "observed yield of a block", "review its counts, or leave the block out")
    said = _predictions(predicted)
    shares = np.ones(len(seen))
    if weights is not None:
        shares = require_numbers(weights, "weight of a block", "use its area or its number of trees", above_zero=True)
    if not len(seen) == len(said) == len(shares):
        raise CalibrationError(
            f"{len(seen)} blocks have an observed yield, {len(said)} a predicted one and {len(shares)} a weight; give "
            "the same blocks in the same order"
        )
    require_positive(float(seen.sum()), "observed yield of all blocks together", "review the counts")
    return seen, said, shares / shares.sum()


def _predictions(predicted: Numbers) -> FloatArray:
    return require_numbers(predicted, "predicted yield of a block", "check the predictions file", above_zero=True)
