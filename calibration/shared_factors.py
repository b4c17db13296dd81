"""What turns fruit counted into fruit there, or into kg, for all sampled trees alike.

Its error moves all trees together: photographing more of them does not make it smaller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np

from calibration.errors import CalibrationError, FloatArray, Numbers, require_not_negative, require_numbers
from calibration.estimate import Estimate, exact

DETECTOR = "detector"
_REVIEW = "review the counts of this visit"


@dataclass(frozen=True)
class SharedFactor:
    """A factor that all sampled trees share.

    Attributes:
        name: what it is called in tables, such as ``detector``.
        factor: what counts are multiplied by.
        choice: how it was come by, to be kept with the estimate.
        includes: names of other factors that are already in it and must not be applied again.
        warnings: what the reader should know before relying on it.
    """

    name: str
    factor: Estimate
    choice: str
    includes: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def once_each(factors: Iterable[SharedFactor]) -> tuple[SharedFactor, ...]:
    """The factors, without those that another one already includes.

    Raises:
        CalibrationError: two factors of one name.
    """
    given = tuple(factors)
    names = [factor.name for factor in given]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise CalibrationError(f"the factor {double[0]!r} is given twice; leave one out")
    included = frozenset[str]().union(*(factor.includes for factor in given))
    return tuple(factor for factor in given if factor.name not in included)


def detector_factor(bias: float, variance: float, trees: int, rows: int = 0) -> SharedFactor:
    """Fruit to see for each one counted, from the count bias in a bundle's manifest.

    Another orchard is to the detector's test rows what one more row would be: it differs from their mean by the
    variance between rows and by the error of that mean. Where rows were not known, the variance is that of the test
    trees' mean alone, and what other orchards do is not in it.

    Args:
        bias: (counted - labelled) / labelled at the visit's growth stage.
        variance: variance of that share between orchard rows, or of its mean where ``rows`` is 0.
        trees: trees it was measured on.
        rows: orchard rows they stand in; 0 where not known.

    Raises:
        CalibrationError: a bias of -1 or less, a negative variance, or fewer than two trees.
    """
    remedy = "install the bundle again"
    if not -1 < bias < inf:
        raise CalibrationError(f"count bias of the detector is {bias:g}, which counts nothing: {remedy}")
    require_not_negative(variance, "variance of the detector's count bias", remedy)
    units = rows or trees
    if units < 2:
        raise CalibrationError(f"count bias of the detector was measured on {trees} tree; it takes two: {remedy}")
    value = 1 / (1 + bias)
    of_another = variance * (1 + 1 / rows) if rows else variance
    unknown_rows = (
        f"the detector's count bias was measured on {trees} trees of rows that are not known: how much it differs "
        "between orchards is not in the interval"
    )
    return SharedFactor(
        DETECTOR,
        Estimate(value, of_another * value**4, units - 1),
        f"count bias {bias * 100:+.1f} % from the bundle, measured on {trees} trees"
        + (f" of {rows} rows" if rows else ""),
        warnings=() if rows else (unknown_rows,),
    )


def unknown_detector() -> SharedFactor:
    """Counts taken as they are, since nothing is known of their bias at this stage; with a warning."""
    return SharedFactor(
        DETECTOR,
        exact(1.0),
        "counts taken as they are",
        warnings=("the detector's count bias at this growth stage is not known and not in the interval",),
    )


def partly_reviewed(
    machine: Numbers, reviewed: Iterable[float | None], detector: SharedFactor
) -> tuple[FloatArray, SharedFactor]:
    """Counts of which a person has reviewed some: the detector's bias is in the others only.

    Args:
        machine: the detector's count of each tree.
        reviewed: the count of a person that replaces it, None where nobody has looked.
        detector: what the detector's counts are multiplied by.

    Returns:
        The count of each tree, (trees,), the detector's bias taken off, and the factor that remains: 1, with the
        detector's error in proportion to the fruit that it alone has counted.

    Raises:
        CalibrationError: a count that is negative or no number, or counts of other trees.
    """
    counted = require_numbers(machine, "count of a tree", _REVIEW)
    replaced = np.array([np.nan if count is None else float(count) for count in reviewed])
    if len(replaced) != len(counted):
        raise CalibrationError(f"{len(counted)} counts and {len(replaced)} reviews were given; give both of each tree")
    by_person = ~np.isnan(replaced)
    require_numbers(replaced[by_person], "reviewed count of a tree", _REVIEW, least=0)
    counts = np.where(by_person, replaced, counted * detector.factor.value)
    total = float(counts.sum())
    share = float(counts[~by_person].sum()) / total if total else float(not by_person.all())
    remaining = Estimate(1.0, detector.factor.relative_variance * share**2, detector.factor.degrees_of_freedom)
    people = int(by_person.sum())
    choice = f"{detector.choice}; {people} of {len(counts)} trees reviewed" if people else detector.choice
    return counts, SharedFactor(DETECTOR, remaining, choice, warnings=detector.warnings if share else ())
