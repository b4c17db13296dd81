"""How the score at which as many boxes count as there are labels differs between orchard rows.

    python -m tests.benchmarks.rows --data orchard [--bundle BUNDLE]

``orchard`` holds ``train`` and ``val``. Rows that were trained on are listed too: rows differ from one another more
than those that were trained on differ from those that were not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.build.counting import full_rows, unbiased_threshold
from export.evaluate.detection import detect_photos
from export.evaluate.matching import PhotoResult, average_precision, count_bias
from export.runtime.bundle import Bundle, open_bundle
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from models.detection.train import HELD_OUT, split_photos
from models.labelled_photos import LabelledPhoto, read_labelled_photos

LABEL = "apple"


def row_lines(name: str, results: Sequence[PhotoResult], threshold: float) -> list[str]:
    """A table line for each orchard row of at least three trees, and stage.

    Args:
        name: which photos these are.
        results: what was found in them.
        threshold: the bundle's own, at which the bias is given.
    """
    lines = []
    for row, photos in sorted(full_rows(results).items()):
        at_threshold = [replace(photo, counted=photo.scores >= threshold) for photo in photos]
        values = (
            f"{row}, {name}",
            ", ".join(sorted({photo.stage.replace("_", " ") for photo in photos})),
            f"{len(photos)}",
            f"{average_precision(photos):.3f}",
            f"{unbiased_threshold(photos):.3f}",
            f"{count_bias(at_threshold):+.1%}".replace("%", " %"),
        )
        lines.append(f"| {' | '.join(values)} |")
    return lines


def _results(bundle: Bundle, photos: Sequence[LabelledPhoto]) -> list[PhotoResult]:
    trees = [photo for photo in photos if photo.kind == "trees"]
    return detect_photos(bundle, OnnxRuntimeEngine(bundle), trees)[LABEL]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, help="default: the one that comes with Pomona")
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    trained, held_out = split_photos(read_labelled_photos(arguments.data / "train"), HELD_OUT)
    groups = {
        "trained on": trained,
        "held out": held_out,
        "never seen": read_labelled_photos(arguments.data / "val"),
    }
    threshold = bundle.manifest.counting[LABEL].threshold
    print(f"{bundle.identity} counts apples from {threshold:.3f} on.\n")
    print("| row | stage | photos | AP50 | unbiased threshold | bias at the bundle's |")
    print("| --- | --- | --- | --- | --- | --- |")
    seen: list[PhotoResult] = []
    for name, photos in groups.items():
        results = _results(bundle, photos)
        seen += results
        print("\n".join(row_lines(name, results, threshold)))
    spread = np.array([unbiased_threshold(photos) for photos in full_rows(seen).values()])
    print(f"\nUnbiased thresholds lie between {spread.min():.3f} and {spread.max():.3f}.")


if __name__ == "__main__":
    main()
