"""Whether a model was made for an orchard."""

from __future__ import annotations

from typing import Protocol


class Made(Protocol):
    """What a manifest, or a release, says of what a model was made for."""

    @property
    def name(self) -> str:
        """Name of the bundle."""

    @property
    def version(self) -> str:
        """Version of the bundle."""

    @property
    def crop(self) -> str:
        """Crop it was trained on."""

    @property
    def region(self) -> str:
        """Where its training data come from."""

    @property
    def target(self) -> str:
        """What it finds or predicts."""


def fits(manifest: Made, crop: str | None, region: str | None = None, target: str | None = None) -> str | None:
    """Why a model does not fit an orchard; None where it does.

    Args:
        manifest: what the model was made for.
        crop: what grows there; None where nobody has said.
        region: where it stands, from the large to the small: ``China/Gansu/Jingning``. A model of a region fits all
            that lies in it. None where nobody has said, and for models that any region may use.
        target: what it has to tell; None where it may be anything.
    """
    name = f"{manifest.name} {manifest.version}"
    if crop is not None and manifest.crop.casefold() != crop.casefold():
        return f"{name} is made for {manifest.crop}, and the orchard grows {crop}"
    if region is not None and not _lies_in(region, manifest.region):
        return f"{name} is made for {manifest.region}, and the orchard stands in {region}"
    if target is not None and manifest.target.casefold() != target.casefold():
        return f"{name} tells {manifest.target}, and {target} is wanted"
    return None


def _lies_in(place: str, region: str) -> bool:
    parts, wider = ([part.strip().casefold() for part in name.split("/")] for name in (place, region))
    return parts[: len(wider)] == wider
