"""The Triton kernels behind :mod:`models.detection.scan_triton`, which imports this module only once it is to run them.

A program scans a tile of rows by steps with an associative scan and carries the last state into the next tile, so
that each input is read and each result written once. Steps are counted in the order of the scan; a scan that runs
from the last position to the first is *mirrored*: it reads the same memory from the other end. (Triton's own
``associative_scan(…, reverse=True)`` is avoided: its results are known to be wrong in places, triton-lang/triton#4362.)
"""

# Triton looks at the kernels' annotations and takes none but its own.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# Elements of a tile: 16 for each thread of four warps. A row of up to so many steps is one tile.
TILE = 2048
_WARPS = 4


@triton.jit
def _join(a_before, b_before, a_after, b_after):
    return a_before * a_after, a_after * b_before + b_after


@triton.jit
def _scan_tile(a, b, carried, is_last):
    decays, states = tl.associative_scan((a, b), 1, _join)
    states += decays * carried[:, None]
    return states, tl.sum(tl.where(is_last[None, :], states, 0), 1)


@triton.jit
def _forward(  # noqa: PLR0913, PLR0917  (a kernel takes its tensors apart)
    a_ptr,
    b_ptr,
    states_ptr,
    rows,
    inner,
    length,
    a_outer,
    a_inner,
    b_outer,
    b_inner,
    MIRRORED: tl.constexpr,
    ROWS: tl.constexpr,
    STEPS: tl.constexpr,
    FLOAT: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    a_rows = a_ptr + (row // inner * a_outer + row % inner * a_inner)[:, None]
    b_rows = b_ptr + (row // inner * b_outer + row % inner * b_inner)[:, None]
    states_rows = states_ptr + (row * length)[:, None]
    in_tile = tl.arange(0, STEPS)
    carried = tl.zeros((ROWS,), FLOAT)
    for start in range(0, length, STEPS):
        step = start + in_tile
        at = (length - 1 - step if MIRRORED else step)[None, :]
        inside = (row < rows)[:, None] & (step < length)[None, :]
        a = tl.load(a_rows + at, inside, 0).to(FLOAT)
        b = tl.load(b_rows + at, inside, 0).to(FLOAT)
        states, carried = _scan_tile(a, b, carried, in_tile == STEPS - 1)
        tl.store(states_rows + at, states, inside)


@triton.jit
def _backward(  # noqa: PLR0913, PLR0917  (a kernel takes its tensors apart)
    grad_ptr,
    a_ptr,
    states_ptr,
    grad_a_ptr,
    grad_b_ptr,
    rows,
    inner,
    length,
    grad_outer,
    grad_inner,
    a_outer,
    a_inner,
    MIRRORED: tl.constexpr,
    ROWS: tl.constexpr,
    STEPS: tl.constexpr,
    FLOAT: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    grad_rows = grad_ptr + (row // inner * grad_outer + row % inner * grad_inner)[:, None]
    a_rows = a_ptr + (row // inner * a_outer + row % inner * a_inner)[:, None]
    own_rows = (row * length)[:, None]
    in_tile = tl.arange(0, STEPS)
    carried = tl.zeros((ROWS,), FLOAT)
    for start in range(0, length, STEPS):
        step = start + in_tile  # of the adjoint, which runs against the scan
        at = (length - 1 - step if MIRRORED else step)[None, :]
        onwards = -1 if MIRRORED else 1
        row_inside = (row < rows)[:, None]
        inside = row_inside & (step < length)[None, :]
        grad = tl.load(grad_rows + at, inside, 0).to(FLOAT)
        a_next = tl.load(a_rows + at - onwards, inside & (step > 0)[None, :], 0).to(FLOAT)
        before = tl.load(states_ptr + own_rows + at + onwards, row_inside & (step < length - 1)[None, :], 0).to(FLOAT)
        adjoint, carried = _scan_tile(a_next, grad, carried, in_tile == STEPS - 1)
        tl.store(grad_a_ptr + own_rows + at, adjoint * before, inside)
        tl.store(grad_b_ptr + own_rows + at, adjoint, inside)


# TRITON_INTERPRET=1, set before the kernels were decorated, makes them run in Python on the CPU.
INTERPRETED = not isinstance(_forward, triton.JITFunction)


def _by_rows(x: Tensor) -> Tensor:
    """(outer, inner, L), a view wherever the axes after the first are evenly spaced, so for slices of the first two."""
    outer, *inner = x.shape[:-1] or (1,)
    x = x.reshape(outer, math.prod(inner), x.shape[-1])
    return x if x.stride(-1) == 1 else x.contiguous()


def _launch(kernel: Any, inputs: tuple[Tensor, Tensor], contiguous: tuple[Tensor, ...], mirrored: bool) -> None:
    """Run a kernel on two inputs of any layout, then tensors that are contiguous."""
    first, second = (_by_rows(x) for x in inputs)
    outer, inner, length = first.shape
    rows = outer * inner
    if not rows * length:
        return
    steps = min(triton.next_power_of_2(length), TILE)
    tile_rows = min(triton.next_power_of_2(rows), TILE // steps)
    single = all(x.dtype != torch.float64 for x in (first, second))
    with torch.cuda.device(first.get_device()):  # Triton launches on the current device; −1, the CPU, is none
        kernel[(triton.cdiv(rows, tile_rows),)](
            first,
            second,
            *contiguous,
            rows,
            inner,
            length,
            *first.stride()[:2],
            *second.stride()[:2],
            MIRRORED=mirrored,
            ROWS=tile_rows,
            STEPS=steps,
            FLOAT=tl.float32 if single else tl.float64,
            num_warps=_WARPS,
            enable_fp_fusion=True,
        )


def scan(a: Tensor, b: Tensor, reverse: bool) -> Tensor:
    """States (…, L) of the recurrence, contiguous, in the wider type of a and b (…, L)."""
    states = torch.empty(a.shape, dtype=torch.promote_types(a.dtype, b.dtype), device=a.device)
    _launch(_forward, (a, b), (states,), mirrored=reverse)
    return states


def scan_gradients(grad: Tensor, a: Tensor, states: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """∂loss/∂a and ∂loss/∂b, contiguous, from ∂loss/∂states, a and the contiguous states, all (…, L).

    With g = ∂loss/∂h the adjoint is λ_t = g_t + a_(t+1) λ_(t+1); ∂loss/∂b_t = λ_t and ∂loss/∂a_t = λ_t h_(t-1).
    """
    grad_a = torch.empty(a.shape, dtype=a.dtype, device=a.device)
    grad_b = torch.empty(a.shape, dtype=states.dtype, device=a.device)
    _launch(_backward, (grad, a), (states, grad_a, grad_b), mirrored=not reverse)
    return grad_a, grad_b
