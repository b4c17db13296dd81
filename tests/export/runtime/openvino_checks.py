"""OpenVINO as an engine; ``test_openvino.py`` runs these checks in a process of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest

from export.runtime.bundle import OPENVINO_INT8_GRAPH, Bundle, GraphPrecision, open_bundle
from export.runtime.counter import Counter
from export.runtime.engines import openvino as engine_module
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.engines.openvino import OpenVinoEngine, OpenVinoSettings
from export.runtime.errors import BundleError, EngineError
from tests.disc_bundle import TILE_PX, write_manifest
from tests.drawing import draw_discs, in_rows
from tests.export.small_network import images, write_integer_bundle

NAME = f"openvino-{openvino.__version__.partition('-')[0]}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The small network, in integers where nobody says otherwise."""
    return write_integer_bundle(tmp_path_factory.mktemp("bundle"), openvino=True)


def _engine(bundle: Bundle, precision: GraphPrecision = "auto") -> OpenVinoEngine:
    return OpenVinoEngine(bundle, OpenVinoSettings(threads=1, precision=precision))


def _without(bundle: Bundle, name: str) -> Bundle:
    files = {other: digest for other, digest in bundle.manifest.files.items() if other != name}
    return Bundle(bundle.folder, bundle.manifest.model_copy(update={"files": files}))


# --- counting -------------------------------------------------------------------------------------------------------


def test_it_counts_what_is_drawn(disc_bundle: Bundle, counter: Counter) -> None:
    from tests.export.runtime.test_counter import photo  # noqa: PLC0415

    drawn = photo(draw_discs(in_rows(12)))
    found = Counter(disc_bundle, _engine(disc_bundle)).count(drawn)
    assert found.counts == counter.count(drawn).counts
    assert np.allclose(found.detections.boxes, counter.count(drawn).detections.boxes, atol=1e-3)


def test_it_gives_what_onnx_runtime_gives(bundle: Bundle) -> None:
    other = OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(1, "float32"))
    engine = _engine(bundle, "float32")
    for image in images(2, seed=3):
        output = engine.infer(image)
        assert output.shape == (1, 6, 256)
        assert output.dtype == np.float32
        assert np.abs(output - other.infer(image)).max() < 1e-4


def test_a_result_stays_when_the_next_tile_runs(bundle: Bundle) -> None:
    engine = _engine(bundle)
    one, other = images(2, seed=3)
    first = engine.infer(one)
    kept = first.copy()
    assert not np.array_equal(engine.infer(other), kept)
    assert np.array_equal(first, kept)


def test_it_works_again_after_a_rest(bundle: Bundle) -> None:
    engine = _engine(bundle)
    (image,) = images(1)
    before = engine.infer(image)
    engine.rest()
    assert np.array_equal(engine.infer(image), before)


# --- which graph ----------------------------------------------------------------------------------------------------


def test_the_manifest_or_a_setting_says_which_graph_runs(bundle: Bundle) -> None:
    assert _engine(bundle).name == f"{NAME}-int8"
    assert _engine(bundle, "float32").name == NAME


def test_its_own_form_of_integers_comes_before_that_of_onnx_runtime(bundle: Bundle) -> None:
    (image,) = images(1, seed=5)
    own, other = _engine(bundle), _engine(_without(bundle, OPENVINO_INT8_GRAPH))
    assert own.name == other.name == f"{NAME}-int8"
    exact = _engine(bundle, "float32").infer(image)
    assert 0 < np.abs(own.infer(image) - exact).max() < 0.2 * np.abs(exact).max()
    assert not np.array_equal(own.infer(image), other.infer(image))


def test_integers_that_a_bundle_does_not_have_are_named(disc_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"has no model\.int8\.openvino\.onnx or model\.int8\.onnx; run it in"):
        _engine(disc_bundle, "int8")


def test_a_processor_that_sums_in_16_bits_runs_float_unless_told(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "sums_products_of_bytes", lambda: False)
    assert _engine(bundle).name == NAME
    assert _engine(bundle, "int8").name == f"{NAME}-int8"


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_tile_of_another_size_is_an_engine_error(disc_bundle: Bundle) -> None:
    engine = _engine(disc_bundle)
    with pytest.raises(EngineError, match="openvino failed on a tile"):
        engine.infer(np.zeros((1, 3, TILE_PX // 2, TILE_PX), np.float32))


def test_a_graph_that_does_not_load_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    write_manifest(tmp_path)
    with pytest.raises(EngineError, match=r"openvino .* cannot load .*model\.onnx"):
        _engine(open_bundle(tmp_path))


def test_a_manifest_of_another_graph_fails_when_the_engine_is_made(disc_bundle: Bundle) -> None:
    wrong = disc_bundle.manifest.input.model_copy(update={"name": "pixels"})
    with pytest.raises(EngineError, match="openvino failed on a tile"):
        _engine(Bundle(disc_bundle.folder, disc_bundle.manifest.model_copy(update={"input": wrong})))
