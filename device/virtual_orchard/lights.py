"""Light conditions of a visit day."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """How the light falls on a tree and what the camera makes of it. Colours are RGB of 0 to 255.

    Attributes:
        name: the condition in one word.
        towards_sun: unit vector from the tree to the sun: right, up, towards the camera.
        sun: strength of the direct light, 0 without any.
        ambient: strength of the light from the sky.
        shadow: darkness of a leaf's shadow, 0 to 1.
        shadow_blur: softness of that shadow over the length of the leaf.
        glow: share of light that shines through a leaf.
        sky_high: colour of the sky at the top of the photo.
        sky_low: colour of the sky above the horizon.
        clouds: how much clouds stand out, 0 to 1.
        exposure: factor on every pixel.
        tint: factors on red, green and blue.
        contrast: slope of the tone curve at mid-grey.
        haze: share of bright sky that the lens spreads over the photo.
    """

    name: str
    towards_sun: Colour
    sun: float
    ambient: float
    shadow: float
    shadow_blur: float
    glow: float
    sky_high: Colour
    sky_low: Colour
    clouds: float
    exposure: float
    tint: Colour
    contrast: float
    haze: float


LIGHTS = MappingProxyType(
    {
        light.name: light
        for light in (
            Light(
                name="overcast", towards_sun=(-0.15, 0.85, 0.50), sun=0.25, ambient=0.92, shadow=0.42,
                shadow_blur=0.13, glow=0.1, sky_high=(238, 241, 246), sky_low=(252, 252, 253), clouds=0.35,
                exposure=1.08, tint=(1.0, 1.0, 1.0), contrast=1.0, haze=0.10,
            ),
            Light(
                name="front", towards_sun=(0.35, 0.70, 0.62), sun=0.75, ambient=0.62, shadow=0.62,
                shadow_blur=0.06, glow=0.15, sky_high=(96, 150, 208), sky_low=(190, 214, 236), clouds=0.75,
                exposure=1.13, tint=(1.02, 1.01, 0.94), contrast=1.12, haze=0.03,
            ),
            Light(
                name="back", towards_sun=(-0.35, 0.80, -0.49), sun=0.35, ambient=0.80, shadow=0.48,
                shadow_blur=0.08, glow=0.55, sky_high=(250, 251, 252), sky_low=(255, 255, 252), clouds=0.1,
                exposure=1.14, tint=(1.01, 1.0, 0.97), contrast=0.95, haze=0.26,
            ),
            Light(
                name="evening", towards_sun=(0.80, 0.38, 0.46), sun=0.70, ambient=0.60, shadow=0.55,
                shadow_blur=0.09, glow=0.3, sky_high=(142, 172, 210), sky_low=(248, 226, 196), clouds=0.6,
                exposure=1.06, tint=(1.08, 0.99, 0.84), contrast=1.06, haze=0.08,
            ),
        )
    }
)  # fmt: skip
