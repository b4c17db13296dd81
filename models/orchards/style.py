"""How the map looks: one set of colours for its style in QGIS, its quick look and its page."""

from __future__ import annotations

import html
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.maps.cog import read_overview
from models.orchards.cog import CLASS_BAND
from models.orchards.tiles import ORCHARD, OTHER, OUTSIDE, UNKNOWN

_LONGEST_PX = 1600
_WORST_PERCENT, _BEST_PERCENT = 50, 100


@dataclass(frozen=True)
class Shown:
    """A class of the map: its name and its colour (red, green, blue, opacity)."""

    name: str
    colour: tuple[int, int, int, int]

    @property
    def hex(self) -> str:
        """The colour as in style sheets, without opacity."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour[:3])


# told apart by lightness too, for those who see no colours
CLASSES = {
    ORCHARD: Shown("orchard", (26, 94, 32, 255)),
    OTHER: Shown("other", (233, 221, 190, 255)),
    OUTSIDE: Shown("outside the base mask", (201, 201, 196, 255)),
    UNKNOWN: Shown("unknown", (255, 255, 255, 0)),
}
# of the class given: from doubtful to sure
_DOUBTFUL, _SURE = (243, 156, 18), (20, 70, 110)


def quick_look(map_path: Path, longest_px: int = _LONGEST_PX) -> bytes:
    """The classes as a PNG."""
    colours = np.zeros((256, 4), np.uint8)
    for value, shown in CLASSES.items():
        colours[value] = shown.colour
    return _png(colours[read_overview(map_path, longest_px)[0]])


def confidence_look(map_path: Path, longest_px: int = _LONGEST_PX) -> bytes:
    """The confidence as a PNG, from doubtful orange to sure blue."""
    classes, confidence = read_overview(map_path, longest_px)
    sure = np.clip((confidence.astype(np.float32) - _WORST_PERCENT) / (_BEST_PERCENT - _WORST_PERCENT), 0, 1)
    picture = np.empty((*classes.shape, 4), np.uint8)
    picture[..., :3] = np.array(_DOUBTFUL) * (1 - sure[..., None]) + np.array(_SURE) * sure[..., None]
    picture[..., 3] = 255
    for value in (OUTSIDE, UNKNOWN):
        picture[classes == value] = CLASSES[value].colour
    return _png(picture)


def confidence_colours() -> tuple[str, str]:
    """The colours of 50 and of 100 percent, as in style sheets."""
    return "#{:02x}{:02x}{:02x}".format(*_DOUBTFUL), "#{:02x}{:02x}{:02x}".format(*_SURE)


def _png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(file, "PNG", optimize=True)
    return file.getvalue()


def qgis_style() -> str:
    """A QML style of the class band, which QGIS takes by itself when it stands beside the map."""
    entries = "\n".join(
        f'        <paletteEntry value="{value}" label="{html.escape(shown.name)}" color="{shown.hex}" '
        f'alpha="{shown.colour[3]}"/>'
        for value, shown in CLASSES.items()
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="paletted" band="{CLASS_BAND}" opacity="1" alphaBand="-1" nodataColor="">
      <colorPalette>
{entries}
      </colorPalette>
    </rasterrenderer>
  </pipe>
</qgis>
"""
