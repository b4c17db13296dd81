"""Sentinel-2's bands: how large their pixels are, and what catalogues call them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from models.earth.errors import EarthInputError


@dataclass(frozen=True)
class Band:
    """A band of Sentinel-2 L2A.

    Attributes:
        name: Sentinel's own name, ``B02`` to ``B12``.
        pixel_m: side of its pixels.
        names: what catalogues call its asset, besides its own name.
    """

    name: str
    pixel_m: int
    names: tuple[str, ...]


# names of catalogues: Earth Search (blue), Copernicus Data Space (B02_10m), Planetary Computer (B02)
BANDS = {
    band.name: band
    for band in (
        Band("B01", 60, ("coastal", "B01_60m")),
        Band("B02", 10, ("blue", "B02_10m")),
        Band("B03", 10, ("green", "B03_10m")),
        Band("B04", 10, ("red", "B04_10m")),
        Band("B05", 20, ("rededge1", "B05_20m")),
        Band("B06", 20, ("rededge2", "B06_20m")),
        Band("B07", 20, ("rededge3", "B07_20m")),
        Band("B08", 10, ("nir", "B08_10m")),
        Band("B8A", 20, ("nir08", "B8A_20m")),
        Band("B09", 60, ("nir09", "B09_60m")),
        Band("B11", 20, ("swir16", "B11_20m")),
        Band("B12", 20, ("swir22", "B12_20m")),
    )
}
# by the quality layer's name, what catalogues call its asset
QUALITY = {"SCL": ("SCL", "scl", "SCL_20m"), "QA60": ("QA60", "qa60")}
# what a mosaic of the land is usually made of: all but the two for the atmosphere
LAND_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def checked_bands(names: Collection[str]) -> tuple[str, ...]:
    """The names themselves, if Sentinel-2 has such bands.

    Raises:
        EarthInputError: one is unknown.
    """
    for name in names:
        if name not in BANDS:
            raise EarthInputError(f"Sentinel-2 has no band {name!r}; it has {', '.join(BANDS)}")
    return tuple(names)


def asset_of(band: str, assets: Collection[str]) -> str | None:
    """What an item calls a band or a quality layer; None where it has none."""
    names = (band, *(QUALITY[band] if band in QUALITY else BANDS[band].names))
    return next((name for name in names if name in assets), None)
