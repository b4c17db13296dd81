"""ONNX Runtime on the processor: runs on every device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.runtime.bundle import INT8_GRAPH, Bundle, GraphPrecision
from export.runtime.errors import EngineError, MissingPartError
from export.runtime.processor import cores, sums_products_of_bytes


@dataclass(frozen=True)
class OnnxRuntimeSettings:
    """Settings of the ONNX Runtime engine.

    Attributes:
        threads: processor threads; 0 takes one a core. Each computes a tile of its own: a tile is too little work, in
            too many steps, to be shared.
        precision: which of the bundle's graphs; ``auto`` takes the one its manifest names.
    """

    threads: int = 0
    precision: GraphPrecision = "auto"


class OnnxRuntimeEngine:
    """A session on the bundle's graph, run once on an empty image so that the first photo is as fast as the next.

    Raises:
        MissingPartError: onnxruntime is not installed.
        EngineError: the graph does not load or run.
        BundleError: integers were asked for, and the bundle has no such graph.
    """

    def __init__(self, bundle: Bundle, settings: OnnxRuntimeSettings | None = None) -> None:
        settings = settings or OnnxRuntimeSettings()
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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = bundle.graph(settings.precision, INT8_GRAPH)
        self.name = f"onnxruntime-{onnxruntime.__version__}{'' if graph == bundle.model else '-int8'}"
        self.at_once = settings.threads or cores()
        self._input = bundle.manifest.input
        if not sums_products_of_bytes():
            # as exact as elsewhere, at about the speed of float32; without integers it changes nothing
            options.add_session_config_entry("session.x64quantprecision", "1")
        # the library's own exception classes are not exported under stable names, so all of them are translated
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EngineError(f"onnxruntime {onnxruntime.__version__} cannot load {graph}: {error}") from error
        self.rest()  # what the first run takes piecemeal, the next ones take in one piece

    def rest(self) -> None:
        """See :meth:`export.runtime.engines.Engine.rest`; the library does so only behind a run."""
        import onnxruntime  # noqa: PLC0415  (as above)

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._run(np.zeros((1, 3, self._input.size_px, self._input.size_px), dtype=np.float32), options)

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`export.runtime.engines.Engine.infer`."""
        return self._run(images, None)

    def _run(self, images: NDArray[np.float32], options: Any) -> NDArray[np.float32]:
        try:
            (output,) = self._session.run(None, {self._input.name: images}, options)
        except Exception as error:
            raise EngineError(f"onnxruntime failed on a tile: {error}") from error
        result: NDArray[np.float32] = output
        return result


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
