"""Composites: the median of what was clear, lazy and in memory alike."""

from __future__ import annotations

import numpy as np
import xarray as xr

from models.earth.composites import median_composites
from models.earth.periods import months, ten_days

DAYS = ["2023-04-03", "2023-04-13", "2023-04-23", "2023-06-05"]


def scenes(seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), 9, 11)
    bands = {name: (("time", "y", "x"), rng.normal(0.2, 0.05, shape).astype(np.float32)) for name in ("B04", "B08")}
    moments = np.array(DAYS, dtype="datetime64[ns]")
    return xr.Dataset({**bands, "clear": (("time", "y", "x"), rng.random(shape) < 0.6)}, {"time": moments})


def test_they_are_xarrays_own_median_of_the_masked_scenes() -> None:
    drawn = scenes()
    made = median_composites(drawn, months("2023-04", "2023-06"))
    expected = drawn[["B04", "B08"]].where(drawn["clear"]).resample(time="MS").median()
    for band in ("B04", "B08"):
        np.testing.assert_array_max_ulp(made[band].values, expected[band].values, maxulp=1)
    assert made.indexes["time"].strftime("%Y-%m-%d").tolist() == ["2023-04-01", "2023-05-01", "2023-06-01"]


def test_lazy_and_in_memory_are_the_same() -> None:
    eager = median_composites(scenes(), ten_days("2023-04", "2023-06"))
    lazy = median_composites(scenes().chunk(time=1, y=4, x=5), ten_days("2023-04", "2023-06"))
    assert lazy["B04"].chunks is not None
    assert lazy["B04"].chunks[1:] == ((4, 4, 1), (5, 5, 1))
    xr.testing.assert_identical(lazy.compute(), eager)


def test_the_clear_share_is_told_and_a_period_without_a_date_is_empty() -> None:
    drawn = scenes()
    made = median_composites(drawn, months("2023-04", "2023-06"))
    np.testing.assert_allclose(made["clear_share"][0], drawn["clear"][:3].mean("time"), rtol=1e-6)
    assert np.isnan(made["clear_share"][1]).all()
    assert np.isnan(made["B04"][1]).all()
    np.testing.assert_array_equal(np.isnan(made["B04"][0]), made["clear_share"][0] == 0)
