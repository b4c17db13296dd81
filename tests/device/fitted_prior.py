"""A prior of the correction factor as a server would send it."""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from typing import Any

from calibration.pooling import BlockFactor, fit_prior
from device.factor_prior import SCHEMA

# region, year, variety and factor of blocks measured before
BLOCKS = [
    (region, year, variety, factor + year_effect + 0.02 * number)
    for region, factor in (("Zhaoyuan", 1.3), ("Qixia", 0.8))
    for year, year_effect in ((2023, 0.0), (2024, 0.1))
    for variety in ("Fuji", "Gala")
    for number in range(3)
]


def prior_document(**changes: Any) -> dict[str, Any]:
    """The document; fields replaced or, where None, left out."""
    prior = fit_prior(
        [
            BlockFactor(log(factor), 0.003, 29, 30, region, year, variety, other_variance=0.01)
            for region, year, variety, factor in BLOCKS
        ]
    )
    document = {"schema": SCHEMA, "regions": {"North farm": "Zhaoyuan"}, **prior.to_document(), **changes}
    return {field: value for field, value in document.items() if value is not None}


def write_prior(path: Path, **changes: Any) -> Path:
    """The document in a file."""
    path.write_text(json.dumps(prior_document(**changes)))
    return path
