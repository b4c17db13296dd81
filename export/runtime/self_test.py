"""Trying a bundle before it is used: in a process of its own, which may die of it without harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from export.runtime.bundle import open_any_bundle, open_bundle, open_yield_bundle
from export.runtime.child_process import run_child, serve
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.errors import BundleError, EngineError
from export.runtime.photos import Photo, read_photo
from export.runtime.yield_model import YieldModel

_TIME_LIMIT_S = 300.0
# processors round differently: a count may be off by as much
_MOST_OFF_SHARE, _MOST_OFF = 0.03, 1.0


def try_bundle(folder: Path) -> None:
    """Run a bundle on what it brings to be tried with.

    Raises:
        BundleError: it does not start, fails, or computes something else than its manifest says.
    """
    try:
        run_child("export.runtime.self_test", {"folder": str(folder.resolve())}, _TIME_LIMIT_S)
    except EngineError as error:
        raise BundleError(f"it failed when it was tried: {error}") from error


def _detector(folder: Path) -> None:
    """Count in nothing, and in the bundle's own photos."""
    bundle = open_bundle(folder)
    counter = Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=0)))
    size = bundle.manifest.input.size_px
    counter.count(Photo(np.full((size, size, 3), 127, dtype=np.uint8), None, None, None))
    for name, expected in bundle.manifest.self_test.items():
        counts = counter.count(read_photo(folder / name, counter.least_side_px)).counts
        for label, number in expected.items():
            if abs(counts.get(label, 0) - number) > max(_MOST_OFF, _MOST_OFF_SHARE * number):
                raise BundleError(f"it counts {counts.get(label, 0)} {label} in {name}, and its manifest says {number}")


def _predictor(folder: Path) -> None:
    """Start every graph, which computes its parity sample."""
    YieldModel(open_yield_bundle(folder)).check()


_TRIES: Mapping[str, Callable[[Path], None]] = {"detection": _detector, "yield": _predictor}


def _try(request: dict[str, object]) -> None:
    folder = Path(str(request["folder"]))
    _TRIES[open_any_bundle(folder).manifest.task](folder)


if __name__ == "__main__":
    serve(_try)
