"""Making the detector's bundle: graph, parity, counting threshold, metrics, manifest."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.build.counting import counting_of
from export.build.onnx_graph import INPUT_NAME, export_graph, parity_px, rounded_export_form
from export.build.rounding import compare_with_float32
from export.evaluate.detection import Row, detect_photos, evaluate
from export.runtime.bundle import Bundle, open_bundle, sha256_of
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from export.runtime.manifest import SCHEMA, Counting, Input, Manifest, Metrics, Suppression, Tiling
from export.runtime.photos import read_photo
from models.detection.start_weights import load_detector
from models.detection.train import split_photos
from models.labelled_photos import LabelledPhoto, read_labelled_photos

# P7: boxes of the graph and of the network may differ by a thousandth of a pixel
MOST_PARITY_PX = 1e-3
_PARITY_TILES = 8

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
        training_data: folder it was trained on; its held-out rows fix threshold and bias.
        evaluation_data: folder it never saw; its figures go into the manifest.
        output: folder of the bundle.
        name: name of the bundle.
        version: version of the bundle.
        image_px: side of the input.
        tiling: how photos are cut up.
        suppression: how duplicates in a tile are dropped.
    """

    checkpoint: Path
    training_data: Path
    evaluation_data: Path
    output: Path
    name: str
    version: str
    image_px: int
    tiling: Tiling
    suppression: Suppression


class ParityError(RuntimeError):
    """The exported graph does not compute what the network computes."""

    exit_code = 1


def build_detector(recipe: BundleRecipe, say: Callable[[str], None]) -> Bundle:
    """Export a trained detector, fix its counting on held-out rows, measure it, write its manifest.

    Args:
        recipe: what to build.
        say: told each step.

    Raises:
        ParityError: graph and network differ by more than :data:`MOST_PARITY_PX`.
        FileNotFoundError: no labelled photos in a data folder.
        ValueError: a checkpoint or label file of another kind, or a label that no held-out photo shows.
    """
    model, settings = load_detector(recipe.checkpoint)
    _, held_out = split_photos(read_labelled_photos(recipe.training_data), settings["hold_out"])
    recipe.output.mkdir(parents=True, exist_ok=True)
    graph = recipe.output / "model.onnx"
    say(f"exporting {recipe.checkpoint}")
    ready = rounded_export_form(model)
    export_graph(ready, recipe.image_px, graph)
    parity = parity_px(ready, graph, _tiles_of(held_out, recipe.image_px))
    say(f"boxes of graph and network differ by at most {parity:.1e} px")
    if parity > MOST_PARITY_PX:
        raise ParityError(f"{graph} differs from its network by {parity:.1e} px; at most {MOST_PARITY_PX} is accepted")
    labels = tuple(settings["labels"])
    draft = Manifest(
        schema_version=SCHEMA,
        name=recipe.name,
        version=recipe.version,
        task="detection",
        crop="apple",
        region="Latvia (fruit), France and Germany (flowers)",
        target="visible apples and blossoms in photos of whole trees",
        unit="objects per photo",
        labels=labels,
        input=Input(name=INPUT_NAME, size_px=recipe.image_px, colour_order="RGB", scale=1 / 255, padding=114),
        tiling=recipe.tiling,
        suppression=recipe.suppression,
        counting={label: Counting(threshold=0.25) for label in labels},
        metrics=(),
        parity_px=parity,
        smallest_runtime="1.18",
        training_commit=_commit(),
        training_data=f"{recipe.training_data.name}: orchard rows apart from the held-out ones, random crops",
        licence="AGPL-3.0-or-later",
        attribution=ATTRIBUTION,
        files={graph.name: sha256_of(graph)},
    )
    say(f"fixing the counting thresholds on {len(held_out)} held-out photos")
    draft = draft.model_copy(update={"counting": _counting(_write(recipe.output, draft), held_out)})
    bundle = _write(recipe.output, draft)
    say(f"measuring on {recipe.evaluation_data}")
    data = recipe.evaluation_data.name
    metrics = _metrics(data, evaluate(bundle, OnnxRuntimeEngine(bundle), recipe.evaluation_data))
    say("comparing with float32")
    whole = [photo for photo in read_labelled_photos(recipe.evaluation_data) if photo.kind != "tiles"]
    metrics += compare_with_float32(bundle, model, whole, data)
    return _write(recipe.output, draft.model_copy(update={"metrics": tuple(metrics)}))


def _write(folder: Path, manifest: Manifest) -> Bundle:
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return open_bundle(folder)


def _counting(bundle: Bundle, held_out: Sequence[LabelledPhoto]) -> dict[str, Counting]:
    """Each label is fixed on whole trees that show it: tiles would weigh single fruit differently."""
    engine = OnnxRuntimeEngine(bundle)
    fruit = detect_photos(bundle, engine, [photo for photo in held_out if photo.kind == "trees"])
    flowers = detect_photos(bundle, engine, [photo for photo in held_out if photo.kind == "flowers"])
    counting = {}
    for label in bundle.manifest.labels:
        results = (flowers if label == "apple_flower" else fruit)[label]
        if not any(result.labelled for result in results):
            raise ValueError(
                f"no {label} is labelled in the whole photos held out from training, so its counting threshold cannot "
                "be fixed; hold out photos that show it, or train without that label"
            )
        counting[label] = counting_of(results)
    return counting


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


def _tiles_of(photos: Sequence[LabelledPhoto], image_px: int) -> NDArray[np.float32]:
    """The first tiles of held-out photos that show something, (B, 3, H, W) in 0–1."""
    tiles = []
    for photo in photos:
        if photo.kind == "tiles" or not len(photo.boxes):
            continue
        pixels = read_photo(photo.path).pixels
        height, width = pixels.shape[:2]
        centre = photo.boxes[0, :2] * (width, height)
        x, y = (
            int(np.clip(c - image_px / 2, 0, side - image_px)) for c, side in zip(centre, (width, height), strict=True)
        )
        tile = pixels[y : y + image_px, x : x + image_px]
        tiles.append(tile.transpose(2, 0, 1).astype(np.float32) / 255)
    return np.stack(tiles[:_PARITY_TILES])


def _commit() -> str:
    """The commit that is checked out, or ``unknown`` outside a repository."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
