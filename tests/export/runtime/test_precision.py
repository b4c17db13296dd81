"""ONNX Runtime runs the graph that the manifest names, or the one it is told to."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from export.runtime.bundle import INT8_GRAPH, OPENVINO_INT8_GRAPH, Bundle, GraphPrecision
from export.runtime.engines import onnx_runtime
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.errors import BundleError
from tests.export.small_network import images, write_integer_bundle

NAME = f"onnxruntime-{onnxruntime.__version__}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Runs in integers where nobody says otherwise."""
    return write_integer_bundle(tmp_path_factory.mktemp("bundle"))


def _engine(bundle: Bundle, precision: GraphPrecision = "auto") -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=1, precision=precision))


def _in_float(bundle: Bundle, *names: str) -> Bundle:
    """The same bundle with float32 in its manifest, and without the graphs that are not named."""
    files = {name: bundle.manifest.files[name] for name in ("model.onnx", *names)}
    return Bundle(bundle.folder, bundle.manifest.model_copy(update={"precision": "float32", "files": files}))


def test_the_manifest_says_which_graph_runs(bundle: Bundle) -> None:
    assert _engine(bundle).name == f"{NAME}-int8"
    assert _engine(_in_float(bundle, INT8_GRAPH)).name == NAME


def test_a_setting_takes_the_other_graph(bundle: Bundle) -> None:
    assert _engine(bundle, "float32").name == NAME
    assert _engine(_in_float(bundle, INT8_GRAPH), "int8").name == f"{NAME}-int8"


def test_the_graphs_differ_by_rounding(bundle: Bundle) -> None:
    (image,) = images(1, seed=5)
    exact, rounded = _engine(bundle, "float32").infer(image), _engine(bundle).infer(image)
    assert 0 < np.abs(exact - rounded).max() < 0.2 * np.abs(exact).max()


def test_integers_that_a_bundle_does_not_have_are_named(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"discs-.* has no model\.int8\.onnx; run it in float32, or install"):
        _engine(_in_float(bundle), "int8")


def test_the_first_graph_there_is_taken(bundle: Bundle) -> None:
    assert bundle.graph("int8", OPENVINO_INT8_GRAPH, INT8_GRAPH) == bundle.folder / INT8_GRAPH
    assert bundle.graph("float32", INT8_GRAPH) == bundle.model
    with pytest.raises(BundleError, match=r"has no model\.int8\.openvino\.onnx or other\.onnx;"):
        bundle.graph("int8", OPENVINO_INT8_GRAPH, "other.onnx")


def test_a_processor_that_sums_in_16_bits_counts_the_same(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    (image,) = images(1, seed=5)
    expected = _engine(bundle).infer(image)
    sessions = []
    start = onnxruntime.InferenceSession

    def record(*arguments: Any, **options: Any) -> Any:
        sessions.append(start(*arguments, **options))
        return sessions[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    monkeypatch.setattr(onnx_runtime, "sums_products_of_bytes", lambda: False)
    assert np.array_equal(_engine(bundle).infer(image), expected)
    assert sessions[0].get_session_options().get_session_config_entry("session.x64quantprecision") == "1"


def test_rest_gives_memory_back_and_the_next_run_works(bundle: Bundle) -> None:
    engine = _engine(bundle)
    (image,) = images(1)
    before = engine.infer(image)
    engine.rest()
    assert np.array_equal(engine.infer(image), before)
