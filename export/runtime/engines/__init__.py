"""Inference engines. One file is one engine: its settings and its class, warmed up when made."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs a detector's graph; pre- and post-processing are shared, so that engines agree.

    Attributes:
        name: library, release and precision, as written beside every count.
        at_once: how many threads may call :meth:`infer` at a time.
    """

    name: str
    at_once: int

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            images: (1, 3, size, size) float32 as the manifest's input describes.

        Returns:
            (1, 4 + classes, candidates) float32: centre x, centre y, width, height in tile pixels, then one score
            a class.

        Raises:
            EngineError: the engine failed on this input.
        """
        ...

    def rest(self) -> None:
        """Give back the memory that only running takes; the next run takes it again."""
        ...
