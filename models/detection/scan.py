"""The linear recurrence behind the selective scan: h_t = a_t · h_(t-1) + b_t along the last axis, h_(-1) = 0.

Four forms of one function, for the places it runs in (equal to 1e-5 in float32, see the tests):

* :func:`scan_sequential` is the definition, one step after another, and the reference of the others;
* :func:`scan_doubling` (Hillis and Steele 1986) needs only slices, products and sums, which every ONNX runtime has;
* :func:`scan_unrolled` needs no more, but walks chunks side by side and doubles over the chunk ends alone: it touches
  each value twice instead of ⌈log₂ L⌉ times, and cuts memory in whole blocks; it is what the exported graph uses;
* :func:`scan_two_level` does the same on mutable memory, with its own backward pass that keeps O(L) memory; it is what
  training uses on a processor; on a GPU it has a kernel of its own, :mod:`models.detection.scan_triton`.

All a lie in (0, 1], so products can only underflow to the right limit, 0. Nothing here forms exp(−Σ), which
overflows at a few hundred steps.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def scan_sequential(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """The recurrence as written, one step after another.

    Args:
        a: (…, L) decay of each step, in (0, 1].
        b: (…, L) input of each step.
        reverse: run from the last step to the first.

    Returns:
        (…, L) states h.
    """
    length = a.shape[-1]
    steps = range(length - 1, -1, -1) if reverse else range(length)
    states: list[Tensor] = [torch.empty(0)] * length
    state = torch.zeros_like(b[..., 0])
    for t in steps:
        state = a[..., t] * state + b[..., t]
        states[t] = state
    return torch.stack(states, dim=-1)


def scan_doubling(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """The recurrence in ⌈log₂ L⌉ rounds of slices, products, sums and concatenations (export form).

    Args and result as :func:`scan_sequential`. A reversed scan mirrors the slices instead of flipping the
    tensors: slices with a negative step are a portability hazard in ONNX.
    """
    length = a.shape[-1]
    distance = 1
    while distance < length:
        if reverse:
            near, far, edge = slice(None, -distance), slice(distance, None), slice(-distance, None)
            b = torch.cat((b[..., near] + a[..., near] * b[..., far], b[..., edge]), dim=-1)
            a = torch.cat((a[..., near] * a[..., far], a[..., edge]), dim=-1)
        else:
            near, far, edge = slice(distance, None), slice(None, -distance), slice(None, distance)
            b = torch.cat((b[..., edge], b[..., near] + a[..., near] * b[..., far]), dim=-1)
            a = torch.cat((a[..., edge], a[..., near] * a[..., far]), dim=-1)
        distance *= 2
    return b


def scan_unrolled(a: Tensor, b: Tensor) -> Tensor:
    """The recurrence over sequences that lie in memory chunk beside chunk, step after step (export form).

    Args:
        a: (B, Q, …, M, D) decay; step t of chunk m of a sequence of M · Q steps is at ``[:, t, …, m, :]``.
        b: the input, likewise.

    Returns:
        The states, likewise.
    """
    decays, states = list(torch.split(a, 1, dim=1)), list(torch.split(b, 1, dim=1))
    for t in range(1, len(states)):
        states[t] = states[t] + decays[t] * states[t - 1]
        decays[t] = decays[t] * decays[t - 1]  # from here on: product of the chunk's a up to t
    ends = scan_doubling(decays[-1].transpose(-1, -2), states[-1].transpose(-1, -2)).transpose(-1, -2)
    carry = torch.cat((torch.zeros_like(ends[..., :1, :]), ends[..., :-1, :]), dim=-2)
    return torch.cat(states, dim=1) + torch.cat(decays, dim=1) * carry


def _scan_chunks(a: Tensor, b: Tensor) -> Tensor:
    """Forward scan over (…, L): a loop inside chunks (all chunks side by side), doubling over the chunk ends."""
    *lead, length = a.shape
    size = max(1, math.isqrt(length))
    chunks = -(-length // size)
    padding = chunks * size - length
    if padding:  # a = 1, b = 0 leaves the state as it is
        a = torch.cat((a, a.new_ones(*lead, padding)), dim=-1)
        b = torch.cat((b, b.new_zeros(*lead, padding)), dim=-1)
    # step within chunk first, so that each step reads and writes one contiguous block; clones, as both are changed
    a_steps = a.reshape(-1, chunks, size).permute(2, 0, 1).clone(memory_format=torch.contiguous_format)
    states = b.reshape(-1, chunks, size).permute(2, 0, 1).clone(memory_format=torch.contiguous_format)
    for t in range(1, size):
        states[t].addcmul_(a_steps[t], states[t - 1])
        a_steps[t].mul_(a_steps[t - 1])  # from here on: product of the chunk's a up to t
    carry = scan_doubling(a_steps[-1], states[-1])  # state at each chunk's end
    states[:, :, 1:].addcmul_(a_steps[:, :, 1:], carry[None, :, :-1])
    return states.permute(1, 2, 0).reshape(*lead, chunks * size)[..., :length]


class _TwoLevelScan(torch.autograd.Function):
    """Two-level scan with an analytic backward pass.

    With g = ∂loss/∂h the adjoint is λ_t = g_t + a_(t+1) λ_(t+1), a scan in the other direction;
    ∂loss/∂b_t = λ_t and ∂loss/∂a_t = λ_t h_(t-1).
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        states = _scan_chunks(a, b)
        ctx.save_for_backward(a, states)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        a, states = ctx.saved_tensors
        shifted = torch.cat((a[..., 1:], torch.zeros_like(a[..., :1])), dim=-1)
        adjoint = _scan_chunks(shifted.flip(-1), grads[0].flip(-1)).flip(-1)
        previous = torch.cat((torch.zeros_like(states[..., :1]), states[..., :-1]), dim=-1)
        return adjoint * previous, adjoint


def scan_two_level(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """The recurrence in about 2·√L vectorised steps with O(L) memory in training.

    Args and result as :func:`scan_sequential`.
    """
    if reverse:
        return scan_two_level(a.flip(-1), b.flip(-1)).flip(-1)
    result: Tensor = _TwoLevelScan.apply(a, b)  # type: ignore[no-untyped-call]
    return result
