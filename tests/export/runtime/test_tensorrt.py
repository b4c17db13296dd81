"""TensorRT as an engine: what it needs, what it says where that is missing, and on a GPU, what it computes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.runtime.bundle import Bundle, open_bundle
from export.runtime.counter import Counter
from export.runtime.engine_cache import EngineCache, Precision
from export.runtime.engines.choice import EngineSettings, choose_engine
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine
from export.runtime.engines.tensorrt import TensorRtEngine, TensorRtSettings
from export.runtime.errors import EngineError
from export.runtime.gpu import this_machine
from export.runtime.photos import Photo
from export.runtime.tensorrt_build import BuildSettings, build_engine
from tests.disc_bundle import TILE_PX, make_disc_bundle, write_manifest
from tests.drawing import draw_discs, in_rows
from tests.gpus import no_tensorrt, tensorrt_and_gpu
from tests.processes import ROOT, run_python

# --- without a GPU --------------------------------------------------------------------------------------------------

START = """
import sys
from pathlib import Path
from export.runtime.bundle import open_bundle
from export.runtime.engines.tensorrt import TensorRtEngine, TensorRtSettings
from export.runtime.errors import EngineError, MissingPartError
try:
    TensorRtEngine(open_bundle(Path(sys.argv[1])), TensorRtSettings(Path(sys.argv[2])))
except (EngineError, MissingPartError) as error:
    print(type(error).__name__, error)
"""


def test_everything_that_decides_is_imported_without_tensorrt_and_cuda() -> None:
    code = """
import sys
import export.runtime.engines.choice, export.runtime.engines.tensorrt, export.runtime.tensorrt_build, device.cli
print({"tensorrt", "cuda"} & set(sys.modules))
"""
    done = run_python(code, blocked=["tensorrt", "cuda"])
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_without_tensorrt_the_error_says_how_a_jetson_gets_it(disc_bundle: Bundle, tmp_path: Path) -> None:
    done = run_python(START, disc_bundle.folder, tmp_path, blocked=["tensorrt", "cuda"])
    assert done.stdout == (
        "MissingPartError TensorRT is missing (No module named 'tensorrt'); it needs an NVIDIA GPU. On a Jetson: "
        "apt-get install python3-libnvinfer, and make Pomona's environment with --system-site-packages\n"
    )


def with_module(folder: Path, text: str) -> str:
    """Code for a machine on which a module ``tensorrt`` is found; none of the code under test uses more of it."""
    (folder / "tensorrt.py").write_text(text)
    return f"import sys\nsys.path.insert(0, {str(folder)!r})\n{START}"


def test_a_tensorrt_whose_libraries_are_missing_is_told_with_the_library(disc_bundle: Bundle, tmp_path: Path) -> None:
    code = with_module(tmp_path, "import ctypes\nctypes.CDLL('libnvinfer.so.999')\n")
    told = run_python(code, disc_bundle.folder, tmp_path, blocked=["cuda"]).stdout
    assert told.startswith("MissingPartError TensorRT is missing (libnvinfer.so.999: cannot open shared object file")


def test_without_cuda_python_the_error_says_what_to_install(disc_bundle: Bundle, tmp_path: Path) -> None:
    code = with_module(tmp_path, "__version__ = '10.3.0'\n")
    told = run_python(code, disc_bundle.folder, tmp_path, blocked=["cuda"]).stdout
    assert told == (
        "MissingPartError cuda-python is missing (No module named 'cuda'); pip install '.[cuda]' in Pomona's folder\n"
    )


@no_tensorrt
def test_cuda_without_a_gpu_is_told(disc_bundle: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.runtime", reason="needs cuda-python", exc_type=ImportError)
    code = with_module(tmp_path, "__version__ = '10.3.0'\n")
    told = run_python(code, disc_bundle.folder, tmp_path).stdout
    assert re.match(r"EngineError (no GPU answers: |CUDA cannot count GPUs: no CUDA-capable device)", told)


# --- our stubs against the libraries --------------------------------------------------------------------------------


def _members(body: list[ast.stmt], module: Any) -> Iterator[tuple[str, bool]]:
    """Every name in a stub, and whether the library has it."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, hasattr(module, node.name)
            if isinstance(node, ast.ClassDef) and hasattr(module, node.name):
                inner = getattr(module, node.name)
                yield from ((f"{node.name}.{name}", there) for name, there in _members(node.body, inner))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            assert isinstance(target, ast.Name)
            yield target.id, hasattr(module, target.id)


@pytest.mark.parametrize(
    ("name", "stub"), [("tensorrt", "tensorrt/__init__.pyi"), ("cuda.bindings.runtime", "cuda/bindings/runtime.pyi")]
)
def test_the_library_has_what_our_stub_says(name: str, stub: str) -> None:
    module = pytest.importorskip(name, reason=f"needs {name}", exc_type=ImportError)
    only_10 = {"BuilderFlag.FP16", "BuilderFlag.INT8"} if module.__name__ == "tensorrt" else set()
    tree = ast.parse((ROOT / "typings" / stub).read_text())
    assert {member for member, there in _members(tree.body, module) if not there} <= only_10


# --- on a GPU -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, disc_bundle: Bundle) -> TensorRtSettings:
    """The engine of the bundle that counts drawn discs, in single precision."""
    folder = tmp_path_factory.mktemp("engines")
    build_engine(disc_bundle, folder, BuildSettings("fp32", workspace_mib=256, time_limit_min=10))
    return TensorRtSettings(folder)


def tiles(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).random((count, 1, 3, TILE_PX, TILE_PX), np.float32)


@tensorrt_and_gpu
def test_the_machine_is_named_by_gpu_and_versions() -> None:
    machine = this_machine()
    assert "multiprocessors" in machine.gpu
    assert float(machine.compute_capability) >= 5
    assert int(machine.tensorrt.split(".")[0]) >= 10


@tensorrt_and_gpu
def test_it_computes_what_onnx_runtime_computes(disc_bundle: Bundle, built: TensorRtSettings) -> None:
    peer = OnnxRuntimeEngine(disc_bundle)
    with TensorRtEngine(disc_bundle, built) as engine:
        assert engine.name.startswith("tensorrt-")
        assert engine.name.endswith("-fp32")
        for tile in tiles(3):
            first, second = engine.infer(tile), engine.infer(tile)
            assert np.array_equal(first, second)
            assert np.allclose(first, peer.infer(tile), atol=1e-3)


@tensorrt_and_gpu
def test_results_stay_when_the_next_tile_runs(disc_bundle: Bundle, built: TensorRtSettings) -> None:
    with TensorRtEngine(disc_bundle, built) as engine:
        first, second = tiles(2)
        result = engine.infer(first)
        before = result.copy()
        engine.infer(second)
        engine.rest()
        assert np.array_equal(result, before)
        assert np.array_equal(engine.infer(first), before)


@tensorrt_and_gpu
@pytest.mark.parametrize("precision", ["fp32", None])
def test_it_counts_drawn_discs(disc_bundle: Bundle, tmp_path: Path, precision: Precision | None) -> None:
    build_engine(disc_bundle, tmp_path, BuildSettings(precision, workspace_mib=256, time_limit_min=10))
    with TensorRtEngine(disc_bundle, TensorRtSettings(tmp_path)) as engine:
        photo = Photo(draw_discs(in_rows(10)), None, None, None)
        assert Counter(disc_bundle, engine).count(photo).counts["apple"] == 10


@tensorrt_and_gpu
def test_a_tile_of_another_size_is_an_engine_error(disc_bundle: Bundle, built: TensorRtSettings) -> None:
    with TensorRtEngine(disc_bundle, built) as engine, pytest.raises(EngineError, match="the engine takes"):
        engine.infer(np.zeros((1, 3, 16, 16), np.float32))


@tensorrt_and_gpu
def test_a_closed_engine_says_so(disc_bundle: Bundle, built: TensorRtSettings) -> None:
    engine = TensorRtEngine(disc_bundle, built)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(tiles(1)[0])


@tensorrt_and_gpu
def test_bytes_that_are_no_engine_are_told(disc_bundle: Bundle, built: TensorRtSettings, tmp_path: Path) -> None:
    (good,) = EngineCache(built.folder).engines()
    assert good.record is not None
    EngineCache(tmp_path).put(good.record.recipe, b"no engine", 1)
    with pytest.raises(EngineError, match=r"TensorRT .* cannot load the engine: "):
        TensorRtEngine(disc_bundle, TensorRtSettings(tmp_path))


@tensorrt_and_gpu
def test_a_graph_tensorrt_does_not_take_is_told_with_its_node(tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path / "bundle")
    graph = onnx.load(bundle.model)
    graph.graph.node[0].op_type = "Unheard"
    graph.graph.node[0].domain = "nowhere"
    onnx.save(graph, bundle.model)
    write_manifest(bundle.folder)
    with pytest.raises(EngineError, match=r"does not take the graph of discs-1\.0\.0.*: node 0 .*Unheard"):
        build_engine(open_bundle(bundle.folder), tmp_path / "engines", BuildSettings(time_limit_min=10))


@tensorrt_and_gpu
def test_auto_takes_it_and_the_previous_bundles_until_the_new_one_is_built(
    disc_bundle: Bundle, newer_counter: Counter, built: TensorRtSettings
) -> None:
    settings = EngineSettings(threads=1, folder=built.folder)
    ready = choose_engine("auto", disc_bundle, settings)
    assert (ready.engine.name[:9], ready.bundle, ready.reason) == ("tensorrt-", disc_bundle, None)
    meanwhile = choose_engine("auto", newer_counter.bundle, settings, previous=disc_bundle)
    assert (meanwhile.engine.name[:9], meanwhile.bundle) == ("tensorrt-", disc_bundle)
    assert meanwhile.reason is not None
    assert "the model changed" in meanwhile.reason
    assert choose_engine("auto", newer_counter.bundle, settings).engine.name.startswith("onnxruntime-")
