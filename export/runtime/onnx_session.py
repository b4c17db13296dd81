"""ONNX Runtime for a bundle: whether it is there and new enough, and how its sessions start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from export.runtime.bundle import ModelBundle
from export.runtime.errors import EngineError, MissingPartError


def onnxruntime_for(bundle: ModelBundle) -> Any:
    """The library.

    Raises:
        MissingPartError: it is not installed.
        EngineError: it is older than the bundle needs.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read on import; newer releases report to their maker
    try:
        import onnxruntime  # noqa: PLC0415  (optional on a device with TensorRT)
    except ImportError as error:
        raise MissingPartError("onnxruntime is missing; pip install '.[device]' in Pomona's folder") from error
    smallest = bundle.manifest.smallest_runtime
    if _release(onnxruntime.__version__) < _release(smallest):
        raise EngineError(
            f"onnxruntime is {onnxruntime.__version__} and {bundle.identity} needs {smallest} or newer; upgrade it"
        )
    return onnxruntime


def single_threaded(onnxruntime: Any) -> Any:
    """Options of a session that computes in the thread that asks it, and does not comment on the graph."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def start_session(onnxruntime: Any, graph: Path, options: Any) -> Any:
    """A session on the processor.

    Raises:
        EngineError: the graph does not load.
    """
    # the library's own exception classes are not exported under stable names, so all of them are translated
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"onnxruntime {onnxruntime.__version__} cannot load {graph}: {error}") from error


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
