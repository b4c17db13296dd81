"""Writes the season of the virtual orchard, one of a simulated county's: python -m tests.make_virtual_season."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.yields.simulated import Simulation, simulate_counties

FILE = Path("device/virtual_orchard/season.json")
YEAR = 2025


def content() -> str:
    """The season of a county that bears in that year as counties do."""
    table = simulate_counties(Simulation(first_year=YEAR, years=1))
    row = int(np.argsort(table.yield_kg_per_ha)[len(table) // 2])
    variables = {
        feature.name: {
            "unit": feature.unit,
            "values": [float(f"{value:.6g}") for value in table.season[row, :, place]],
        }
        for place, feature in enumerate(table.features)
    }
    told = {
        "region": table.region,
        "county": str(table.county[row]),
        "county_area_ha": round(float(table.area_ha[row]), 1),
        "year": YEAR,
        "months": table.months,
        "variables": variables,
    }
    return json.dumps(told, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(content(), encoding="utf-8")
