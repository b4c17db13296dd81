"""Measuring a training checkpoint of any network: every network sees the same pixels of a photo.

Unlike a bundle, which decides by what it sees, it is told which photos show trees in flower.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.build.counting import unbiased_threshold
from export.evaluate.detection import LOWEST_SCORE, detect_photos
from export.evaluate.matching import CLOSER_OVERLAPS, PhotoResult
from export.evaluate.torch_engine import TorchEngine
from export.runtime.bundle import Bundle, sha256_of
from export.runtime.manifest import SCHEMA, Counting, DetectionManifest, Input, Suppression, Tiling
from models.detection.start_weights import load_detector
from models.detection.train import split_photos
from models.labelled_photos import LABELS, LabelledPhoto, read_labelled_photos

# the longer side at which photos of each kind are looked at; tiles are smaller anyway
LONGEST_SIDE_PX = {"trees": 1344, "tiles": 1344, "flowers": 2688}
_TILE_PX, _OVERLAP_PX = 480, 48
_LABEL_OF_KIND = {"trees": "apple", "tiles": "apple", "flowers": "apple_flower"}
_NO_THRESHOLD = 0.25


@dataclass(frozen=True)
class Measured:
    """What one checkpoint found.

    Attributes:
        results: for each kind of photo the results of the label it shows, in the photos' order.
        thresholds: counting threshold of each label, fixed on the rows held out from training.
        of: digest of what was measured and how, see :func:`measured_with`.
    """

    results: dict[str, list[PhotoResult]]
    thresholds: dict[str, float]
    of: str


def measure_checkpoint(
    checkpoint: Path,
    training_data: Path,
    evaluation_data: Path,
    progress: Callable[[int, int], None],
    kinds: tuple[str, ...] = tuple(LONGEST_SIDE_PX),
) -> Measured:
    """Fix the counting thresholds on the held-out rows of the training data, then detect in photos it never saw.

    Args:
        checkpoint: trained network.
        training_data: folder it was trained on.
        evaluation_data: folder it never saw.
        progress: called with photos done and photos in all.
        kinds: sub-folders to measure on.

    Raises:
        FileNotFoundError: no checkpoint or no labelled photos there.
        ValueError: another kind of file.
    """
    network, settings = load_detector(checkpoint)
    engine, labels = TorchEngine(network), tuple(settings["labels"])
    _, held_out = split_photos(read_labelled_photos(training_data), settings["hold_out"])
    held_out = [photo for photo in held_out if photo.kind != "tiles"]
    photos = read_labelled_photos(evaluation_data, kinds)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, len(held_out) + len(photos))

    def find(chosen: Sequence[LabelledPhoto], thresholds: dict[str, float]) -> dict[str, list[PhotoResult]]:
        found = {}
        for kind in dict.fromkeys(photo.kind for photo in chosen):
            bundle = Bundle(Path(), draft_manifest(labels, LONGEST_SIDE_PX[kind], thresholds))
            shown = [photo for photo in chosen if photo.kind == kind]
            label = _LABEL_OF_KIND[kind]
            if label in labels:
                found[kind] = detect_photos(bundle, engine, shown, step, every_overlap=True)[label]
        return found

    fixing = find(held_out, {})
    thresholds = {
        label: _threshold([result for kind, part in fixing.items() if _LABEL_OF_KIND[kind] == label for result in part])
        for label in labels
    }
    return Measured(find(photos, thresholds), thresholds, measured_with(checkpoint, evaluation_data))


def measured_with(checkpoint: Path, evaluation_data: Path) -> str:
    """Digest of a checkpoint, of the size photos are looked at and cut up, and of the labels beside them."""
    digest = hashlib.sha256(sha256_of(checkpoint).encode())
    for side in LONGEST_SIDE_PX.values():
        digest.update(draft_manifest(LABELS, side, {}).model_dump_json().encode())
    for path in sorted(evaluation_data.rglob("labels/*.txt")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _threshold(results: Sequence[PhotoResult]) -> float:
    """Where as many count as are labelled; the lowest score where the network finds too little for that."""
    labelled = sum(result.labelled for result in results)
    if not labelled:
        raise ValueError("a label of this network is in no photo held out from training, so it cannot be counted")
    found = sum(len(result.scores) for result in results)
    return unbiased_threshold(results) if labelled < found else LOWEST_SCORE


def draft_manifest(labels: tuple[str, ...], longest_side_px: int, thresholds: dict[str, float]) -> DetectionManifest:
    """How photos are cut up and counted before a bundle is made.

    Args:
        labels: what the network finds.
        longest_side_px: longer side that photos are scaled down to.
        thresholds: counting threshold of each label; 0.25 where none is given.
    """
    return DetectionManifest(
        schema_version=SCHEMA,
        name="checkpoint",
        version="0.0.0",
        task="detection",
        crop="apple",
        region="",
        target="",
        unit="objects per photo",
        labels=labels,
        input=Input(name="images", size_px=_TILE_PX, colour_order="RGB", scale=1 / 255, padding=114),
        tiling=Tiling(overlap_px=_OVERLAP_PX, match_threshold=0.5, longest_side_px=longest_side_px),
        suppression=Suppression(iou_threshold=0.6, most_candidates=1000),
        counting={label: Counting(threshold=thresholds.get(label, _NO_THRESHOLD)) for label in labels},
        metrics=(),
        parity_px=0,
        smallest_runtime="1.18",
        training_commit="",
        training_data="",
        licence="",
        attribution=(),
        files={},
    )


# --- files ----------------------------------------------------------------------------------------------------------


def save_measured(path: Path, measured: Measured) -> None:
    """Write what a checkpoint found, to be read by :func:`read_measured`."""
    arrays: dict[str, NDArray[Any]] = {
        "labels": np.array(list(measured.thresholds), dtype=np.str_),
        "thresholds": np.array(list(measured.thresholds.values())),
        "of": np.array(measured.of, dtype=np.str_),
    }
    for kind, results in measured.results.items():
        arrays[f"{kind}/sizes"] = np.array([len(result.scores) for result in results])
        arrays[f"{kind}/labelled"] = np.array([result.labelled for result in results])
        for name in ("tree", "stage", "row"):
            arrays[f"{kind}/{name}"] = np.array([getattr(result, name) for result in results], dtype=np.str_)
        for name in ("scores", "counted"):
            arrays[f"{kind}/{name}"] = np.concatenate([getattr(result, name) for result in results])
        arrays[f"{kind}/matched"] = np.concatenate([result.at_all_overlaps() for result in results])
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def read_measured(path: Path) -> Measured:
    """Read what :func:`save_measured` wrote.

    Raises:
        FileNotFoundError: no such file.
    """
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    kinds: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        kind, _, inner = name.partition("/")
        if inner:
            kinds.setdefault(kind, {})[inner] = array
    results = {kind: _read_kind(inner) for kind, inner in kinds.items()}
    thresholds = dict(zip(arrays["labels"].tolist(), arrays["thresholds"].tolist(), strict=True))
    return Measured(results, thresholds, str(arrays["of"]))


def _read_kind(arrays: dict[str, NDArray[Any]]) -> list[PhotoResult]:
    ends = np.cumsum(arrays["sizes"]).tolist()
    empty = PhotoResult("", "", np.zeros(0, np.float32), *(np.zeros(0, np.bool_),) * 2, 0)
    return [
        replace(
            empty,
            tree=str(arrays["tree"][i]),
            stage=str(arrays["stage"][i]),
            row=str(arrays["row"][i]),
            scores=arrays["scores"][start:end],
            counted=arrays["counted"][start:end],
            matched=arrays["matched"][start:end, 0],
            closely=arrays["matched"][start:end, 1 : 1 + len(CLOSER_OVERLAPS)],
            labelled=int(arrays["labelled"][i]),
        )
        for i, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
    ]
