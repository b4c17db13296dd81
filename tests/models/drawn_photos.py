"""Drawn data sets in the real layout: coloured squares for fruit, whose boxes are known exactly."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

# apples red, flowers white; dark enough that no change of brightness in training saturates them
COLOURS_BGR = ((0, 0, 170), (170, 170, 170))


@dataclass(frozen=True)
class Square:
    """A filled rectangle from (x, y), in whole pixels."""

    x: int
    y: int
    width: int
    height: int
    label: int = 0


def draw_photo(
    folder: Path, kind: str, name: str, size: tuple[int, int], squares: Sequence[Square], background: int = 0
) -> Path:
    """Write ``folder/kind/images/name`` of (width, height) with its label file."""
    width, height = size
    pixels = np.full((height, width, 3), background, dtype=np.uint8)
    lines = []
    for s in squares:
        pixels[s.y : s.y + s.height, s.x : s.x + s.width] = COLOURS_BGR[s.label]
        shares = (s.x + s.width / 2) / width, (s.y + s.height / 2) / height, s.width / width, s.height / height
        lines.append(" ".join((str(s.label), *(f"{share:.8f}" for share in shares))))
    path = folder / kind / "images" / name
    labels = folder / kind / "labels" / f"{path.stem}.txt"
    for parent in (path.parent, labels.parent):
        parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_counts(folder: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write ``counts.csv`` of (image, row, stage)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "counts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "row", "stage"))
        writer.writerows(rows)
