"""Where the sampled trees stand in the orchard, and what a satellite model's error between areas then adds.

The correction factor is measured on some trees and used for all. Trees scattered over the whole orchard by a design
show the model's error between its areas themselves: it is in their spread. Trees of one area do not: that area's
factor differs from the orchard's by log α_area - log α_orchard ~ N(0, τ²), however many trees are photographed in it.
An area picked by hand because it looks good differs in one direction too.

τ² is learned from areas whose factor and whose orchard's are both known (:func:`learn_between_areas`). Before that a
default stands. In nine real orchards whose trees were harvested one by one (Batchelor and Reed 1918, Parker and
Batchelor 1932, Strickland 1935, through the R package agridat) the logarithm of the mean of about 30 neighbouring
trees over that of the orchard has a standard deviation of 0.07 to 0.27, sampling variance taken off, with a root mean
square of 0.17 and a scatter between orchards like that of a variance with three to seven degrees of freedom. A model
that sees a third of that variance, as one on Sentinel-2 did in fields it was not trained on, is left with 0.14; the
default is 0.15 with six.
"""

from __future__ import annotations

from math import exp
from typing import Literal

import numpy as np

from calibration.errors import CalibrationError, FloatArray, Numbers, require_numbers
from calibration.estimate import Estimate, exact
from calibration.shared_factors import SharedFactor

BETWEEN_AREAS = "satellite error between areas"
Siting = Literal["scattered", "one area", "hand-picked"]
SITINGS: tuple[Siting, ...] = ("scattered", "one area", "hand-picked")

DEFAULT_BETWEEN_AREAS = Estimate(0.0, 0.15**2, 6)
_DEFAULT_AREAS = 2
# Mean and variance of the best of five independent standard normal values: a person compares about five areas, and
# what looks good agrees with what the model misses by a correlation between 0 and 1 that nobody knows.
_BEST_OF_FIVE = (1.163, 0.447)


def area_factor(siting: Siting, learned: Estimate | None = None, areas: int | None = None) -> SharedFactor:
    """What the factor of the sampled trees is multiplied by to be that of the orchard.

    Args:
        siting: where the sampled trees stand.
        learned: log α of such an area less that of its orchard, from :func:`learn_between_areas` or, for areas picked
            by hand, :func:`learn_hand_picked`; None takes the default.
        areas: number of areas it was learned from, for the reader.

    Raises:
        CalibrationError: an unknown siting.
    """
    if siting not in SITINGS:
        raise CalibrationError(f"siting {siting!r} is unknown; known are {', '.join(SITINGS)}")
    if siting == "scattered":
        return SharedFactor(BETWEEN_AREAS, exact(1.0), "trees scattered over the whole orchard by the design")
    source = "default" if learned is None else f"learned from {'' if areas is None else f'{areas} '}earlier areas"
    picked = siting == "hand-picked"
    error = learned or (_picked_by_default(DEFAULT_BETWEEN_AREAS) if picked else DEFAULT_BETWEEN_AREAS)
    value = exp(-error.value)
    warning = (
        f"the sampling area was picked by hand, and such areas bear more than the orchard: the corrected yield is "
        f"multiplied by {value:.2f} for it ({source}); sample trees of the whole orchard instead"
    )
    return SharedFactor(
        BETWEEN_AREAS,
        Estimate(value, value**2 * error.variance, error.degrees_of_freedom),
        f"{'hand-picked area' if picked else 'one area'} of the orchard, {source}",
        warnings=(warning,) if picked else (),
    )


def learn_between_areas(log_ratios: Numbers, variances: Numbers) -> Estimate:
    """How much log α differs between areas of an orchard, from areas of orchards whose own α became known.

    The mean square of the ratios, less what their measurement put into it, is joined with the default, which counts as
    two more areas: it is another model's error, and on the safe side.

    Args:
        log_ratios: log(α of the area / α of its orchard), of areas that nobody chose for their looks.
        variances: relative variance of each area's α from its measurement: which trees, and what they share.

    Returns:
        0 with the variance τ².

    Raises:
        CalibrationError: fewer than two areas, or a number that is none.
    """
    ratios, measuring = _checked(log_ratios, variances)
    return _with_default(float(np.square(ratios).mean() - measuring.mean()), len(ratios))


def learn_hand_picked(log_ratios: Numbers, variances: Numbers) -> Estimate:
    """How much log α of a hand-picked area exceeds its orchard's, from areas picked by the same people before.

    Args:
        log_ratios: log(α of the area / α of its orchard).
        variances: relative variance of each area's α from its measurement: which trees, and what they share.

    Returns:
        The mean excess, with the variance between areas and that of the mean.

    Raises:
        CalibrationError: fewer than two areas, or a number that is none.
    """
    ratios, measuring = _checked(log_ratios, variances)
    areas, scatter = len(ratios), float(ratios.var(ddof=1))
    between = _with_default(scatter - float(measuring.mean()), areas - 1)
    return Estimate(float(ratios.mean()), between.variance + scatter / areas, between.degrees_of_freedom)


def _with_default(seen: float, degrees_of_freedom: float) -> Estimate:
    together = _DEFAULT_AREAS + degrees_of_freedom
    variance = (_DEFAULT_AREAS * DEFAULT_BETWEEN_AREAS.variance + degrees_of_freedom * max(0.0, seen)) / together
    return Estimate(0.0, variance, together)


def _checked(log_ratios: Numbers, variances: Numbers) -> tuple[FloatArray, FloatArray]:
    sampling = require_numbers(variances, "variance of an area's factor", "estimate the area again", least=2)
    ratios = np.asarray(log_ratios, dtype=np.float64)
    if ratios.shape != sampling.shape or not np.isfinite(ratios).all():
        raise CalibrationError(
            f"log_ratios holds {np.isfinite(ratios).sum()} numbers and variances {len(sampling)}; give both of each"
        )
    return ratios, sampling


def _picked_by_default(between: Estimate) -> Estimate:
    mean, variance = _BEST_OF_FIVE
    # with the correlation uniform on 0 to 1: E[r] = 1/2, E[r²] = 1/3, Var[r] = 1/12
    spread = 1 - (1 - variance) / 3 + mean**2 / 12
    return Estimate(mean / 2 * between.standard_error, spread * between.variance, between.degrees_of_freedom)
