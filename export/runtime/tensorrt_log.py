"""What TensorRT says; imported only where TensorRT is there."""

from __future__ import annotations

import tensorrt as trt

_MOST_KEPT = 3


class ErrorLog(trt.ILogger):
    """Keeps TensorRT's last errors for our own, in place of printing them."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self._errors: list[str] = []

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Called by TensorRT with everything it has to say."""
        if severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}:
            self._errors = [*self._errors, msg.strip()][-_MOST_KEPT:]

    def __str__(self) -> str:
        return " / ".join(self._errors) or "TensorRT gave no reason"
