"""Choosing an engine: the one that is asked for, or the best that starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.runtime.bundle import Bundle
from export.runtime.engine_cache import EngineCache
from export.runtime.engine_decision import build_command, decide, model_of
from export.runtime.engines import Engine
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.engines.openvino import OpenVinoEngine, OpenVinoSettings
from export.runtime.engines.tensorrt import TensorRtEngine, TensorRtSettings
from export.runtime.errors import EngineError, MissingPartError
from export.runtime.gpu import Machine, tensorrt_is_installed, this_machine

AUTO = "auto"


@dataclass(frozen=True)
class EngineSettings:
    """Settings of every engine.

    Attributes:
        threads: processor threads; 0 leaves it to the engine.
        folder: where this device's TensorRT engines lie.
    """

    threads: int
    folder: Path


@dataclass(frozen=True)
class Choice:
    """An engine that has started.

    Attributes:
        engine: the engine.
        bundle: the bundle it runs, which counts must name.
        reason: why it is not a better one, or not the wanted bundle's; None when there is none.
        surprising: nobody who knows this machine would expect the reason: it has TensorRT.
    """

    engine: Engine
    bundle: Bundle
    reason: str | None = None
    surprising: bool = False


def _onnxruntime(bundle: Bundle, settings: EngineSettings) -> Engine:
    return OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(settings.threads))


def _openvino(bundle: Bundle, settings: EngineSettings) -> Engine:
    return OpenVinoEngine(bundle, OpenVinoSettings(settings.threads))


def _tensorrt(bundle: Bundle, settings: EngineSettings) -> Engine:
    return TensorRtEngine(bundle, TensorRtSettings(settings.folder))


_STARTERS: dict[str, Callable[[Bundle, EngineSettings], Engine]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "tensorrt": _tensorrt,
}
ENGINES: tuple[str, ...] = (AUTO, *_STARTERS)


def choose_engine(
    name: str,
    bundle: Bundle,
    settings: EngineSettings,
    previous: Bundle | None = None,
    detect: Callable[[], Machine] = this_machine,
) -> Choice:
    """Start an engine.

    Args:
        name: one of :data:`ENGINES`. ``auto`` takes TensorRT where a GPU and a fitting engine are there, else ONNX
            Runtime.
        bundle: the bundle that shall count.
        settings: of every engine.
        previous: with ``auto``, the bundle that counted before, where its TensorRT engine may go on counting until
            that of ``bundle`` is built.
        detect: finds out what machine this is.

    Raises:
        EngineError: the engine that was asked for does not start; with ``auto``, none does.
        MissingPartError: likewise, for want of a library.
    """
    if name != AUTO:
        return Choice(_STARTERS[name](bundle, settings), bundle)
    surprising = tensorrt_is_installed()
    try:
        decision = decide(
            detect(), model_of(bundle), EngineCache(settings.folder).engines(), model_of(previous) if previous else None
        )
        reason = decision.rebuild and f"{decision.rebuild}; run: {build_command(bundle)}"
        if decision.engine is not None:
            serving = previous if previous is not None and decision.serves_previous else bundle
            return Choice(_tensorrt(serving, settings), serving, reason, surprising)
    except (EngineError, MissingPartError) as error:
        reason = str(error)
    return Choice(_onnxruntime(bundle, settings), bundle, reason, surprising)
