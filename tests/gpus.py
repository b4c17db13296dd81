"""Marks for tests that need a GPU with TensorRT, and for those that need its absence.

Whether a GPU is there is asked of the system and not of Pomona: what these tests test must not decide whether they run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from export.runtime.gpu import tensorrt_is_installed

# the driver's devices: of a card, and of a Jetson's own GPU in older and newer releases
_DEVICES = ("nvidia[0-9]*", "nvhost-gpu", "nvgpu/igpu*")
_HAS_GPU = any(any(Path("/dev").glob(device)) for device in _DEVICES)

tensorrt_and_gpu = pytest.mark.skipif(
    not (tensorrt_is_installed() and _HAS_GPU), reason="needs an NVIDIA GPU with TensorRT and cuda-python"
)
no_tensorrt = pytest.mark.skipif(tensorrt_is_installed(), reason="needs a machine without TensorRT")
