"""The features of a season file as columns of a yield table, in the order in which networks take them."""

from __future__ import annotations

from models.earth.variables import BANDS, INDICES, VARIABLES
from models.yields.table import Feature

SEASON_FEATURES = (
    *(Feature(name, "spectral") for name in BANDS),
    *(Feature(variable.name, "environmental", variable.unit) for variable in VARIABLES),
    *(Feature(name, "index") for name in INDICES),
)
