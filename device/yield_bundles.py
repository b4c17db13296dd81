"""Which yield model predicts on this device, and whether it fits an orchard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from device.errors import InputError
from device.orchard_places import OrchardPlace, crop_of, place_of
from device.releases.active import active_yield_bundle
from device.store import Store
from export.runtime.bundle import BUNDLES
from export.runtime.manifest import MANIFEST
from export.runtime.manifest_file import read_manifest
from export.runtime.yield_manifest import YieldManifest


@dataclass(frozen=True)
class ModelChoice:
    """What a person says of the model.

    Attributes:
        folder: of a bundle that predicts yields; None takes the active one, or else one that comes with Pomona.
        anywhere: whether the owner takes a model of another region; the estimate records it.
    """

    folder: Path | None = None
    anywhere: bool = False


DEFAULT_CHOICE = ModelChoice()


def chosen_yield_bundle(store: Store, orchard: str, choice: ModelChoice) -> Path:
    """The folder of the model that shall predict: the one named, the active one, or one that comes with Pomona.

    Raises:
        InputError: there is none for the orchard's crop and region.
        BundleError: a bundle that comes with Pomona cannot be read.
    """
    named = choice.folder or active_yield_bundle(store) or _shipped(crop_of(store, orchard), place_of(store, orchard))
    if named is None:
        region = place_of(store, orchard).region or "a region nobody has named"
        raise InputError(
            f"no yield model for {crop_of(store, orchard)} in {region} is on this device; name one with "
            f"--yield-model FOLDER, say where {orchard} is with pomona block add --region, or "
            "give predictions as a table"
        )
    return named


def unfit(manifest: YieldManifest, crop: str, place: OrchardPlace) -> str | None:
    """Why a model does not fit an orchard, None where it does; that another region was trained on may be overridden."""
    if manifest.crop.casefold() != crop.casefold():
        return f"it predicts {manifest.crop} and {crop} grows there"
    if place.region is None:
        return f"it was trained on {manifest.region} and nobody has said where the orchard is"
    if manifest.region.casefold() != place.region.casefold():
        return f"it was trained on {manifest.region} and the orchard is in {place.region}"
    return None


def _shipped(crop: str, place: OrchardPlace) -> Path | None:
    for path in sorted(BUNDLES.glob(f"*/{MANIFEST}")):
        manifest = read_manifest(path)
        if isinstance(manifest, YieldManifest) and unfit(manifest, crop, place) is None:
            return path.parent
    return None
