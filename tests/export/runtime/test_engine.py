"""ONNX Runtime as an engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from export.runtime.bundle import Bundle, open_bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from export.runtime.errors import EngineError
from tests.disc_bundle import TILE_PX, make_disc_bundle, write_manifest
from tests.processes import run_python


def test_a_tile_gives_boxes_and_scores_of_every_label(counter: Counter) -> None:
    output = counter.engine.infer(np.zeros((1, 3, TILE_PX, TILE_PX), np.float32))
    assert output.shape == (1, 4 + 2, 6400)
    assert output.dtype == np.float32


def test_the_name_says_library_and_version(counter: Counter) -> None:
    assert counter.engine.name == f"onnxruntime-{onnxruntime.__version__}"


def test_the_same_tile_gives_the_same_boxes(shipped_counter: Counter) -> None:
    size = shipped_counter.bundle.manifest.input.size_px
    tile = np.random.default_rng(0).random((1, 3, size, size), np.float32)
    assert np.array_equal(shipped_counter.engine.infer(tile), shipped_counter.engine.infer(tile))


def test_a_tile_of_another_size_is_an_engine_error(counter: Counter) -> None:
    with pytest.raises(EngineError, match="onnxruntime failed on a tile"):
        counter.engine.infer(np.zeros((1, 3, 16, 16), np.float32))


def test_a_graph_that_does_not_load_is_named(tmp_path: Path, disc_bundle: Bundle) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    write_manifest(tmp_path)
    with pytest.raises(EngineError, match=r"onnxruntime .* cannot load .*model\.onnx"):
        OnnxRuntimeEngine(open_bundle(tmp_path))


def test_a_library_older_than_the_bundle_needs_is_named(disc_bundle: Bundle) -> None:
    newer = Bundle(disc_bundle.folder, disc_bundle.manifest.model_copy(update={"smallest_runtime": "99.1"}))
    with pytest.raises(
        EngineError, match=rf"onnxruntime is {onnxruntime.__version__} and discs-.* needs 99\.1 or newer"
    ):
        OnnxRuntimeEngine(newer)


def test_a_manifest_of_another_graph_fails_when_the_engine_is_made(tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path / "bundle")
    wrong = bundle.manifest.model_copy(update={"input": bundle.manifest.input.model_copy(update={"name": "pixels"})})
    with pytest.raises(EngineError, match="onnxruntime failed on a tile"):
        OnnxRuntimeEngine(Bundle(bundle.folder, wrong))


def test_nothing_is_reported_to_the_makers_of_the_library(disc_bundle: Bundle, tmp_path: Path) -> None:
    """A release that reports keeps an identity for it under the user's cache."""
    code = """
import os, sys
from pathlib import Path
os.environ["HOME"] = sys.argv[2]
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
from export.runtime.bundle import open_bundle
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
OnnxRuntimeEngine(open_bundle(Path(sys.argv[1])))
"""
    done = run_python(code, disc_bundle.folder, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.rglob("*")) == []


def test_without_the_library_the_error_says_what_to_install(disc_bundle: Bundle) -> None:
    code = """
import sys
from pathlib import Path
from export.runtime.bundle import open_bundle
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from export.runtime.errors import MissingPartError
try:
    OnnxRuntimeEngine(open_bundle(Path(sys.argv[1])))
except MissingPartError as error:
    print(error)
"""
    done = run_python(code, disc_bundle.folder, blocked=["onnxruntime"])
    assert done.stdout.strip() == "onnxruntime is missing; pip install '.[device]' in Pomona's folder"
