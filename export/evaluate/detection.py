"""How well a detector finds and counts on labelled photos it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.evaluate.matching import (
    Figure,
    PhotoResult,
    average_precision,
    count_bias,
    count_mape,
    count_r2,
    match,
    match_closely,
    precision,
    recall,
    with_interval,
)
from export.runtime.bundle import Bundle
from export.runtime.counter import Counter
from export.runtime.engines import Engine
from export.runtime.photos import read_photo
from models.labelled_photos import LABELS, LabelledPhoto, read_labelled_photos

# average precision needs the whole curve, not only what is counted
LOWEST_SCORE = 0.001
# above this many fruit a tree, commercial counting systems are known to count too many
FULL_TREE = 200
STAGE_NAMES = {"fruit_expansion_bbch76": "fruit_expansion", "ripening_bbch81": "ripening"}

Measure = Callable[[Sequence[PhotoResult]], float]
MEASURES: dict[str, Measure] = {
    "AP50": average_precision,
    "precision": precision,
    "recall": recall,
    "count MAPE": count_mape,
    "count R²": count_r2,
    "count bias": count_bias,
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured on, e.g. ``whole trees, ripening``.
        label: what was looked for.
        photos: how many photos.
        labelled: how many labelled objects in them.
        figures: measured figures by name; which ones depends on the photos.
    """

    name: str
    label: str
    photos: int
    labelled: int
    figures: dict[str, Figure]


def detect_photos(
    bundle: Bundle,
    engine: Engine,
    photos: Sequence[LabelledPhoto],
    progress: Callable[[], None] = lambda: None,
    every_overlap: bool = False,
) -> dict[str, list[PhotoResult]]:
    """Count in labelled photos and match what was found with the labels.

    Args:
        bundle: the detector.
        engine: what runs it.
        photos: labelled photos.
        progress: called after each photo.
        every_overlap: match at the overlaps of AP50-95 too, not at one half alone.

    Returns:
        For each label of the bundle the results of all photos, in their order.
    """
    counter = Counter(bundle, engine, LOWEST_SCORE)
    results: dict[str, list[PhotoResult]] = {label: [] for label in bundle.manifest.labels}
    for labelled in photos:
        photo = read_photo(labelled.path, counter.least_side_px)
        count = counter.count(photo)
        corners = labelled.corners_px(photo.width, photo.height).astype(np.float32)
        for index, label in enumerate(bundle.manifest.labels):
            chosen = count.detections.classes == index
            found = count.detections.select(chosen)
            truth = corners[labelled.classes == LABELS.index(label)]
            results[label].append(
                PhotoResult(
                    tree=labelled.tree,
                    stage=STAGE_NAMES.get(labelled.stage, labelled.stage),
                    scores=found.scores,
                    matched=match(found.boxes, found.scores, truth),
                    counted=count.counted[chosen],
                    labelled=len(truth),
                    closely=match_closely(found.boxes, found.scores, truth) if every_overlap else None,
                    row=labelled.row,
                )
            )
        progress()
    return results


def _row(name: str, label: str, results: Sequence[PhotoResult], measures: Sequence[str]) -> Row:
    return Row(
        name,
        label,
        len(results),
        sum(result.labelled for result in results),
        {measure: with_interval(MEASURES[measure], results) for measure in measures},
    )


def evaluate(
    bundle: Bundle, engine: Engine, data: Path, progress: Callable[[int, int], None] = lambda _d, _t: None
) -> list[Row]:
    """Measure a bundle on a data set: whole trees (overall and by stage), tiles, and trees in flower.

    Args:
        bundle: the detector.
        engine: what runs it.
        data: folder of labelled photos the detector never saw.
        progress: called with photos done and photos in all.

    Raises:
        FileNotFoundError: no labelled photos there.
    """
    photos = read_labelled_photos(data)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, len(photos))

    by_kind = {
        kind: detect_photos(bundle, engine, [p for p in photos if p.kind == kind], step)
        for kind in dict.fromkeys(photo.kind for photo in photos)
    }
    everything = tuple(MEASURES)
    rows: list[Row] = []
    if "trees" in by_kind and "apple" in by_kind["trees"]:
        trees = by_kind["trees"]["apple"]
        rows.append(_row("whole trees", "apple", trees, everything))
        rows += [
            _row(f"whole trees, {stage}", "apple", [r for r in trees if r.stage == stage], everything)
            for stage in dict.fromkeys(result.stage for result in trees)
            if stage
        ]
        full = [result for result in trees if result.labelled > FULL_TREE]
        if full:
            rows.append(_row(f"whole trees with over {FULL_TREE} fruit", "apple", full, everything))
    if "tiles" in by_kind and "apple" in by_kind["tiles"]:
        rows.append(_row("tiles", "apple", by_kind["tiles"]["apple"], ("AP50", "precision", "recall")))
    if "flowers" in by_kind and "apple_flower" in by_kind["flowers"]:
        rows.append(_row("trees in flower", "apple_flower", by_kind["flowers"]["apple_flower"], everything))
    return rows
