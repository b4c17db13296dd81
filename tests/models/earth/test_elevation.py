"""Elevation on a grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import pytest
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from models.earth.areas import metric_grid
from models.earth.elevation import elevation_tiles, read_elevation
from models.earth.errors import EarthInputError
from tests.models.earth.catalogues import item_of, write_tiff
from tests.models.earth.drawn import orchard

GRID = metric_grid(orchard())
STEP = 1 / 3600  # Copernicus DEM's 30 m


def slope(path: Path, west: float, columns: int) -> Path:
    """A plane that rises by 1 m a cell to the east, from 400 m at longitude 11.70."""
    start = round((west - 11.70) / STEP)
    values = np.tile(400 + start + np.arange(columns, dtype=np.float32) + 0.5, (200, 1))
    write_tiff(path, values, Affine(STEP, 0, west, 0, -STEP, 48.46), "EPSG:4326", None)
    return path


def expected() -> NDArray[np.float64]:
    """The plane at the middle of each cell."""
    rows, columns = np.indices(GRID.shape.yx)
    place = GRID.transform
    x, y = place.c + place.a * (columns + 0.5), place.f + place.e * (rows + 0.5)
    longitude, _ = Transformer.from_crs(str(GRID.crs), "EPSG:4326", always_xy=True).transform(x, y)
    return np.asarray(400 + (longitude - 11.70) / STEP)


def test_two_tiles_make_one_plane(tmp_path: Path) -> None:
    slope(tmp_path / "a.tif", 11.70, 45)
    slope(tmp_path / "b.tif", 11.70 + 45 * STEP, 100)
    found = read_elevation(elevation_tiles(str(tmp_path), orchard().bounds), GRID)
    assert found.attrs["units"] == "m"
    np.testing.assert_allclose(found.values, expected(), atol=0.6)  # half a cell where the tiles meet
    assert np.median(np.abs(found.values - expected())) < 0.02


def test_a_catalogue_s_tiles_are_read_too(tmp_path: Path) -> None:
    files = {"data": slope(tmp_path / "a.tif", 11.70, 200)}
    item = item_of("Copernicus_DSM_COG_10_N48", "2021-04-22", files, "EPSG:4326")
    catalogue = pystac.Catalog("dem", "elevation")
    catalogue.add_item(item)
    catalogue.normalize_hrefs(str(tmp_path / "catalogue"))
    catalogue.save(pystac.CatalogType.SELF_CONTAINED)
    found = read_elevation(elevation_tiles(str(tmp_path / "catalogue"), orchard().bounds), GRID)
    np.testing.assert_allclose(found.values, expected(), atol=0.05)


def test_a_place_without_elevation_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.json").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(EarthInputError, match="has no elevation here; give GeoTIFFs"):
        elevation_tiles(str(tmp_path), orchard().bounds)
