"""TensorRT on an NVIDIA GPU, with an engine that was built on this device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from export.runtime.bundle import Bundle
from export.runtime.engine_cache import EngineCache, EngineRecord
from export.runtime.engine_decision import build_command, decide, model_of
from export.runtime.errors import EngineError
from export.runtime.gpu import this_machine


@dataclass(frozen=True)
class TensorRtSettings:
    """Settings of the TensorRT engine.

    Attributes:
        folder: where this device's engines lie.
    """

    folder: Path


class TensorRtEngine:
    """The engine of a bundle, run once on an empty image so that the first photo is as fast as the next.

    Close it, or use it as a context manager, where the process goes on without it: it holds memory of the GPU.

    Raises:
        MissingPartError: TensorRT or cuda-python is not installed.
        EngineError: there is no GPU, no engine that fits, or it does not load or run.
    """

    def __init__(self, bundle: Bundle, settings: TensorRtSettings) -> None:
        machine = this_machine()
        cache = EngineCache(settings.folder)
        decision = decide(machine, model_of(bundle), cache.engines())
        if decision.engine is None:
            raise EngineError(f"{decision.rebuild}; run: {build_command(bundle)}")
        from export.runtime.tensorrt_session import TensorRtSession  # noqa: PLC0415  (needs what was just found)

        self.at_once = 1
        self.name = f"tensorrt-{machine.tensorrt}-{decision.engine.recipe.precision}"
        self._session = TensorRtSession(_read(cache, decision.engine))
        try:
            self._check(bundle)
        except EngineError:
            self.close()
            raise

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`export.runtime.engines.Engine.infer`."""
        return self._session.run(images)

    def rest(self) -> None:
        """See :meth:`export.runtime.engines.Engine.rest`; this engine's memory is taken once and is not the photos'."""

    def close(self) -> None:
        """Give all memory back."""
        self._session.close()

    def __enter__(self) -> TensorRtEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, bundle: Bundle) -> None:
        """See that it is what the manifest describes, and that it computes numbers."""
        size = bundle.manifest.input.size_px
        wanted = (bundle.manifest.input.name, (1, 3, size, size))
        if (self._session.input_name, self._session.input_shape) != wanted:
            raise EngineError(
                f"the engine takes {self._session.input_name} {self._session.input_shape} and {bundle.identity} says "
                f"{wanted[0]} {wanted[1]}; install the bundle again"
            )
        rows = 4 + len(bundle.manifest.labels)
        if self._session.output_shape[:2] != (1, rows) or len(self._session.output_shape) != 3:
            raise EngineError(
                f"the engine gives {self._session.output_shape} and {bundle.identity} says (1, {rows}, candidates); "
                "install the bundle again"
            )
        if not np.isfinite(self._session.run(np.zeros(wanted[1], dtype=np.float32))).all():
            raise EngineError(
                f"{self.name} computes values that are no numbers; run: {build_command(bundle)} --precision fp32"
            )


def _read(cache: EngineCache, record: EngineRecord) -> bytes:
    try:
        return cache.read(record)
    except OSError as error:
        raise EngineError(f"{cache.folder / record.file} cannot be read: {error.strerror}; try again") from error
