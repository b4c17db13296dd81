"""Drawn photos: red discs (apples) and blue ones (blossoms) on textured green, so that the count is known."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw

RADIUS_PX = 20
SIZE = (640, 480)
TAKEN_AT = datetime(2025, 9, 24, 10, 30)  # noqa: DTZ001  (cameras know no zone)

_APPLE, _BLOSSOM = (225, 25, 30), (25, 25, 225)
Centre = tuple[float, float]


def draw_discs(
    apples: Iterable[Centre] = (),
    blossoms: Iterable[Centre] = (),
    size: tuple[int, int] = SIZE,
    radius: float = RADIUS_PX,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) of discs around the given centres; the seed changes the ground."""
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 60, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    noise[..., 1] += 110
    image = Image.fromarray(noise).resize(size)
    pen = ImageDraw.Draw(image)
    for colour, centres in ((_APPLE, apples), (_BLOSSOM, blossoms)):
        for x, y in centres:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return np.asarray(image)


def in_rows(number: int) -> list[Centre]:
    """Centres of so many discs, apart from one another, that fit a photo of the usual size."""
    return [(40 + 60 * (i % 10), 40 + 60 * (i // 10)) for i in range(number)]


def exif(
    taken_at: datetime | None = TAKEN_AT, place: Sequence[float] | None = None, orientation: int = 1
) -> Image.Exif:
    """What a camera writes into a photo; a place is degrees north and east, negative for south and west."""
    said = Image.Exif()
    said[ExifTags.Base.Orientation] = orientation
    if taken_at is not None:
        said.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    if place is not None:
        gps = said.get_ifd(ExifTags.IFD.GPSInfo)
        for value, tag, letters in zip(place, (1, 3), ("NS", "EW"), strict=True):
            degrees, rest = divmod(abs(value), 1)
            gps[tag] = letters[value < 0]
            gps[tag + 1] = (degrees, rest * 60 // 1, rest * 60 % 1 * 60)
    return said


def encode(pixels: NDArray[np.uint8], kind: str = "JPEG", said: Image.Exif | None = None) -> bytes:
    """A photo file."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, quality=90, exif=(said or exif()).tobytes())
    return content.getvalue()


def save_photo(
    path: Path, apples: int = 0, blossoms: int = 0, said: Image.Exif | None = None, seed: int | None = None
) -> Path:
    """Save a JPEG that shows so many apples and blossoms; another path draws another ground. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    centres = in_rows(apples + blossoms)
    ground = zlib.crc32(os.fsencode(path)) if seed is None else seed
    path.write_bytes(encode(draw_discs(centres[:apples], centres[apples:], seed=ground), said=said))
    return path
