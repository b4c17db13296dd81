"""The virtual camera: places in the orchard to pixels.

The world has metres to the right (x), up from the ground (y) and away from the camera (z), with its origin at the foot
of the photographed tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device.virtual_orchard.pixels import Floats

# What a 2688 x 1664 px photo needs to show 2.5 m high trees whole, from the middle of the alley.
_REFERENCE_WIDTH_PX, _REFERENCE_HEIGHT_PX = 2688, 1664
_FOCAL_PX = 1740.0
REFERENCE_DISTANCE_M = 2.6
_CAMERA_HEIGHT_M = 1.13


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks level at the row.

    Attributes:
        width_px: width of the photo.
        height_px: height of the photo.
        focal_px: focal length.
        distance_m: from the camera to the trunk.
        height_m: of the camera above ground.
        centre_px: column of the trunk's foot.
        horizon_px: line of the horizon.
    """

    width_px: int
    height_px: int
    focal_px: float
    distance_m: float
    height_m: float
    centre_px: float
    horizon_px: float

    def project(self, points_m: Floats) -> tuple[Floats, Floats]:
        """Where points stand in the photo.

        Args:
            points_m: (n, 3) x, y, z.

        Returns:
            (n, 2) column and line in pixels, and (n,) pixels per metre at each point.
        """
        px_per_m = self.focal_px / (self.distance_m + points_m[:, 2])
        columns = self.centre_px + points_m[:, 0] * px_per_m
        lines = self.horizon_px - (points_m[:, 1] - self.height_m) * px_per_m
        return np.stack((columns, lines), axis=1).astype(np.float32), px_per_m.astype(np.float32)

    @property
    def px_per_m(self) -> float:
        """Pixels per metre at the trunk."""
        return self.focal_px / self.distance_m


def place_camera(rng: np.random.Generator, width_px: int, height_px: int) -> Camera:
    """A camera held about where a technician holds it: never twice at quite the same place."""
    scale = min(width_px / _REFERENCE_WIDTH_PX, height_px / _REFERENCE_HEIGHT_PX)
    return Camera(
        width_px,
        height_px,
        focal_px=_FOCAL_PX * scale,
        distance_m=REFERENCE_DISTANCE_M * float(rng.uniform(0.96, 1.05)),
        height_m=_CAMERA_HEIGHT_M,
        centre_px=width_px * float(rng.uniform(0.46, 0.54)),
        horizon_px=height_px / 2 + _REFERENCE_HEIGHT_PX * scale * float(rng.uniform(0.03, 0.05)),
    )
