"""Marks for tests that need a GPU with TensorRT, and for those that need its absence."""

from __future__ import annotations

import pytest

from export.runtime.errors import EngineError, MissingPartError
from export.runtime.gpu import tensorrt_is_installed, this_machine


def _has_gpu() -> bool:
    try:
        this_machine()
    except (MissingPartError, EngineError):
        return False
    return True


tensorrt_and_gpu = pytest.mark.skipif(not _has_gpu(), reason="needs an NVIDIA GPU with TensorRT and cuda-python")
no_tensorrt = pytest.mark.skipif(tensorrt_is_installed(), reason="needs a machine without TensorRT")
