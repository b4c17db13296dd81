"""OpenVINO on the processor: optional, chosen by name."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.runtime.bundle import INT8_GRAPH, OPENVINO_INT8_GRAPH, Bundle, GraphPrecision
from export.runtime.errors import EngineError, MissingPartError
from export.runtime.processor import sums_products_of_bytes


@dataclass(frozen=True)
class OpenVinoSettings:
    """Settings of the OpenVINO engine.

    Attributes:
        threads: processor threads; 0 takes one a physical core.
        precision: which of the bundle's graphs; ``auto`` takes the one its manifest names, but float32 on a processor
            whose sums of integers are not exact.
    """

    threads: int = 0
    precision: GraphPrecision = "auto"


class OpenVinoEngine:
    """A bundle's graph compiled for this processor, run once on an empty image.

    Raises:
        MissingPartError: openvino is not installed.
        EngineError: the graph does not compile or run.
        BundleError: integers were asked for, and the bundle has no such graph.
    """

    def __init__(self, bundle: Bundle, settings: OpenVinoSettings | None = None) -> None:
        settings = settings or OpenVinoSettings()
        openvino = _import()
        precision = settings.precision
        if precision == "auto" and not sums_products_of_bytes():
            precision = "float32"
        graph = bundle.graph(precision, OPENVINO_INT8_GRAPH, INT8_GRAPH)
        release = openvino.__version__.partition("-")[0]
        self.at_once = 1  # it shares a tile among its own threads
        self.name = f"openvino-{release}{'' if graph == bundle.model else '-int8'}"
        self._input = bundle.manifest.input
        # bfloat16, which it takes by itself where a processor has it, counts otherwise than every other engine
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        if settings.threads:
            options["INFERENCE_NUM_THREADS"] = settings.threads
        # whatever goes wrong in the library is a plain RuntimeError
        try:
            self._compiled = openvino.compile_model(str(graph), "CPU", options)
        except RuntimeError as error:
            raise EngineError(f"openvino {release} cannot load {graph}: {error}") from error
        self._request = self._compiled.create_infer_request()
        self.infer(np.zeros((1, 3, self._input.size_px, self._input.size_px), dtype=np.float32))

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`export.runtime.engines.Engine.infer`."""
        try:
            outputs = self._request.infer({self._input.name: images}, share_inputs=True)
        except RuntimeError as error:
            raise EngineError(f"openvino failed on a tile: {error}") from error
        result: NDArray[np.float32] = outputs[0]
        return result

    def rest(self) -> None:
        """See :meth:`export.runtime.engines.Engine.rest`."""
        self._compiled.release_memory()


def _import() -> Any:
    """The library, without the telemetry that it starts when it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # imports of it fail; it has a stand-in
    try:
        import openvino  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingPartError("openvino is missing; pip install '.[openvino]' in Pomona's folder") from error
    return openvino
