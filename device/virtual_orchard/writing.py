"""The files of a virtual orchard, each whole or not there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from cloud_sync.files import write_whole
from device.virtual_orchard.pixels import Bytes
from device.virtual_orchard.visibility import Box

PHOTO_FOLDER, LABEL_FOLDER = "photos", "labels"
TRUTH_NAME, ORCHARD_NAME = "truth.csv", "orchard.json"
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class TreeTruth:
    """What is true of one photographed tree; a line of ``truth.csv``.

    Attributes:
        tree: registry code.
        photo: path of its photo within the orchard's folder, with forward slashes.
        fruit_total: fruit on the tree; flower clusters while in flower.
        fruit_visible: of these, what a person would box in the photo.
        occlusion: mean hidden share of the fruit's projected area, 0 to 1.
        light: name of the light condition.
        fruit_diameter_mm: mean diameter on the day of the photo; None while in flower or without fruit.
        fruit_weight_g: mean weight of a fruit at harvest; None without fruit.
        yield_kg: weight of all its fruit at harvest.
    """

    tree: str
    photo: str
    fruit_total: int
    fruit_visible: int
    occlusion: float
    light: str
    fruit_diameter_mm: float | None
    fruit_weight_g: float | None
    yield_kg: float


def write_photo(path: Path, pixels: Bytes, taken_at: datetime, latitude: float, longitude: float) -> None:
    """Write a JPEG that says when and where it was taken.

    Args:
        path: of the photo.
        pixels: (height, width, 3) uint8, RGB.
        taken_at: the camera's clock, without a zone.
        latitude: degrees north.
        longitude: degrees east.
    """
    exif = Image.Exif()
    moment = taken_at.strftime("%Y:%m:%d %H:%M:%S")
    exif[ExifTags.Base.Make] = "Pomona virtual camera"
    exif[ExifTags.Base.DateTime] = moment
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = moment
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef] = "N" if latitude >= 0 else "S"
    place[ExifTags.GPS.GPSLatitude] = _sexagesimal(latitude)
    place[ExifTags.GPS.GPSLongitudeRef] = "E" if longitude >= 0 else "W"
    place[ExifTags.GPS.GPSLongitude] = _sexagesimal(longitude)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=_JPEG_QUALITY, exif=exif)
    _write(path, content.getvalue())


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    whole, rest = divmod(abs(degrees), 1)
    minutes, rest = divmod(rest * 60, 1)
    return whole, minutes, round(rest * 60, 4)


def write_labels(path: Path, label: int, boxes: Iterable[Box], width_px: int, height_px: int) -> None:
    """Write boxes in the YOLO text format: class, centre x, centre y, width, height, as shares of the photo."""
    lines = [
        f"{label} {(x1 + x2) / 2 / width_px:.6f} {(y1 + y2) / 2 / height_px:.6f} "
        f"{(x2 - x1) / width_px:.6f} {(y2 - y1) / height_px:.6f}\n"
        for x1, y1, x2, y2 in boxes
    ]
    _write(path, "".join(lines).encode())


def write_truth(path: Path, trees: Iterable[TreeTruth]) -> None:
    """Write one line a tree, with a heading; what is not known is left empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(TreeTruth)]
    writer.writerow(names)
    for tree in trees:
        writer.writerow([getattr(tree, name) for name in names])
    _write(path, text.getvalue().encode())


def write_orchard(path: Path, content: dict[str, Any]) -> None:
    """Write the description of the block as JSON."""
    _write(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
