"""The best engine that starts counts, and says why it is not a better one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest

from export.runtime.bundle import Bundle
from export.runtime.counter import Counter
from export.runtime.engine_cache import EngineCache, Recipe
from export.runtime.engines.choice import ENGINES, Choice, EngineSettings, choose_engine
from export.runtime.errors import EngineError, MissingPartError
from export.runtime.gpu import Machine
from tests.engine_records import ORIN
from tests.gpus import no_tensorrt

ONNX_RUNTIME = f"onnxruntime-{onnxruntime.__version__}"


@pytest.fixture
def settings(tmp_path: Path) -> EngineSettings:
    return EngineSettings(threads=1, folder=tmp_path / "engines")


@pytest.fixture
def newer_bundle(newer_counter: Counter) -> Bundle:
    return newer_counter.bundle


def orin() -> Machine:
    return ORIN


def no_gpu() -> Machine:
    raise EngineError("no GPU is there")


def no_library() -> Machine:
    raise MissingPartError("TensorRT is missing")


def keep_engine(bundle: Bundle, settings: EngineSettings, machine: Machine = ORIN) -> None:
    graph = bundle.manifest.files["model.onnx"]
    recipe = Recipe(**vars(machine), bundle=bundle.identity, graph=graph, precision="fp16", workspace_mib=1024)
    EngineCache(settings.folder).put(recipe, b"an engine that no GPU takes", 1)


def remedy(bundle: Bundle) -> str:
    return f"run: pomona models build --bundle {bundle.folder}"


def test_auto_comes_before_the_engines() -> None:
    assert ENGINES == ("auto", "onnxruntime", "openvino", "tensorrt")


def test_an_engine_that_is_asked_for_needs_no_reason(disc_bundle: Bundle, settings: EngineSettings) -> None:
    choice = choose_engine("onnxruntime", disc_bundle, settings)
    assert (choice.engine.name, choice.bundle, choice.reason) == (ONNX_RUNTIME, disc_bundle, None)


@no_tensorrt
def test_one_that_is_asked_for_and_does_not_start_is_an_error(disc_bundle: Bundle, settings: EngineSettings) -> None:
    with pytest.raises(MissingPartError, match=r"TensorRT is missing .* apt-get install python3-libnvinfer"):
        choose_engine("tensorrt", disc_bundle, settings)


@pytest.mark.parametrize(("detect", "reason"), [(no_gpu, "no GPU is there"), (no_library, "TensorRT is missing")])
def test_without_gpu_or_library_onnx_runtime_counts(
    disc_bundle: Bundle, settings: EngineSettings, detect: Callable[[], Machine], reason: str
) -> None:
    choice = choose_engine("auto", disc_bundle, settings, detect=detect)
    assert (choice.engine.name, choice.bundle, choice.reason) == (ONNX_RUNTIME, disc_bundle, reason)


def test_without_an_engine_of_this_model_onnx_runtime_counts_and_the_remedy_is_named(
    disc_bundle: Bundle, settings: EngineSettings
) -> None:
    choice = choose_engine("auto", disc_bundle, settings, detect=orin)
    assert choice.engine.name == ONNX_RUNTIME
    assert choice.reason == f"no engine is built for {disc_bundle.identity}; {remedy(disc_bundle)}"


def test_an_engine_of_another_tensorrt_is_never_loaded(disc_bundle: Bundle, settings: EngineSettings) -> None:
    keep_engine(disc_bundle, settings, Machine(ORIN.gpu, ORIN.compute_capability, "8.6.2"))
    choice = choose_engine("auto", disc_bundle, settings, detect=orin)
    assert choice.reason == f"TensorRT changed from 8.6.2 to 10.3.0; {remedy(disc_bundle)}"


def test_a_damaged_engine_is_never_loaded(disc_bundle: Bundle, settings: EngineSettings) -> None:
    keep_engine(disc_bundle, settings)
    (file,) = settings.folder.glob("*.engine")
    file.write_bytes(file.read_bytes()[:9])
    choice = choose_engine("auto", disc_bundle, settings, detect=orin)
    assert choice.engine.name == ONNX_RUNTIME
    assert choice.reason == f"the engine is damaged: {file.name} has 9 of 27 bytes; {remedy(disc_bundle)}"


@pytest.mark.parametrize("allowed", [False, True])
def test_an_engine_that_does_not_start_gives_way_to_onnx_runtime_with_the_wanted_bundle(
    disc_bundle: Bundle, settings: EngineSettings, newer_bundle: Bundle, allowed: bool
) -> None:
    keep_engine(disc_bundle, settings)
    previous = disc_bundle if allowed else None
    choice = choose_engine("auto", newer_bundle, settings, previous, orin)
    assert (choice.engine.name, choice.bundle) == (ONNX_RUNTIME, newer_bundle)
    assert choice.reason


@no_tensorrt
def test_on_a_machine_without_tensorrt_the_reason_is_no_surprise(disc_bundle: Bundle, settings: EngineSettings) -> None:
    choice: Choice = choose_engine("auto", disc_bundle, settings)
    assert choice.engine.name == ONNX_RUNTIME
    assert choice.reason
    assert not choice.surprising
