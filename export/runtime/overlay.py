"""Photos with the counted boxes drawn on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.runtime.counter import PhotoCount
from export.runtime.errors import MissingPartError
from export.runtime.photos import Photo

# RGB; distinguishable with every common colour blindness and against leaves, sky and bark
_COLOURS = ((255, 64, 0), (255, 235, 0), (0, 190, 255), (225, 0, 255))
_LONGEST_SIDE_PX = 2000


def require_opencv() -> None:
    """Check early that overlays can be drawn.

    Raises:
        MissingPartError: OpenCV is not installed.
    """
    try:
        import cv2  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingPartError(
            "overlays need OpenCV; pip install '.[opencv]' in Pomona's folder, or on a Jetson use JetPack's own"
        ) from error


def draw_overlay(photo: Photo, count: PhotoCount) -> NDArray[np.uint8]:
    """The photo with a box around every counted detection and the counts in a corner.

    Returns:
        (height, width, 3) uint8, RGB, at most 2000 px on its longer side.

    Raises:
        MissingPartError: OpenCV is not installed.
    """
    require_opencv()
    import cv2  # noqa: PLC0415

    factor = min(1.0, _LONGEST_SIDE_PX / max(photo.width, photo.height))
    canvas: NDArray[np.uint8] = np.array(photo.scaled(_LONGEST_SIDE_PX))
    counted = count.detections.select(count.counted)
    thickness = max(1, round(max(canvas.shape) / 800))
    for box, label in zip((counted.boxes * factor).round().astype(int), counted.classes, strict=True):
        x1, y1, x2, y2 = (int(value) for value in box)
        colour = _COLOURS[int(label) % len(_COLOURS)]
        cv2.rectangle(canvas, (x1, y1), (x2, y2), (0, 0, 0), thickness + 2)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thickness)
    lines = [f"{label.replace('_', ' ')}: {number}" for label, number in count.counts.items() if number]
    _caption(canvas, lines or ["nothing counted"])
    return canvas


def _caption(canvas: NDArray[np.uint8], lines: list[str]) -> None:
    """Write white lines on a dark panel in the upper left corner."""
    import cv2  # noqa: PLC0415

    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(canvas.shape[:2]) / 1400
    weight, step, margin = max(1, round(2 * scale)), round(40 * scale), round(16 * scale)
    width = max(cv2.getTextSize(line, font, scale, weight)[0][0] for line in lines)
    canvas[: step * len(lines) + margin, : width + 2 * margin] //= 4
    for number, line in enumerate(lines, start=1):
        place = (margin, step * number - margin // 4)
        cv2.putText(canvas, line, place, font, scale, (255, 255, 255), weight, cv2.LINE_AA)


def write_overlay(path: Path, photo: Photo, count: PhotoCount) -> None:
    """Draw and save as JPEG, PNG or another format by the path's suffix.

    Raises:
        MissingPartError: OpenCV is not installed.
        OSError: the file cannot be written.
    """
    from PIL import Image  # noqa: PLC0415

    Image.fromarray(draw_overlay(photo, count)).save(path, quality=88)
