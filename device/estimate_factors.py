"""What the counts of a visit are multiplied by: fruit weight, detector, visibility, sides, neighbours' fruit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.fruit_weight import assumed_weight, given_weight
from calibration.shared_factors import SharedFactor, partly_reviewed
from device.by_hand import read_weighed_sample
from device.count_bias import detector_of
from device.hand_factors import background, sides, visibility
from device.orchards import Block
from device.releases.active import bundles_folder
from device.sampled_visits import SampledVisit
from device.store import Store


def fruit_weight(block: Block, weight_g: float | None = None, weighed: Path | None = None) -> SharedFactor:
    """Single fruit weight: from fruit on a scale, as given now, the block's, or assumed.

    Raises:
        InputError: the file of weights is wrong.
        CalibrationError: a weight that is not above zero, or fewer than two on the scale.
    """
    if weighed is not None:
        return read_weighed_sample(weighed)
    weight_g = block.fruit_weight_g if weight_g is None else weight_g
    return assumed_weight() if weight_g is None else given_weight(weight_g)


def counts_and_factors(
    store: Store, block: Block, visit: SampledVisit, bundle: Path | None = None
) -> tuple[NDArray[np.float64], tuple[SharedFactor, ...]]:
    """The count of each tree as it enters the estimate, and all shared factors but the fruit weight.

    Where nobody has reviewed a count, trees counted by hand are held against the model's counts, whose bias is then in
    the visibility. Where somebody has, they are held against reviewed counts.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        bundle: folder of the bundle that counted, where it did not come with Pomona.

    Returns:
        (trees,) counts, and the factors.

    Raises:
        BundleError: a manifest cannot be read.
        CalibrationError: counts by hand that nothing can be learned from.
    """
    machine = [tree.machine for tree in visit.trees]
    models, installed = {tree.model for tree in visit.trees}, bundles_folder(store.folder)
    detector = detector_of(models, visit.stage, visit.label, bundle, installed)
    seen, own = visibility(store, block, visit), background(store, block, visit)
    both = sides(store, block, visit, detector.factor.value * own.factor.value)
    if detector.name in seen.includes:
        counts = np.array(machine, dtype=np.float64)
    else:
        counts, detector = partly_reviewed(machine, [tree.reviewed for tree in visit.trees], detector)
    return counts, (detector, seen, both, own)
