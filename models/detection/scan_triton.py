"""The linear recurrence of :mod:`models.detection.scan` on a GPU: one Triton kernel each way, one pass over memory.

Triton comes with torch's CUDA builds for Linux, not with its CPU builds, so it is imported when it is first used.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class MissingTritonError(RuntimeError):
    """Triton, which runs the kernel, is not installed or does not load."""

    exit_code = 1


def _load_kernels() -> Any:
    try:
        return importlib.import_module("models.detection.scan_triton_kernels")
    except ImportError as error:
        raise MissingTritonError(
            f"the scan kernel needs triton, which does not load ({error}); pip install triton beside a CUDA build of "
            "torch on Linux, or call scan_two_level, which needs torch alone"
        ) from error


@functools.cache
def _triton_loads() -> bool:
    try:
        _load_kernels()
    except MissingTritonError:
        return False
    return True


def triton_runs(tensor: Tensor) -> bool:
    """Whether :func:`scan_triton` can run on this tensor: it is on a CUDA device, and triton loads."""
    return tensor.is_cuda and _triton_loads()


class _TritonScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, reverse: bool) -> Tensor:
        states: Tensor = _load_kernels().scan(a, b, reverse)
        ctx.save_for_backward(a, states)
        ctx.reverse = reverse
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        a, states = ctx.saved_tensors
        grad_a, grad_b = _load_kernels().scan_gradients(grad, a, states, ctx.reverse)
        return grad_a, grad_b, None


def scan_triton(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """The recurrence h_t = a_t · h_(t-1) + b_t along the last axis, h_(-1) = 0, as ``scan_sequential`` defines it.

    O(L) memory in training. Half precision inputs are accumulated in float32, and only the results rounded. Inputs
    need not be contiguous: slices of the first two axes are read where they are, other layouts are copied first.

    Args:
        a: (…, L) decay of each step, in (0, 1], on a CUDA device.
        b: (…, L) input of each step, on the same device.
        reverse: run from the last step to the first.

    Returns:
        (…, L) states h, contiguous, in the wider type of the two.

    Raises:
        MissingTritonError: triton is not installed or does not load.
        ValueError: a and b differ in shape or device, are no floating point numbers, or are not on a CUDA device.
    """
    if a.shape != b.shape or not a.dim():
        raise ValueError(f"a and b must have one shape (…, L), not {tuple(a.shape)} and {tuple(b.shape)}")
    if not (a.is_floating_point() and b.is_floating_point()):
        raise ValueError(f"a and b must be floating point numbers, not {a.dtype} and {b.dtype}")
    interpreted = _load_kernels().INTERPRETED
    if a.device != b.device or not (a.is_cuda or interpreted):
        raise ValueError(
            f"a and b must be on one CUDA device, not on {a.device} and {b.device}; call scan_two_level elsewhere"
        )
    result: Tensor = _TritonScan.apply(a, b, reverse)  # type: ignore[no-untyped-call]
    return result
