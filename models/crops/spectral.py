"""What a network may see beside reflectance: logarithms, in which light and haze are shifts, and ratios of bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.crops.series import CropError, PixelSeries

# normalised differences (a - b) / (a + b) of Sentinel-2's bands: vegetation (Rouse et al. 1974), open water (McFeeters
# 1996), water in leaves (Gao 1996), tillage (van Deventer et al. 1997), red edge (Gitelson & Merzlyak 1994)
DIFFERENCES = {
    "NDVI": ("B08", "B04"),
    "NDWI": ("B03", "B08"),
    "LSWI": ("B08", "B11"),
    "NDTI": ("B11", "B12"),
    "NDRE": ("B8A", "B05"),
}
EVI = ("B08", "B04", "B02")
_LEAST = 1e-3  # of a reflectance or a sum of two, below which a sensor sees noise
_EVI_RANGE = (-1.0, 2.0)  # over bright haze its denominator nears 0


class Spectra(nn.Module):
    """Logarithms of the bands, then the indices whose bands are there; the module goes into the ONNX file.

    Args:
        bands: names, in the order of the series; reflectance in 0 to 1.

    Raises:
        CropError: not a band of Sentinel-2, whose logarithm may not exist.
    """

    def __init__(self, bands: Sequence[str]) -> None:
        super().__init__()
        if strange := [band for band in bands if not band.startswith("B")]:
            raise CropError(f"{strange[0]} is no band of reflectance; leave it out, or train without indices")
        place = {band: index for index, band in enumerate(bands)}
        there = {name: pair for name, pair in DIFFERENCES.items() if set(pair) <= place.keys()}
        self.pairs = [(place[a], place[b]) for a, b in there.values()]
        self.evi = tuple(place[band] for band in EVI) if set(EVI) <= place.keys() else None
        self.names = (*(f"log {band}" for band in bands), *there, *(("EVI",) if self.evi else ()))

    def forward(self, series: Tensor) -> Tensor:
        """(B, steps, names) of (B, steps, bands)."""
        parts = [series.clamp(min=_LEAST).log()]
        for a, b in self.pairs:
            one, other = series[..., a], series[..., b]
            parts.append(((one - other) / (one + other).clamp(min=_LEAST)).unsqueeze(-1))
        if self.evi is not None:
            infrared, red, blue = (series[..., index] for index in self.evi)
            # Huete et al. 2002
            evi = 2.5 * (infrared - red) / (infrared + 6 * red - 7.5 * blue + 1).clamp(min=0.1)
            parts.append(evi.clamp(*_EVI_RANGE).unsqueeze(-1))
        return torch.cat(parts, -1)

    def of(self, pixels: PixelSeries) -> PixelSeries:
        """Pixels with these in place of their bands."""
        with torch.no_grad():
            return replace(pixels, values=self(torch.as_tensor(pixels.values)).numpy(), bands=self.names)
