"""What stands behind the row: sky, far trees, the next rows out of focus, and the grass of the alley.

Drawn at half the photo's size, which saves time and puts it out of focus.
"""

from __future__ import annotations

import cv2
import numpy as np

from device.virtual_orchard.back_rows import HALF, BackRow, Surroundings
from device.virtual_orchard.camera import Camera
from device.virtual_orchard.canvas import Canvas, Sprite
from device.virtual_orchard.lights import Light
from device.virtual_orchard.noise import rough_noise, smooth_noise
from device.virtual_orchard.pixels import Bytes, Floats, mix, smoothstep, to_bytes

_GRASS, _GRASS_DARK, _DRY, _SOIL = (134, 152, 88), (84, 104, 54), (172, 164, 116), (158, 142, 116)
_FAR_TREES = (96, 116, 86)
_HAZE_PER_ROW = 0.08
# what is out of focus is smeared over this much of the photographed row
_BLUR_M = 0.0025
# ground up to this share of the way to the trunk is in focus
_IN_FOCUS_TO = 1.7
_CRUMB_TILE_PX, _CRUMB_CONTRAST = 512, 10
_BACK_ROWS = 4
_STRIP_HALF_WIDTH_M = 0.45


def draw_background(
    rng: np.random.Generator, camera: Camera, light: Light, clumps: list[Sprite], around: Surroundings
) -> Bytes:
    """Everything behind the photographed row.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    width, height = round(camera.width_px * HALF), round(camera.height_px * HALF)
    horizon = camera.horizon_px * HALF
    scene = _sky(rng, width, height, horizon, light)
    scene = _far_trees(rng, scene, horizon, light)
    scene = _ground(rng, scene, camera, light, around)
    picture = to_bytes(scene)
    for number in range(_BACK_ROWS, 0, -1):
        row = BackRow(camera, light, around, number, clumps)
        picture = _in_front(row.draw(rng), picture, camera, light)
    size = camera.width_px, camera.height_px
    enlarged = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    _crumble(rng, enlarged, camera)
    return enlarged


def _sky(rng: np.random.Generator, width: int, height: int, horizon: float, light: Light) -> Floats:
    down = np.clip(np.arange(height, dtype=np.float32) / max(horizon, 1.0), 0, 1)
    gradient = np.repeat(mix(light.sky_high, light.sky_low, down**0.8)[:, None], width, axis=1)
    scale = width / 3
    wide = rough_noise(rng, 2 * height, width, (scale, scale / 2.5, scale / 6, scale / 14, scale / 30))
    clouds = np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    lit = smoothstep(-0.6, 2.2, clouds + float(rng.normal(0, 0.7))) * light.clouds
    grey = mix((252, 252, 252), (222, 225, 230), smoothstep(0.8, 2.6, clouds))
    return np.asarray(gradient + (grey - gradient) * lit[..., None], np.float32)


def _far_trees(rng: np.random.Generator, scene: Floats, horizon: float, light: Light) -> Floats:
    """A hedge or wood at the end of the orchard."""
    height, width = scene.shape[:2]
    crest = smooth_noise(rng, 2, width, width / 5)[0] + 0.4 * smooth_noise(rng, 2, width, width / 30)[0]
    top = horizon - height * (0.07 + 0.03 * crest + 0.03 * float(rng.uniform(-1, 1)))
    texture = rough_noise(rng, height, width, (height / 25, height / 60, height / 150))
    lines = np.arange(height, dtype=np.float32)[:, None]
    alpha = np.clip((lines - top[None] + 2 * texture) / 3, 0, 1)
    colour = np.asarray(_FAR_TREES, np.float32) * (light.ambient + 0.25 * light.sun + 0.16 * texture[..., None])
    colour = colour + (np.asarray(light.sky_low, np.float32) - colour) * 0.22
    return np.asarray(scene + (colour - scene) * alpha[..., None], np.float32)


def _ground(rng: np.random.Generator, scene: Floats, camera: Camera, light: Light, around: Surroundings) -> Floats:
    """Grass between the rows and bare strips under them, seen in perspective."""
    height, width = scene.shape[:2]
    first = min(height - 1, int(camera.horizon_px * HALF) + 3)
    lines = np.arange(first, height, dtype=np.float32)
    away_m = camera.focal_px * HALF * camera.height_m / (lines - camera.horizon_px * HALF)
    px_per_m = camera.focal_px * HALF / away_m
    side_m = (np.arange(width, dtype=np.float32) - camera.centre_px * HALF)[None] / px_per_m[:, None]
    tufts, patches = _grass_texture(rng)
    along_m = np.repeat(away_m[:, None], width, axis=1)
    fine, broad = _spread_out(tufts, side_m, along_m, 170), _spread_out(patches, side_m, along_m, 60)
    fine = fine * np.clip(px_per_m / (0.2 * camera.px_per_m), 0.25, 1)[:, None]
    rgb = mix(_GRASS_DARK, _GRASS, np.clip(0.55 + 0.42 * fine + 0.2 * broad, 0, 1.2))
    rgb = mix(rgb, _DRY, 0.6 * smoothstep(0.5, 1.6, broad + 0.5 * fine))
    from_row_m = np.abs(
        np.mod(away_m - camera.distance_m + around.row_spacing_m / 2, around.row_spacing_m) - around.row_spacing_m / 2
    )
    strip = smoothstep(_STRIP_HALF_WIDTH_M + 0.25, _STRIP_HALF_WIDTH_M, from_row_m[:, None] + 0.2 * broad)
    rgb = mix(rgb, np.asarray(_SOIL, np.float32) * (1 + 0.16 * fine[..., None]), 0.75 * strip)
    shade = 1 - 0.25 * strip - 0.25 * light.sun * smoothstep(-0.2, 0.6, broad)
    scene[first:] = rgb * ((light.ambient + 0.3 * light.sun) * shade)[..., None]
    return scene


def _spread_out(texture: Floats, side_m: Floats, along_m: Floats, px_per_m: float) -> Floats:
    """The texture laid on the ground, again and again; its value at each place."""
    columns, rows = (side_m * px_per_m).astype(np.float32), (along_m * px_per_m).astype(np.float32)
    return np.asarray(cv2.remap(texture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def _grass_texture(rng: np.random.Generator) -> tuple[Floats, Floats]:
    size = 768
    return rough_noise(rng, size, size, (12, 4, 2, 1.2)), rough_noise(rng, size, size, (90, 30))


def _in_front(row: Canvas, picture: Bytes, camera: Camera, light: Light) -> Bytes:
    """A row in front of what was drawn before: slightly out of focus, and paler the more rows follow."""
    mixed = cv2.GaussianBlur(row.over(picture), (0, 0), _BLUR_M * HALF * camera.px_per_m)
    foliage = np.asarray(cv2.GaussianBlur(row.layer[..., 3], (0, 0), 1.5), np.float32)[..., None] / 255
    haze = np.asarray(light.sky_low, np.float32)
    return to_bytes(mixed + (haze - mixed) * foliage * _HAZE_PER_ROW)


def _crumble(rng: np.random.Generator, picture: Bytes, camera: Camera) -> None:
    """Give the near ground, which is in focus, its crumbs and stalks; works in place."""
    first = int(camera.horizon_px + camera.focal_px * camera.height_m / (_IN_FOCUS_TO * camera.distance_m))
    height, width = picture[first:].shape[:2]
    if height < 1:
        return
    size = camera.px_per_m / 669
    tile = rough_noise(rng, _CRUMB_TILE_PX, _CRUMB_TILE_PX, (9 * size + 1, 4 * size + 1, 2 * size + 1))
    crumbs = np.tile(tile, (-(-height // _CRUMB_TILE_PX), -(-width // _CRUMB_TILE_PX)))[:height, :width]
    nearness = np.clip(np.linspace(0, 3, height, dtype=np.float32), 0, 1)[:, None]
    shift = cv2.merge([np.asarray(crumbs * nearness * _CRUMB_CONTRAST, np.int16)] * 3)
    cv2.add(picture[first:], shift, dst=picture[first:], dtype=cv2.CV_8U)
