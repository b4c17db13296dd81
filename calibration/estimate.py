"""An estimated number: its value, how far it may be off, and how well that in turn is known.

Everything yield is computed from is an estimate, and most are products: fruit a tree x weight of a fruit x fruit hidden
for each one seen. The variance of a product is the delta method's, the degrees of freedom behind it are Satterthwaite's
(Biometrics Bulletin 1946, 2, 110), and the interval of a product of positive numbers is symmetric in its logarithm, so
that it never reaches below zero and leans the way skewed counts do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, isnan, prod, sqrt

from calibration.errors import CalibrationError
from calibration.intervals import student_t_quantile


@dataclass(frozen=True)
class Estimate:
    """A number with its variance.

    Attributes:
        value: the number.
        variance: variance of its error, in the number's unit squared.
        degrees_of_freedom: how well the variance is known: that of a sample of one more; infinite where it is given.

    Raises:
        CalibrationError: a value that is no number, a negative variance, or fewer than one degree of freedom.
    """

    value: float
    variance: float
    degrees_of_freedom: float = inf

    def __post_init__(self) -> None:
        if not isfinite(self.value) or not isfinite(self.variance) or self.variance < 0:
            raise CalibrationError(
                f"an estimate of {self.value:g} with the variance {self.variance:g} cannot be; give a finite value and "
                "a variance not below 0"
            )
        if isnan(self.degrees_of_freedom) or self.degrees_of_freedom < 1:
            raise CalibrationError(
                f"a variance with {self.degrees_of_freedom:g} degrees of freedom says nothing; it takes at least two "
                "trees, fruit or blocks"
            )

    @property
    def standard_error(self) -> float:
        """Square root of the variance."""
        return sqrt(self.variance)

    @property
    def relative_variance(self) -> float:
        """Variance over the squared value; 0 of a value of 0."""
        return self.variance / self.value**2 if self.value else 0.0

    def interval(self, confidence: float) -> tuple[float, float]:
        """Value ± Student's t x standard error.

        Args:
            confidence: share of such intervals that hold the truth, above 0 and below 1.

        Raises:
            CalibrationError: the confidence is out of range.
        """
        half = _quantile(confidence, self.degrees_of_freedom) * self.standard_error
        return self.value - half, self.value + half

    def positive_interval(self, confidence: float) -> tuple[float, float]:
        """The interval of a number that cannot be negative: value x exp(± Student's t x relative standard error).

        Args:
            confidence: share of such intervals that hold the truth, above 0 and below 1.

        Raises:
            CalibrationError: the confidence is out of range, or the value is negative.
        """
        if self.value < 0:
            raise CalibrationError(
                f"{self.value:g} is negative and has no interval above 0; use one that may be negative"
            )
        quantile = _quantile(confidence, self.degrees_of_freedom)
        if not self.value:
            return 0.0, quantile * self.standard_error
        factor = exp(quantile * sqrt(self.relative_variance))
        return self.value / factor, self.value * factor

    def times(self, factor: float) -> Estimate:
        """The estimate multiplied by a number that is known exactly."""
        return Estimate(self.value * factor, self.variance * factor**2, self.degrees_of_freedom)


def exact(value: float) -> Estimate:
    """A number that is known."""
    return Estimate(value, 0.0)


def product(estimates: Sequence[Estimate]) -> Estimate:
    """The product of independent estimates, by the delta method."""
    values = [estimate.value for estimate in estimates]
    parts = [
        Estimate(0.0, estimate.variance * prod(values[:i] + values[i + 1 :]) ** 2, estimate.degrees_of_freedom)
        for i, estimate in enumerate(estimates)
    ]
    return Estimate(prod(values), sum(part.variance for part in parts), satterthwaite(parts))


def weighted_sum(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """The sum of independent estimates, each times a known weight."""
    parts = [estimate.times(weight) for estimate, weight in zip(estimates, weights, strict=True)]
    return Estimate(sum(part.value for part in parts), sum(part.variance for part in parts), satterthwaite(parts))


def satterthwaite(parts: Iterable[Estimate]) -> float:
    """Degrees of freedom of the sum of the parts' variances: (Σ v)² / Σ v²/ν; infinite where there is no variance."""
    known = [part for part in parts if part.variance > 0]
    spread = sum(part.variance**2 / part.degrees_of_freedom for part in known)
    return sum(part.variance for part in known) ** 2 / spread if spread else inf


def _quantile(confidence: float, degrees_of_freedom: float) -> float:
    if not 0 < confidence < 1:
        raise CalibrationError(f"a confidence of {confidence:g} cannot be; use one between 0 and 1, such as 0.9")
    return student_t_quantile((1 + confidence) / 2, degrees_of_freedom)
