"""Making the detector's bundle: graph, parity, counting threshold, metrics, manifest."""

from __future__ import annotations

import math
from collections import Counter as Counted
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.build.counting import LEAST_TREES, counting_of
from export.build.errors import ParityError
from export.build.onnx_graph import INPUT_NAME, export_graph, parity_px, rounded_export_form
from export.build.operators import check_operators
from export.build.placing import bundle_place
from export.build.precision import compare_half_precision, compare_integers
from export.build.quantise import quantise_for_onnx_runtime, quantise_for_openvino, quantise_for_tensorrt
from export.evaluate.detection import Row, detect_photos, evaluate
from export.runtime.bundle import (
    INT8_GRAPH,
    OPENVINO_INT8_GRAPH,
    TENSORRT_INT8_GRAPH,
    Bundle,
    open_bundle,
    sha256_of,
)
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from export.runtime.manifest import MANIFEST, SCHEMA, Counting, DetectionManifest, Input, Metrics, Suppression, Tiling
from export.runtime.photos import read_photo
from export.runtime.tiling import Tile, lay_tiles
from models.detection.networks import network_of
from models.detection.start_weights import load_detector
from models.detection.train import split_photos
from models.detection.yolo_a import YoloA
from models.labelled_photos import LabelledPhoto, read_labelled_photos

# boxes of the graph and of the network may differ by a thousandth of a pixel
MOST_PARITY_PX = 1e-3
_PARITY_TILES = 8
_CALIBRATION_TILES = 48
_MOST_ROUNDS = 4
# orchard rows held out from which on the others need not be asked
_ENOUGH_ROWS = 5
PADDING = 114

ATTRIBUTION = (
    "AppleBBCH76 and AppleBBCH81, Kodors et al. 2024, Drones 8:734, CC BY 4.0",
    "flower, hereariim, MIT",
    "YOLO11n COCO weights, Ultralytics, AGPL-3.0",
)


@dataclass(frozen=True)
class BundleRecipe:
    """What a bundle is made of.

    Attributes:
        checkpoint: trained network.
        training_data: folder it was trained on; its rows, the held-out ones above all, fix threshold and bias.
        evaluation_data: folder it never saw; its figures go into the manifest.
        output: folder of the bundle.
        version: version of the bundle.
        image_px: side of the input.
        tiling: at which size photos are looked at and how they are cut up.
        suppression: how duplicates in a tile are dropped.
        integers: also make the graphs that compute in 8-bit integers, and run the processor's by default.
    """

    checkpoint: Path
    training_data: Path
    evaluation_data: Path
    output: Path
    version: str
    image_px: int
    tiling: Tiling
    suppression: Suppression
    integers: bool


def build_detector(recipe: BundleRecipe, say: Callable[[str], None]) -> Bundle:
    """Export a trained detector, fix its counting on the training set's rows, measure it, write its manifest.

    Args:
        recipe: what to build.
        say: told each step.

    Raises:
        ParityError: graph and network differ by more than :data:`MOST_PARITY_PX`.
        FileNotFoundError: no labelled photos in a data folder.
        ValueError: a checkpoint or label file of another kind, or a label that no held-out photo shows.
    """
    model, settings = load_detector(recipe.checkpoint)
    kin = isinstance(model, YoloA)
    if not kin:
        raise ValueError(
            f"{recipe.checkpoint} is {network_of(settings)}, which cannot be exported; YOLO-A, its light form, its "
            "ablations and YOLO11n can"
        )
    trained_on, held_out = split_photos(read_labelled_photos(recipe.training_data), settings["hold_out"])
    with bundle_place(recipe.output) as built:
        _build(recipe, model, settings, trained_on, held_out, built, say)
    return open_bundle(recipe.output)


def _build(
    recipe: BundleRecipe,
    model: YoloA,
    settings: dict[str, Any],
    trained_on: Sequence[LabelledPhoto],
    held_out: Sequence[LabelledPhoto],
    folder: Path,
    say: Callable[[str], None],
) -> Bundle:
    graph = folder / "model.onnx"
    say(f"exporting {recipe.checkpoint}")
    ready = rounded_export_form(model)
    export_graph(ready, recipe.image_px, graph)
    parity = parity_px(ready, graph, _tiles_of(held_out, recipe.image_px))
    say(f"boxes of graph and network differ by at most {parity:.1e} px")
    if parity > MOST_PARITY_PX:
        raise ParityError(
            f"the graph of {recipe.checkpoint} differs from its network by {parity:.1e} px; at most {MOST_PARITY_PX} "
            "is accepted, as counts would differ from those measured in training; report this with the checkpoint"
        )
    check_operators(onnx.load(graph), "tensorrt")
    graphs = [graph]
    if recipe.integers:
        say("quantising")
        tiles = [tile[None] for tile in _calibration_tiles(trained_on, recipe)]
        graphs += [folder / INT8_GRAPH, folder / OPENVINO_INT8_GRAPH, folder / TENSORRT_INT8_GRAPH]
        quantise_for_onnx_runtime(graph, tiles, graphs[1])
        quantise_for_openvino(graph, tiles, graphs[2])
        quantise_for_tensorrt(graph, tiles, graphs[3])
    labels = tuple(settings["labels"])
    draft = DetectionManifest(
        schema_version=SCHEMA,
        name=network_of(settings),
        version=recipe.version,
        task="detection",
        crop="apple",
        region="Latvia (fruit), France and Germany (flowers)",
        target="visible apples and blossoms in photos of whole trees",
        unit="objects per photo",
        labels=labels,
        input=Input(name=INPUT_NAME, size_px=recipe.image_px, colour_order="RGB", scale=1 / 255, padding=PADDING),
        tiling=recipe.tiling.model_copy(
            update={"closer_px": {label: side for label, side in recipe.tiling.closer_px.items() if label in labels}}
        ),
        suppression=recipe.suppression,
        counting={label: Counting(threshold=0.25) for label in labels},
        metrics=(),
        parity_px=parity,
        smallest_runtime="1.18",
        training_commit=settings.get("commit", "unknown"),
        training_data=f"{recipe.training_data.name}: orchard rows apart from the held-out ones, random crops",
        licence="AGPL-3.0-or-later",
        attribution=ATTRIBUTION,
        precision="int8" if recipe.integers else "float32",
        files={path.name: sha256_of(path) for path in graphs},
    )
    say(f"fixing the counting thresholds on {len(held_out)} held-out photos")
    bundle = _with_counting(_write(folder, draft), trained_on, held_out)
    say(f"measuring on {recipe.evaluation_data}")
    data = recipe.evaluation_data.name
    metrics = _metrics(data, evaluate(bundle, OnnxRuntimeEngine(bundle), recipe.evaluation_data))
    say("comparing with float32")
    whole = [photo for photo in read_labelled_photos(recipe.evaluation_data) if photo.kind != "tiles"]
    metrics += compare_half_precision(bundle, model, whole, data)
    if recipe.integers:
        metrics += compare_integers(bundle, whole, data)
    return _write(folder, bundle.manifest.model_copy(update={"metrics": tuple(metrics)}))


def _write(folder: Path, manifest: DetectionManifest) -> Bundle:
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return open_bundle(folder)


def _with_counting(bundle: Bundle, trained_on: Sequence[LabelledPhoto], held_out: Sequence[LabelledPhoto]) -> Bundle:
    """The bundle with thresholds at which as many count as are labelled.

    Which boxes of two tiles are joined depends a little on the thresholds, so they are fixed again until they stand.
    """
    for _ in range(_MOST_ROUNDS):
        counting = _counting(bundle, trained_on, held_out)
        stands = {label: part.threshold for label, part in counting.items()} == {
            label: part.threshold for label, part in bundle.manifest.counting.items()
        }
        bundle = _write(bundle.folder, bundle.manifest.model_copy(update={"counting": counting}))
        if stands:
            break
    return bundle


def _counting(
    bundle: Bundle, trained_on: Sequence[LabelledPhoto], held_out: Sequence[LabelledPhoto]
) -> dict[str, Counting]:
    """Each label is fixed on whole trees that show it: tiles would weigh single fruit differently.

    Where few rows are held out, rows that were trained on have a say too: how rows differ from one another moves the
    threshold more than having been seen does.
    """
    engine = OnnxRuntimeEngine(bundle)
    trees = [photo for photo in held_out if photo.kind == "trees"]
    trained = _in_full_rows(trained_on) if trees and len({p.row for p in _in_full_rows(trees)}) < _ENOUGH_ROWS else []
    trees += trained
    fruit = detect_photos(bundle, engine, trees)
    flowers = detect_photos(bundle, engine, [photo for photo in held_out if photo.kind == "flowers"])
    counting = {}
    for label in bundle.manifest.labels:
        results = (flowers if label == "apple_flower" else fruit)[label]
        if not any(result.labelled for result in results):
            raise ValueError(
                f"no {label} is labelled in the whole photos held out from training, so its counting threshold cannot "
                "be fixed; hold out photos that show it, or train without that label"
            )
        counting[label] = counting_of(results, {photo.row for photo in trained})
    return counting


def _in_full_rows(photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    """Whole trees of rows that enough of them show; a photo of no known row is a row of its own."""
    trees = [photo for photo in photos if photo.kind == "trees"]
    full = Counted(photo.row for photo in trees)
    return [photo for photo in trees if full[photo.row] >= LEAST_TREES]


def _metrics(data: str, rows: Sequence[Row]) -> list[Metrics]:
    return [
        Metrics(
            data=f"{data}, {row.name}, {row.label}",
            values={
                "photos": row.photos,
                "labelled": row.labelled,
                **{
                    name if end == "value" else f"{name}, {end}": round(getattr(figure, end), 4)
                    for name, figure in row.figures.items()
                    for end in ("value", "low", "high")
                    if math.isfinite(getattr(figure, end))  # one photo has no R²
                },
            },
        )
        for row in rows
    ]


def _calibration_tiles(photos: Sequence[LabelledPhoto], recipe: BundleRecipe) -> list[NDArray[np.float32]]:
    """Tiles (3, H, W) in 0–1 of photos that were trained on, as they are cut in the field; flowering ones too."""
    random = np.random.default_rng(0)
    sides = {"flowers": max(recipe.tiling.closer_px.values(), default=recipe.tiling.longest_side_px)}
    chosen = []
    for kind, share in (("trees", 0.8), ("flowers", 0.2)):
        of_kind = [photo for photo in photos if photo.kind == kind]
        side = sides.get(kind, recipe.tiling.longest_side_px)
        for i in range(round(share * _CALIBRATION_TILES) if of_kind else 0):
            pixels = read_photo(of_kind[i % len(of_kind)].path, side).scaled(side)
            tiles = lay_tiles(pixels.shape[1], pixels.shape[0], recipe.image_px, recipe.tiling.overlap_px)
            chosen.append(_as_input(tiles[random.integers(len(tiles))].cut(pixels, PADDING)))
    return chosen


def _as_input(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    planes: NDArray[np.float32] = np.divide(tile.transpose(2, 0, 1), 255, dtype=np.float32)
    return planes


def _tiles_of(photos: Sequence[LabelledPhoto], image_px: int) -> NDArray[np.float32]:
    """Tiles of held-out photos that show something, (B, 3, H, W) in 0–1.

    Raises:
        ValueError: nothing is labelled in them.
    """
    tiles = []
    for photo in [photo for photo in photos if photo.kind != "tiles" and len(photo.boxes)][:_PARITY_TILES]:
        pixels = read_photo(photo.path).pixels
        height, width = pixels.shape[:2]
        x, y = (
            int(np.clip(centre - image_px / 2, 0, max(0, side - image_px)))
            for centre, side in zip(photo.boxes[0, :2] * (width, height), (width, height), strict=True)
        )
        tiles.append(_as_input(Tile(x, y, image_px).cut(pixels, PADDING)))
    if not tiles:
        raise ValueError("no whole photo with a label is held out from training; hold out some that show fruit")
    return np.stack(tiles)
