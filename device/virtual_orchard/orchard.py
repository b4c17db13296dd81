"""Drawing a whole virtual orchard into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from device.virtual_orchard import writing
from device.virtual_orchard.errors import OrchardSettingsError
from device.virtual_orchard.planting import PlantedTree, Shot, plan_visit, plant_block
from device.virtual_orchard.settings import STAGES, OrchardSettings
from device.virtual_orchard.visibility import LEAST_ACROSS_PX, LEAST_VISIBLE_SHARE
from device.virtual_orchard.writing import TreeTruth
from export.runtime.errors import MissingPartError

if TYPE_CHECKING:
    from device.virtual_orchard.photographing import Photograph

_CLASSES = ("apple", "apple_flower")


@dataclass(frozen=True)
class OrchardTruth:
    """What is true of a drawn orchard.

    Attributes:
        settings: it was drawn with.
        folder: it was drawn into.
        trees: the photographed trees, in the order of the visit.
        block_trees: trees of the whole block.
        block_area_m2: ground of the whole block.
        sampled_area_m2: ground of the photographed trees.
        single_fruit_weight_g: mean weight at harvest of the fruit of the photographed trees; 0 without fruit.
        sampled_yield_kg_per_ha: yield of the photographed trees on their ground.
        block_yield_kg_per_ha: yield of the whole block, the trees that were not photographed included.
    """

    settings: OrchardSettings
    folder: Path
    trees: tuple[TreeTruth, ...]
    block_trees: int
    block_area_m2: float
    sampled_area_m2: float
    single_fruit_weight_g: float
    sampled_yield_kg_per_ha: float
    block_yield_kg_per_ha: float

    @property
    def fruit_total(self) -> int:
        """Fruit of the photographed trees."""
        return sum(tree.fruit_total for tree in self.trees)

    @property
    def fruit_visible(self) -> int:
        """Fruit a person would box in the photos."""
        return sum(tree.fruit_visible for tree in self.trees)


def draw_orchard(
    settings: OrchardSettings,
    folder: Path,
    *,
    labels: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> OrchardTruth:
    """Draw the photos of a virtual orchard and write down what is true of it.

    ``photos/<tree>/<tree>_a.jpg``, ``truth.csv``, ``orchard.json`` and, on request, ``labels/<tree>_a.txt``. The same
    settings give the same files; a drawing that was broken off is simply started again. The truth is written last, so
    where it is, the photos are complete.

    Args:
        settings: of the orchard.
        folder: to draw into; made when absent.
        labels: whether to write the boxes of the visible fruit, in the YOLO text format.
        progress: called with the number of photos drawn and of all photos.

    Raises:
        OrchardSettingsError: the folder holds photos of other trees, or is a file.
        MissingPartError: OpenCV is not installed.
        OSError: a file cannot be written.
    """
    _require_opencv()
    from device.virtual_orchard.photographing import Photographer  # noqa: PLC0415  (draws with OpenCV)

    block = plant_block(settings)
    shots = plan_visit(settings, block)
    _clear_truth(folder, shots, labels=labels)
    photographer = Photographer(settings)
    trees = []
    for number, shot in enumerate(shots, start=1):
        photograph = photographer.photograph(shot)
        trees.append(_write_tree(settings, folder, shot, photograph, labels=labels))
        if progress is not None:
            progress(number, len(shots))
    truth = _sum_up(settings, folder, trees, block, [shot.tree for shot in shots])
    writing.write_truth(folder / writing.TRUTH_NAME, trees)
    writing.write_orchard(folder / writing.ORCHARD_NAME, _description(truth))
    return truth


def _require_opencv() -> None:
    try:
        import cv2  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingPartError(
            "drawing needs OpenCV; pip install '.[opencv]' in Pomona's folder, or on a Jetson use JetPack's own"
        ) from error


def _clear_truth(folder: Path, shots: Sequence[Shot], *, labels: bool) -> None:
    """Remove what an earlier drawing wrote down, which may not fit the photos that are drawn now."""
    if folder.exists() and not folder.is_dir():
        raise OrchardSettingsError(f"{folder} is a file; name a folder to draw the orchard into")
    planned = {folder / _photo_name(shot) for shot in shots}
    strangers = sorted(path for path in folder.glob(f"{writing.PHOTO_FOLDER}/**/*.jpg") if path not in planned)
    if strangers:
        raise OrchardSettingsError(
            f"{folder} holds photos that are not of this orchard, such as {strangers[0].relative_to(folder)}; "
            "choose an empty folder or delete this one"
        )
    for name in (writing.TRUTH_NAME, writing.ORCHARD_NAME):
        (folder / name).unlink(missing_ok=True)
    if not labels:
        for shot in shots:
            _label_path(folder, shot).unlink(missing_ok=True)


def _photo_name(shot: Shot) -> str:
    return f"{writing.PHOTO_FOLDER}/{shot.tree.code}/{shot.tree.code}_a.jpg"


def _label_path(folder: Path, shot: Shot) -> Path:
    return folder / writing.LABEL_FOLDER / f"{shot.tree.code}_a.txt"


def _write_tree(
    settings: OrchardSettings, folder: Path, shot: Shot, photograph: Photograph, *, labels: bool
) -> TreeTruth:
    tree, stage = shot.tree, STAGES[settings.stage]
    name = _photo_name(shot)
    writing.write_photo(folder / name, photograph.pixels, shot.taken_at, tree.latitude, tree.longitude)
    boxes = [view.box for view in photograph.views if view.counted and view.box is not None]
    if labels:
        label = _CLASSES.index(stage.label)
        writing.write_labels(_label_path(folder, shot), label, boxes, settings.width_px, settings.height_px)
    hidden = [1 - view.visible_share for view in photograph.views]
    grown = tree.fruit > 0 and not stage.is_flowering
    return TreeTruth(
        tree=tree.code,
        photo=name,
        fruit_total=tree.fruit,
        fruit_visible=len(boxes),
        occlusion=round(float(np.mean(hidden)), 4) if hidden else 0.0,
        light=shot.light,
        fruit_diameter_mm=round(1000 * float(tree.diameters_m.mean()) * stage.growth, 2) if grown else None,
        fruit_weight_g=round(1000 * tree.yield_kg / tree.fruit, 2) if tree.fruit else None,
        yield_kg=round(tree.yield_kg, 4),
    )


def _sum_up(
    settings: OrchardSettings,
    folder: Path,
    trees: Sequence[TreeTruth],
    block: Sequence[PlantedTree],
    sampled: Sequence[PlantedTree],
) -> OrchardTruth:
    block_area_m2, sampled_area_m2 = (len(group) * settings.tree_area_m2 for group in (block, sampled))
    sampled_kg = sum(tree.yield_kg for tree in sampled)
    return OrchardTruth(
        settings=settings,
        folder=folder,
        trees=tuple(trees),
        block_trees=len(block),
        block_area_m2=block_area_m2,
        sampled_area_m2=sampled_area_m2,
        single_fruit_weight_g=1000 * sampled_kg / max(1, sum(tree.fruit for tree in sampled)),
        sampled_yield_kg_per_ha=sampled_kg / sampled_area_m2 * 1e4,
        block_yield_kg_per_ha=sum(tree.yield_kg for tree in block) / block_area_m2 * 1e4,
    )


def _description(truth: OrchardTruth) -> dict[str, Any]:
    settings = truth.settings
    return {
        "about": "A drawn orchard: no real trees, no real harvest.",
        "block": settings.block,
        "stage": settings.stage,
        "label": STAGES[settings.stage].label,
        "day": settings.day.isoformat(),
        "seed": settings.seed,
        "latitude": settings.latitude,
        "longitude": settings.longitude,
        "row_spacing_m": settings.row_spacing_m,
        "tree_spacing_m": settings.tree_spacing_m,
        "block_trees": truth.block_trees,
        "block_area_m2": round(truth.block_area_m2, 2),
        "sampled_trees": len(truth.trees),
        "sampled_area_m2": round(truth.sampled_area_m2, 2),
        "fruit_total": truth.fruit_total,
        "fruit_visible": truth.fruit_visible,
        "visible_from_share": LEAST_VISIBLE_SHARE,
        "visible_from_px": LEAST_ACROSS_PX,
        "single_fruit_weight_g": round(truth.single_fruit_weight_g, 2),
        "sampled_yield_kg_per_ha": round(truth.sampled_yield_kg_per_ha, 1),
        "true_yield_kg_per_ha": round(truth.block_yield_kg_per_ha, 1),
    }
