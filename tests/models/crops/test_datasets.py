"""Series from a table of points and from a store of composites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from models.crops.datasets import read_store, read_table, thematic_labels
from models.crops.series import CropError


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lon": [105.011, 105.012, 104.0, 107.0, 108.0],
            "lat": [35.0, 35.001, 35.0, 35.0, 35.0],
            "crop": ["rice", "corn", "rice", None, "corn"],
            "crop_group": ["cereals"] * 5,
            "county": ["a", "a", "b", "b", "b"],
            "B08_2026-05": [0.5, 0.6, 0.7, 0.8, np.nan],
            "B04_2026-04": [0.1, 0.2, 0.3, 0.4, 0.1],
            "B08_2026-04": [0.3, np.nan, 0.3, 0.3, np.nan],
            "B04_2026-05": [0.2, 0.2, 0.2, 0.2, 0.2],
        }
    )


def test_a_table_of_points(tmp_path: Path) -> None:
    _table().to_parquet(tmp_path / "points.parquet")
    pixels = read_table(tmp_path / "points.parquet", region="county")
    assert (pixels.bands, pixels.steps) == (("B08", "B04"), ("2026-04", "2026-05"))
    assert len(pixels) == 3  # one has no label, one was never seen in B08
    assert [pixels.legend[i] for i in pixels.label] == ["rice", "corn", "rice"]
    assert [pixels.regions[i] for i in pixels.region] == ["a", "a", "b"]
    assert pixels.block[0] == pixels.block[1] != pixels.block[2]
    assert pixels.values[1] == pytest.approx(np.array([[0.6, 0.2], [0.6, 0.2]]))


@pytest.mark.parametrize(
    ("gone", "remedy"),
    [
        ("crop", "no column 'crop'"),
        ("B04_2026-05", "no column 'B04_2026-05'"),
        ("lat", "neither block nor lon and lat"),
    ],
)
def test_a_table_without_what_it_takes_is_refused(tmp_path: Path, gone: str, remedy: str) -> None:
    _table().drop(columns=gone).to_parquet(tmp_path / "points.parquet")
    with pytest.raises(CropError, match=remedy):
        read_table(tmp_path / "points.parquet")


def test_a_store_with_its_thematic_map(tmp_path: Path) -> None:
    """Two parcels of 20 x 40 pixels; without their borders 18 x 38 are left, and the nearest of other numbers too."""
    codes = np.zeros((40, 40), np.int32)
    codes[:20], codes[20:] = 7, 9
    random = np.random.default_rng(0)
    image = xr.DataArray(random.random((3, 40, 40), dtype=np.float32), dims=("time", "y", "x"))
    image[1, 5, 5] = np.nan
    times = np.array(["2026-04-01", "2026-05-01", "2026-06-01"], "datetime64[ns]")
    store = xr.Dataset({"B04": image, "B08": 2 * image, "crop": (("y", "x"), codes)}, coords={"time": times}).chunk(
        {"time": 1}
    )
    store.to_zarr(tmp_path / "store.zarr", zarr_format=2)
    pixels = read_store(tmp_path / "store.zarr", {7: "rice", 9: "corn"})
    assert pixels.counts().tolist() == [19 * 40, 19 * 40]
    assert pixels.values.shape == (2 * 19 * 40, 3, 2)
    assert pixels.steps == ("2026-04-01", "2026-05-01", "2026-06-01")
    gap = 5 * 40 + 5
    assert pixels.values[gap, 1, 0] == pytest.approx(float(image[0, 5, 5] + image[2, 5, 5]) / 2)
    assert len(np.unique(pixels.block)) == 100
    few = read_store(tmp_path / "store.zarr", {7: "rice", 9: "corn"}, most=30)
    assert few.counts().tolist() == [30, 30]


def test_borders_of_parcels_are_left_out_and_codes_merged() -> None:
    codes = np.array([[1, 1, 1, 2, 2, 2, 3, 3, 3]] * 5)
    label = thematic_labels(codes, {1: "cereals", 2: "cereals", 3: "maize"}, ("cereals", "maize"), erode_px=1)
    assert label[2].tolist() == [0, 0, 0, 0, 0, -1, -1, 1, 1]
    whole = thematic_labels(codes, {3: "maize"}, ("maize",), erode_px=0)
    assert whole[2].tolist() == [-1] * 6 + [0] * 3


def test_a_store_without_a_thematic_map_is_refused(tmp_path: Path) -> None:
    xr.Dataset({"B04": (("time", "y", "x"), np.ones((2, 3, 3), np.float32))}).to_zarr(
        tmp_path / "store.zarr", zarr_format=2
    )
    with pytest.raises(CropError, match="no variable 'crop'"):
        read_store(tmp_path / "store.zarr", {1: "rice"})
