"""How far a model's counts are off at a growth stage, from the manifest of the bundle that made them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from calibration.shared_factors import SharedFactor, detector_factor, unknown_detector
from cloud_sync.messages import Stage
from export.runtime.bundle import BUNDLES, Bundle
from export.runtime.manifest import MANIFEST, DetectionManifest, StageBias
from export.runtime.manifest_file import read_manifest


def detector_of(
    models: Collection[str], stage: Stage, label: str, bundle: Path | None = None, installed: Path | None = None
) -> SharedFactor:
    """What counts of some models are multiplied by at a growth stage.

    Args:
        models: identities of the bundles that counted, as they stand beside the counts.
        stage: the growth stage.
        label: what was counted.
        bundle: folder of a bundle to look at beside those that come with Pomona.
        installed: folder with those that were installed.

    Returns:
        The factor; 1 with a warning where several models counted, or the bias of the one is not known.

    Raises:
        BundleError: a manifest cannot be read.
    """
    if len(set(models)) != 1:
        return unknown_detector()
    (model,) = set(models)
    folders = [path.parent for path in sorted(BUNDLES.glob(f"*/{MANIFEST}"))]
    if installed is not None and (installed / model / MANIFEST).exists():
        folders.insert(0, installed / model)
    bias = _bias_of(model, stage, label, [bundle, *folders] if bundle else folders)
    return unknown_detector() if bias is None else detector_factor(bias.bias, bias.variance, bias.trees, bias.rows)


def _bias_of(model: str, stage: Stage, label: str, folders: Iterable[Path]) -> StageBias | None:
    for folder in folders:
        manifest = read_manifest(folder / MANIFEST)
        if isinstance(manifest, DetectionManifest) and Bundle(folder, manifest).identity == model:
            counting = manifest.counting.get(label)
            return None if counting is None else counting.stages.get(stage)
    return None
