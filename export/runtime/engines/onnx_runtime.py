"""ONNX Runtime on the processor: runs on every device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.runtime.bundle import INT8_GRAPH, Bundle, GraphPrecision
from export.runtime.errors import EngineError
from export.runtime.onnx_session import onnxruntime_for, single_threaded, start_session
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
        onnxruntime = onnxruntime_for(bundle)
        options = single_threaded(onnxruntime)
        graph = bundle.graph(settings.precision, INT8_GRAPH)
        self.name = f"onnxruntime-{onnxruntime.__version__}{'' if graph == bundle.model else '-int8'}"
        self.at_once = settings.threads or cores()
        self._input = bundle.manifest.input
        if not sums_products_of_bytes():
            # as exact as elsewhere, at about the speed of float32; without integers it changes nothing
            options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = start_session(onnxruntime, graph, options)
        self.rest()  # what the first run takes piecemeal, the next ones take in one piece

    def rest(self) -> None:
        """See :meth:`export.runtime.engines.Engine.rest`; the library does so only behind a run."""
        import onnxruntime  # noqa: PLC0415  (optional on a device with TensorRT)

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
