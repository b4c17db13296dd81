"""Which yield model predicts on this device, and whether it fits an orchard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device.errors import InputError
from device.orchard_places import OrchardPlace, crop_of, place_of
from device.releases.active import YIELD, start_active
from device.store import Store
from export.runtime.bundle import BUNDLES
from export.runtime.errors import BundleError, EngineError
from export.runtime.fitting import fits
from export.runtime.manifest import MANIFEST
from export.runtime.manifest_file import read_manifest
from export.runtime.yield_manifest import YieldManifest
from export.runtime.yield_model import YieldModel, open_yield_model


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


def chosen_yield_model(store: Store, orchard: str, choice: ModelChoice, tell: Callable[[str], None]) -> YieldModel:
    """The model that shall predict: the one named, the active one, or one that comes with Pomona.

    Where the active one does not start, the one before comes back, which is noted for the server.

    Args:
        store: the device's records.
        orchard: name of the orchard.
        choice: what a person says of the model.
        tell: told that another model came back.

    Raises:
        InputError: there is none for the orchard's crop and region.
        BundleError: it is incomplete, altered, or predicts otherwise than where it was built.
        EngineError: its graph does not run.
        MissingPartError: onnxruntime is not installed.
    """
    if choice.folder is not None:
        return open_yield_model(choice.folder)

    def start(folder: Path | None, _previous: Path | None) -> YieldModel:
        model = open_yield_model(folder or _shipped(store, orchard))
        model.check()
        return model

    return start_active(store, YIELD, start, (BundleError, EngineError, InputError), tell)


def unfit(manifest: YieldManifest, crop: str, place: OrchardPlace) -> str | None:
    """Why a model does not fit an orchard, None where it does; that another region was trained on may be overridden."""
    reason = fits(manifest, crop, place.region, YIELD)
    if reason is None and place.region is None:
        name = f"{manifest.name} {manifest.version}"
        return f"{name} is made for {manifest.region}, and nobody has said where the orchard stands"
    return reason


def _shipped(store: Store, orchard: str) -> Path:
    crop, place = crop_of(store, orchard), place_of(store, orchard)
    for path in sorted(BUNDLES.glob(f"*/{MANIFEST}")):
        manifest = read_manifest(path)
        if isinstance(manifest, YieldManifest) and unfit(manifest, crop, place) is None:
            return path.parent
    raise InputError(
        f"no yield model for {crop} in {place.region or 'a region nobody has named'} is on this device; name one with "
        f"--yield-model FOLDER, say where {orchard} is with pomona block add --region, or give predictions as a table"
    )
