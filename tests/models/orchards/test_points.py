"""Labelled points from the files people have."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest

from models.maps.errors import MapError
from models.orchards.points import read_points

_TABLE = pd.DataFrame(
    {
        "lon": [105.0, 105.1, 105.2],
        "lat": [34.0, 34.1, 34.2],
        "crop": ["apple", "maize", "pear"],
        "NDVI_06": [0.7, 0.3, None],
    }
)


def _write(folder: Path, name: str) -> Path:
    path = folder / name
    places = geopandas.GeoDataFrame(_TABLE, geometry=geopandas.points_from_xy(_TABLE.lon, _TABLE.lat), crs=4326)
    places = places.drop(columns=["lon", "lat"])
    if name == "plain.parquet":
        _TABLE.to_parquet(path)
    elif name.endswith(".parquet"):
        places.to_parquet(path)
    elif name.endswith(".csv"):
        _TABLE.to_csv(path, index=False)
    else:
        places.to_crs(32648).to_file(path)
    return path


@pytest.mark.parametrize("name", ["a.csv", "plain.parquet", "geo.parquet", "a.gpkg", "a.geojson"])
def test_all_kinds_of_files_say_the_same(tmp_path: Path, name: str) -> None:
    points = read_points(_write(tmp_path, name), "crop", ["apple", "pear"])
    np.testing.assert_allclose(points.lon, _TABLE.lon, atol=1e-6)
    np.testing.assert_allclose(points.lat, _TABLE.lat, atol=1e-6)
    assert points.orchard.tolist() == [True, False, True]
    assert points.names == ("NDVI_06",)
    np.testing.assert_allclose(points.features[:, 0], [0.7, 0.3, np.nan], rtol=1e-6)


@pytest.mark.parametrize(
    "labels", [[1, 0, 1], ["Yes", "no", " yes "], [True, False, True], ["orchard", "other", "orchard"]]
)
def test_a_label_may_be_said_in_several_ways(tmp_path: Path, labels: list[object]) -> None:
    _TABLE.assign(orchard=labels).to_csv(tmp_path / "a.csv", index=False)
    assert read_points(tmp_path / "a.csv").orchard.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("label", "values", "said"),
    [
        ("kind", [], "has no column 'kind'"),
        ("crop", [], "neither 1 nor 0; say which values are orchards"),
        ("crop", ["aple"], "no point has the 'crop' 'aple'"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(tmp_path: Path, label: str, values: list[str], said: str) -> None:
    with pytest.raises(MapError, match=said):
        read_points(_write(tmp_path, "a.csv"), label, values)


def test_files_that_are_no_points_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_text("no points")
    with pytest.raises(MapError, match="cannot be read as points"):
        read_points(tmp_path / "a.gpkg")
    with pytest.raises(MapError, match="there are no points at"):
        read_points(tmp_path / "none.csv")
    _TABLE.drop(columns="lon").to_csv(tmp_path / "b.csv")
    with pytest.raises(MapError, match="neither a geometry nor columns lon and lat"):
        read_points(tmp_path / "b.csv", "crop")
