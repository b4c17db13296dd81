"""The ratio of two totals, from units that carry both: how a part learned on a few trees is carried over to many.

Sources: Cochran, Sampling Techniques, 3rd edition 1977, 6.2 (ratio of totals) and 6.17 (its jackknife variance); that
the ratio is also the maximum likelihood slope when both counts have errors in proportion to the fruit,
:mod:`calibration.visibility`.
"""

from __future__ import annotations

import numpy as np

from calibration.errors import CalibrationError, Numbers, require_numbers
from calibration.estimate import Estimate

_BY_HAND = "count at least two trees by hand, none of them bare"


def ratio_of_totals(above: Numbers, below: Numbers, field: str, remedy: str = _BY_HAND) -> Estimate:
    """Σ above / Σ below over independent units, with the variance of the jackknife.

    The ratio of totals is what one total is multiplied by to become the other, whichever units are large; and errors
    in the counts below do not bias it, as they would a regression (:mod:`calibration.visibility`).

    Args:
        above: a number of each tree.
        below: another of the same trees.
        field: what is estimated, for messages.
        remedy: what to do where there is too little, for messages.

    Raises:
        CalibrationError: fewer than two trees, a number that is negative or none, or fewer than two trees with fruit.
    """
    over = require_numbers(above, field, remedy, least=2)
    under = require_numbers(below, field, remedy, least=2)
    if len(over) != len(under):
        raise CalibrationError(f"{field}: {len(over)} and {len(under)} trees were given; give both counts of each tree")
    trees, rest = len(over), under.sum() - under
    if (rest <= 0).any():
        raise CalibrationError(f"{field}: there are not two trees with fruit: {remedy}")
    left_out = (over.sum() - over) / rest
    variance = (trees - 1) / trees * float(np.square(left_out - left_out.mean()).sum())
    return Estimate(float(over.sum() / under.sum()), variance, trees - 1)
