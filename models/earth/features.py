"""The features of an orchard map, from monthly composites and an elevation model.

Bands and indices of the season's median, or of each month; textures of one band of the season's median; the surrogates
of the orchard phenology indices over the months; elevation, slope and aspect.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from models.earth.errors import EarthInputError
from models.earth.glcm import TextureSettings, textures
from models.earth.indices import INDICES, indices
from models.earth.median import masked_median
from models.earth.phenology import PhenologyWindows, surrogates
from models.earth.terrain import terrain

# the paper's: three visible, three red-edge, two near-infrared, two short-wave infrared bands
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
# aspect in degrees jumps at north, so its sine and cosine stand for it
_TERRAIN = ("elevation_m", "slope_deg", "aspect_sin", "aspect_cos")


@dataclass(frozen=True)
class FeatureSettings:
    """Which features, and how they are made.

    Attributes:
        bands: of the composites.
        indices: of :data:`models.earth.indices.INDICES`.
        by_month: bands and indices of each month (``B08_06``) instead of the season's median (``B08``).
        texture_band: band that textures are made of; None for no textures.
        texture: window, levels, offsets, measures.
        phenology: months of the surrogates; None for no surrogates.
    """

    bands: tuple[str, ...] = BANDS
    indices: tuple[str, ...] = tuple(INDICES)
    by_month: bool = False
    texture_band: str | None = "B08"
    texture: TextureSettings = field(default_factory=TextureSettings)
    phenology: PhenologyWindows | None = field(default_factory=PhenologyWindows)

    def as_record(self) -> dict[str, Any]:
        """For the provenance of what is made with them."""
        return asdict(self)


def feature_stack(
    composites: xr.Dataset, elevation_m: xr.DataArray | None = None, settings: FeatureSettings | None = None
) -> xr.Dataset:
    """All features on the composites' grid, lazily where the composites are lazy.

    Args:
        composites: bands as variables with dimensions (month, y, x), surface reflectance from 0 to 1, NaN where nothing
            was clear; months from 1 to 12.
        elevation_m: (y, x) on the same grid; None for no terrain.
        settings: which features.

    Returns:
        A variable with dimensions (y, x) for each feature, with what it is in its attributes.

    Raises:
        EarthInputError: a band or month is missing, or the elevation model lies on another grid.
    """
    chosen = settings or FeatureSettings()
    if "month" not in composites.dims:
        raise EarthInputError("the composites have no dimension month; stack them by month first")
    needed = {*chosen.bands, *(band for name in chosen.indices if name in INDICES for band in INDICES[name].bands)}
    needed |= {"B08", "B04"} if chosen.phenology else set()
    needed |= {chosen.texture_band} if chosen.texture_band else set()
    if missing := sorted(needed - set(composites)):
        raise EarthInputError(f"the composites lack {', '.join(missing)}; make them again with these bands")
    used = composites[sorted(needed)]
    months = _span(used["month"].to_numpy().tolist())
    season = _season_median(used, months)
    spectral = used if chosen.by_month else season
    parts = [spectral[list(chosen.bands)], indices(spectral, chosen.indices)]
    if chosen.by_month:
        parts = [by_month(part) for part in parts]
    if chosen.texture_band:
        parts.append(textures(season[chosen.texture_band], chosen.texture))
    if chosen.phenology:
        parts.append(surrogates(indices(used, ["NDVI"])["NDVI"], chosen.phenology))
    if elevation_m is not None:
        parts.append(terrain(_on_grid(elevation_m, season))[list(_TERRAIN)])
    stack: xr.Dataset = xr.merge(parts, join="exact", compat="override", combine_attrs="override")
    return stack


def by_month(series: xr.Dataset) -> xr.Dataset:
    """A variable for each month, named after it (``NDVI_06``), instead of the dimension ``month``."""
    return xr.Dataset(
        {
            f"{name}_{int(month):02d}": values.sel(month=month, drop=True).assign_attrs(month=int(month))
            for name, values in series.items()
            for month in series["month"].to_numpy()
        }
    )


def _season_median(composites: xr.Dataset, months: str) -> xr.Dataset:
    made: xr.Dataset = xr.apply_ufunc(
        _median,
        composites,
        input_core_dims=[["month"]],
        dask="parallelized",
        dask_gufunc_kwargs={"allow_rechunk": True},
        output_dtypes=[np.float32],
    )
    for band in made.values():
        band.attrs = {"long_name": f"surface reflectance, median of the months {months}", "units": "1"}
    return made


def _median(series: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(y, x) from (y, x, months)."""
    values = np.moveaxis(series, -1, 0).astype(np.float32)
    return masked_median(values, ~np.isnan(values))


def _span(months: list[int]) -> str:
    return ", ".join(str(month) for month in sorted(months))


def _on_grid(elevation_m: xr.DataArray, grid: xr.Dataset) -> xr.DataArray:
    for name in ("y", "x"):
        if name not in elevation_m.coords or not elevation_m.indexes[name].equals(grid.indexes[name]):
            raise EarthInputError(f"the elevation model lies on another grid in {name}; resample it to the composites'")
    return elevation_m
