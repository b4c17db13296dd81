"""What ``models.earth`` makes of composites is what a map is made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401  (gives arrays their .rio)
import xarray as xr
from rasterio.windows import Window

from models.earth.features import BANDS, FeatureSettings, feature_stack
from models.maps.rasters import open_features
from models.orchards.plans import columns_of, group_of, groups_of_plan


def _composites() -> tuple[xr.Dataset, xr.DataArray]:
    rng = np.random.default_rng(0)
    coordinates = {"y": 3_800_000.0 - 10 * np.arange(24), "x": 400_000.0 + 10 * np.arange(20)}
    shape = (7, 24, 20)
    bands = {name: (("month", "y", "x"), rng.uniform(0.02, 0.5, shape).astype(np.float32)) for name in BANDS}
    composites = xr.Dataset(bands, coords={"month": np.arange(4, 11), **coordinates})
    elevation = xr.DataArray(rng.uniform(1200, 1300, shape[1:]).astype(np.float32), coords=coordinates, dims=("y", "x"))
    return composites.rio.write_crs(32648), elevation


def test_every_feature_is_known_by_its_name_and_all_plans_have_theirs() -> None:
    composites, elevation = _composites()
    for settings in (FeatureSettings(), FeatureSettings(by_month=True)):
        names = [str(name) for name in feature_stack(composites, elevation, settings)]
        assert [name for name in names if group_of(name) is None] == []
        for plan in ("1", "2", "3"):
            assert columns_of(names, groups_of_plan(plan, names))
        assert len(columns_of(names, ("texture",))) == 6
        assert len(columns_of(names, ("elevation",))) == 4


def test_features_written_as_a_raster_are_read_by_name(tmp_path: Path) -> None:
    """The lines of docs/how-to/map-the-orchards.md."""
    composites, elevation = _composites()
    features = feature_stack(composites, elevation)
    bands = features.to_dataarray("band").assign_attrs(long_name=tuple(map(str, features)))
    bands.rio.write_crs(composites.rio.crs).rio.to_raster(tmp_path / "features.tif", tiled=True)
    rasters = open_features([tmp_path / "features.tif"])
    assert rasters.names == tuple(map(str, features))
    read = rasters.select(["NDVI"]).read(Window(0, 0, 20, 24))[0]
    np.testing.assert_allclose(read, features["NDVI"].to_numpy(), rtol=1e-6)
