"""Reading folders of labelled photos (YOLO text labels); needs neither torch nor ultralytics."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
LABELS = ("apple", "apple_flower")
_TILE_NUMBER = re.compile(r"_\d+$")
_NO_ROW = ("", "unknown")
_DATE_IN_NAME = re.compile(r"^\d{8}_|_\d\d-\d\d-\d\d_\w$")
_ROW_IN_NAME = re.compile(r"_(\d+kv\d+r)\d+k")


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """One photo with its boxes.

    Attributes:
        path: the photo.
        kind: name of the sub-folder it came from (``trees``, ``tiles``, ``flowers``).
        row: orchard row, or the photo's own name where none is known; photos of one row are never on both sides
            of a split.
        tree: the tree shown, as ``counts.csv`` says or as the name says without its date; tiles are named after the
            photo they were cut from, with a number behind.
        stage: growth stage, empty where unknown.
        boxes: (N, 4) float64 centre x, centre y, width, height as shares of the photo's width and height.
        classes: (N,) int64 indices into :data:`LABELS`.
    """

    path: Path
    kind: str
    row: str
    tree: str
    stage: str
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]

    def corners_px(self, width: int, height: int) -> NDArray[np.float64]:
        """(N, 4) corners x1, y1, x2, y2 in pixels of a photo of the given size."""
        centre, size = self.boxes[:, :2], self.boxes[:, 2:]
        corners = np.concatenate((centre - size / 2, centre + size / 2), axis=1)
        return corners * np.array([width, height, width, height], dtype=np.float64)


def _read_labels(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows: list[list[float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = [float(part) for part in line.split()]
        except ValueError:
            values = []
        if len(values) != 5:
            raise ValueError(f"{path}, line {number}: expected 'class x y width height', found {line!r}")
        if values[0] not in range(len(LABELS)):
            raise ValueError(f"{path}, line {number}: class {values[0]:g} is unknown; 0 is apple, 1 apple_flower")
        if not all(0 <= value <= 1 for value in values[1:]):
            raise ValueError(f"{path}, line {number}: the box is not in shares of the photo (0 to 1): {line!r}")
        rows.append(values)
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return table[:, 1:], table[:, 0].astype(np.int64)


def _read_counts(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def read_labelled_photos(folder: Path, kinds: tuple[str, ...] = ("trees", "tiles", "flowers")) -> list[LabelledPhoto]:
    """Read ``folder/KIND/images`` with ``folder/KIND/labels``, and ``folder/counts.csv`` for rows and stages.

    Args:
        folder: the data set, e.g. ``orchard/val``.
        kinds: sub-folders to read; absent ones are skipped.

    Returns:
        The photos, sorted by kind and name. A photo without a label file has no boxes.

    Raises:
        FileNotFoundError: the folder holds no photo of these kinds.
        ValueError: a label file that does not follow the format; names file and line.
    """
    known = _read_counts(folder / "counts.csv")
    photos: list[LabelledPhoto] = []
    for kind in kinds:
        for path in sorted((folder / kind / "images").glob("*")):
            if path.suffix.lower() not in PHOTO_SUFFIXES:
                continue
            labels = folder / kind / "labels" / f"{path.stem}.txt"
            boxes, classes = _read_labels(labels) if labels.exists() else (np.zeros((0, 4)), np.zeros(0, np.int64))
            entry = known.get(path.name, {})
            in_name = _ROW_IN_NAME.search(path.name)
            row = entry.get("row", "")
            if row in _NO_ROW:
                row = in_name.group(1) if in_name else path.stem
            tree = entry.get("tree_id") or (_TILE_NUMBER if kind == "tiles" else _DATE_IN_NAME).sub("", path.stem)
            photos.append(LabelledPhoto(path, kind, row, tree, entry.get("stage", ""), boxes, classes))
    if not photos:
        raise FileNotFoundError(
            f"{folder} holds no labelled photos; expected {folder}/trees/images/*.jpg with {folder}/trees/labels/*.txt"
        )
    return photos
