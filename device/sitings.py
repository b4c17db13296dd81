"""Where the photographed trees of a visit were taken from, and what they then say of their block and of the orchard."""

from __future__ import annotations

from calibration.siting import Siting

ORCHARD, BLOCK, AREA, HAND_PICKED = SITINGS = ("orchard", "block", "area", "hand-picked")
OF_BLOCK: dict[str, Siting] = {
    ORCHARD: "scattered",
    BLOCK: "scattered",
    AREA: "one area",
    HAND_PICKED: "hand-picked",
}
OF_ORCHARD: dict[str, Siting] = {**OF_BLOCK, BLOCK: "one area"}
