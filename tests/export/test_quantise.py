"""Graphs in integers: which convolutions, how exact, and in the form each engine takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from export.build.operators import UnsupportedGraphError, check_operators, unsupported
from export.build.quantise import quantise_for_onnx_runtime, quantise_for_openvino, quantise_for_tensorrt
from tests.export.small_network import IN_FLOAT, IN_INTEGERS, images, small_network

FORMS = ["onnx_runtime", "openvino", "tensorrt"]


@dataclass(frozen=True)
class _Graphs:
    exact: Path
    onnx_runtime: Path
    openvino: Path
    tensorrt: Path


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> _Graphs:
    """The small network in all its forms."""
    folder = tmp_path_factory.mktemp("graphs")
    made = _Graphs(*(folder / f"model{form}.onnx" for form in ("", ".int8", ".int8.openvino", ".int8.qdq")))
    onnx.save(small_network(), made.exact)
    quantise_for_onnx_runtime(made.exact, images(8), made.onnx_runtime)
    quantise_for_openvino(made.exact, images(8), made.openvino)
    quantise_for_tensorrt(made.exact, images(8), made.tensorrt)
    return made


def _run(path: Path, optimised: Path | None = None, **options: str) -> NDArray[np.float32]:
    """Outputs for images that nothing was calibrated on."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # the library remarks that an optimised file fits this processor only
    for name, value in options.items():
        settings.add_session_config_entry(name.replace("_", "."), value)
    if optimised:
        settings.optimized_model_filepath = str(optimised)
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"images": image})[0] for image in images(4, seed=9)])


def _convolutions(path: Path) -> tuple[set[str], set[str]]:
    """Names of the convolutions with weights in integers, and of the others."""
    graph = onnx.load(path).graph
    producers = {output: node for node in graph.node for output in node.output}
    both: tuple[set[str], set[str]] = (set(), set())
    for node in graph.node:
        if node.op_type == "Conv":
            weight = producers.get(node.input[1])
            both[weight is None or weight.op_type != "DequantizeLinear"].add(node.name)
    return both


# --- what is in integers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_gates_made_kernels_decoding_and_what_reads_the_image_stay_in_float(graphs: _Graphs, form: str) -> None:
    integers, floats = _convolutions(getattr(graphs, form))
    assert integers == set(IN_INTEGERS)
    assert floats == set(IN_FLOAT)


def test_onnx_runtime_runs_them_in_integers(graphs: _Graphs, tmp_path: Path) -> None:
    _run(graphs.onnx_runtime, tmp_path / "optimised.onnx")
    ran = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert ran.count("QLinearConv") == len(IN_INTEGERS)
    assert ran.count("QLinearSigmoid") == 1, "SiLU behind one of them, not gates, the score or the first one's"
    assert ran.count("QLinearMul") == 1


@pytest.mark.parametrize(("form", "rounded"), [("onnx_runtime", True), ("openvino", False), ("tensorrt", False)])
def test_only_onnx_runtime_needs_the_results_of_convolutions_rounded(graphs: _Graphs, form: str, rounded: bool) -> None:
    graph = onnx.load(getattr(graphs, form)).graph
    after = {node.input[0]: node.op_type for node in graph.node if node.op_type == "QuantizeLinear"}
    assert {("middle" in after), ("left" in after)} == {rounded}


def test_weights_have_one_scale_a_channel(graphs: _Graphs) -> None:
    for path in (graphs.onnx_runtime, graphs.openvino, graphs.tensorrt):
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
        weights = {name: array for name, array in tensors.items() if array.dtype == np.int8 and array.ndim == 4}
        assert len(weights) >= 3
        for name, array in weights.items():
            assert tensors[name.replace("_quantized", "_scale")].shape == (array.shape[0],)
            assert not tensors[name.replace("_quantized", "_zero_point")].any()


# --- how exact ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_those_of_float32_but_for_rounding(graphs: _Graphs, form: str) -> None:
    exact, rounded = _run(graphs.exact), _run(getattr(graphs, form))
    spread = exact.std(axis=(0, 2), keepdims=True)
    assert (spread > 1e-3).all(), "outputs that differ, so that the comparison means something"
    error = np.sqrt(np.square((rounded - exact) / spread).mean(axis=(0, 2)))
    assert (error < 0.2).all()
    assert (error > 0).all()


def test_one_bright_image_does_not_coarsen_the_steps_of_all(graphs: _Graphs, tmp_path: Path) -> None:
    calibration = images(15)
    quantise_for_tensorrt(graphs.exact, [*calibration, calibration[0] * 50], tmp_path / "outlier.onnx")
    scales = [
        max(
            float(numpy_helper.to_array(tensor).item())
            for tensor in onnx.load(path).graph.initializer
            if tensor.name.endswith("_silu_scale")
        )
        for path in (graphs.tensorrt, tmp_path / "outlier.onnx")
    ]
    assert scales[1] < 10 * scales[0]


def test_the_exact_mode_for_older_processors_loads_and_gives_the_same(graphs: _Graphs) -> None:
    """Weights that two convolutions share stop ONNX Runtime in that mode."""
    exact_mode = _run(graphs.onnx_runtime, session_x64quantprecision="1")
    assert np.array_equal(exact_mode, _run(graphs.onnx_runtime))


# --- form -----------------------------------------------------------------------------------------------------------


def test_each_form_is_one_its_engine_takes(graphs: _Graphs) -> None:
    check_operators(onnx.load(graphs.onnx_runtime), "onnxruntime")
    check_operators(onnx.load(graphs.openvino), "onnxruntime")
    check_operators(onnx.load(graphs.tensorrt), "tensorrt")
    assert any("type UINT8" in line for line in unsupported(onnx.load(graphs.onnx_runtime), "tensorrt"))


def test_what_names_a_graph_stays(graphs: _Graphs) -> None:
    for path in (graphs.onnx_runtime, graphs.openvino, graphs.tensorrt):
        model = onnx.load(path)
        assert [(entry.key, entry.value) for entry in model.metadata_props] == [("task", "detect")]
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
        assert (model.producer_name, model.ir_version) == ("pomona", 8)
        assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["images", "output"]


def test_the_float_graph_is_left_as_it_is(graphs: _Graphs) -> None:
    assert graphs.exact.read_bytes() == small_network().SerializeToString()


# --- what cannot be done --------------------------------------------------------------------------------------------


def test_without_images_nothing_can_be_calibrated(graphs: _Graphs, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image to calibrate on; give some dozens of tiles"):
        quantise_for_onnx_runtime(graphs.exact, [], tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_graph_with_nothing_to_quantise_is_named(tmp_path: Path) -> None:
    model = small_network()
    nodes = [node for node in model.graph.node if node.name in ("cast", "first")]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.output[0].name = "first"
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for side in (1, 8, 16, 16):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = side
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="no convolution of this graph can run in integers; keep it in float32"):
        quantise_for_tensorrt(tmp_path / "model.onnx", images(1), tmp_path / "out.onnx")


def test_what_an_engine_does_not_take_is_not_written(tmp_path: Path) -> None:
    model = small_network()
    model.ir_version = 11
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UnsupportedGraphError, match="IR version 11; at most 10"):
        quantise_for_tensorrt(tmp_path / "model.onnx", images(1), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
