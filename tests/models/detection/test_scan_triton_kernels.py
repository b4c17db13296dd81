"""The Triton kernels of the recurrence are the loop that defines it, forwards and backwards.

They need a GPU, or Triton's interpreter, which runs kernels in Python on the CPU when TRITON_INTERPRET=1 is set before
they are decorated; test_scan_triton.py starts a process in which this file runs so.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.detection.scan import scan_sequential
from models.detection.scan_triton import scan_triton
from tests.models.networks import largest_difference

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

if not (INTERPRETED or torch.cuda.is_available()):
    pytest.skip("no CUDA device; test_scan_triton.py runs this file in Triton's interpreter", allow_module_level=True)
kernels = pytest.importorskip("models.detection.scan_triton_kernels", exc_type=ImportError)

# exponents Δ·A of the decay a = exp(−Δ·A), a row of each: hardly any, forgotten at once, mixed
EXPONENTS = [(1e-6, 1e-4), (20.0, 200.0), (1e-6, 200.0)]

both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])


def _draw(length: int) -> tuple[Tensor, Tensor]:
    """A row for each range of exponents, (3, L), float64."""
    low, high = torch.tensor(EXPONENTS, dtype=torch.float64).log()[..., None].unbind(1)
    exponent = torch.exp(low + (high - low) * torch.rand(len(EXPONENTS), length, dtype=torch.float64))
    return torch.exp(-exponent), torch.randn_like(exponent) * exponent.clamp(max=1)


def _states_and_gradients(
    scan: Callable[..., Tensor], a: Tensor, b: Tensor, grad: Tensor, reverse: bool
) -> list[Tensor]:
    inputs = [a.detach().requires_grad_(), b.detach().requires_grad_()]
    states = scan(*inputs, reverse)
    gradients = torch.autograd.grad(states, inputs, grad.to(states), materialize_grads=True)
    return [states.detach(), *gradients]


def _kernel_against_loop(a: Tensor, b: Tensor, reverse: bool = False) -> float:
    """Largest difference of states and gradients from the loop's in float64, of the loop's largest value or of 1."""
    grad = torch.randn(b.shape, dtype=torch.float64)
    expected = _states_and_gradients(scan_sequential, a.double(), b.double(), grad, reverse)
    found = _states_and_gradients(scan_triton, a.to(DEVICE), b.to(DEVICE), grad.to(DEVICE), reverse)
    return max(
        largest_difference(ours.cpu().double(), theirs) / max(1.0, float(theirs.abs().max()))
        for ours, theirs in zip(found, expected, strict=True)
    )


def test_three_steps_by_hand() -> None:
    a, b = torch.tensor([0.5, 0.25, 0.5], device=DEVICE), torch.tensor([8.0, 4.0, 2.0], device=DEVICE)
    assert scan_triton(a, b).tolist() == [8.0, 6.0, 5.0]
    assert scan_triton(a, b, reverse=True).tolist() == [10.25, 4.5, 2.0]


@both_directions
@pytest.mark.parametrize("length", [1, 2, 3, 50, 400, 1600])
def test_is_the_loop_in_single_precision(length: int, reverse: bool) -> None:
    a, b = (x.float() for x in _draw(length))
    assert _kernel_against_loop(a, b, reverse) <= 1e-5


@both_directions
@pytest.mark.parametrize("length", [1, 2, 50, 400])
def test_is_the_loop_in_double_precision(length: int, reverse: bool) -> None:
    assert _kernel_against_loop(*_draw(length), reverse) <= 1e-12


def test_carries_the_state_over_a_row_longer_than_a_tile() -> None:
    a, b = (x[:1] for x in _draw(2100))
    assert _kernel_against_loop(a.float(), b.float()) <= 1e-5


@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(1, 3),
    length=st.integers(1, 30),
    tile=st.sampled_from([2, 8, 32]),
    reverse=st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_any_size_of_tile_gives_the_loop(seed: int, rows: int, length: int, tile: int, reverse: bool) -> None:
    torch.manual_seed(seed)
    a, b = torch.rand(rows, length, dtype=torch.float64), torch.randn(rows, length, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "TILE", tile)
        assert _kernel_against_loop(a, b, reverse) <= 1e-12


def test_forgets_at_a_decay_of_zero_and_sums_at_one() -> None:
    b = torch.randn(2, 40, dtype=torch.float64, device=DEVICE)
    assert torch.equal(scan_triton(torch.zeros_like(b), b), b)
    assert largest_difference(scan_triton(torch.ones_like(b), b), b.cumsum(-1)) < 1e-12


@pytest.mark.parametrize("shape", [(9,), (1, 9), (3, 9), (2, 3, 9), (2, 1, 3, 2, 9), (0, 9), (2, 0, 9)], ids=str)
def test_takes_any_leading_shape(shape: tuple[int, ...]) -> None:
    a, b = torch.rand(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    states = scan_triton(a.to(DEVICE), b.to(DEVICE))
    assert states.shape == shape
    assert a.numel() == 0 or _kernel_against_loop(a, b) <= 1e-12


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "directions cut out": lambda x: x[:, 1:3],
    "axes swapped": lambda x: x.transpose(1, 2),
    "steps across memory": lambda x: x.transpose(2, 3),
    "every other step": lambda x: x[..., ::2],
    "amid what must not be read": lambda x: F.pad(x, (1, 1), value=torch.nan)[..., 1:-1],
    "one row for all": lambda x: x[:1, :1].expand_as(x),
    "one value for all": lambda x: x[..., :1].expand_as(x),
}


@both_directions
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_takes_any_layout(layout: Callable[[Tensor], Tensor], reverse: bool) -> None:
    a, b, grad = (layout(x) for x in torch.rand(3, 2, 4, 2, 6, dtype=torch.float64, device=DEVICE))
    expected = _states_and_gradients(scan_sequential, a, b, grad, reverse)
    for ours, theirs in zip(_states_and_gradients(scan_triton, a, b, grad, reverse), expected, strict=True):
        assert largest_difference(ours, theirs) <= 1e-12


def test_reads_slices_of_the_first_two_axes_where_they_are() -> None:
    x = torch.rand(2, 4, 3, 1, 10, device=DEVICE)[:, 2:]
    rows = kernels._by_rows(x)
    assert (rows.shape, rows.data_ptr()) == ((2, 6, 10), x.data_ptr())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_rounds_half_precision_only_at_the_end(dtype: torch.dtype) -> None:
    a, b = torch.full((1, 400), 0.984375), torch.ones(1, 400)  # added up in half precision: several steps too low
    states = scan_triton(a.to(DEVICE, dtype), b.to(DEVICE, dtype))
    assert states.dtype == dtype
    expected = scan_sequential(a, b)
    assert float(((states.cpu().float() - expected) / expected).abs().max()) <= torch.finfo(dtype).eps


def test_two_precisions_give_each_input_a_gradient_of_its_own() -> None:
    a, b = torch.rand(2, 9, device=DEVICE), torch.rand(2, 9, device=DEVICE, dtype=torch.float16)
    states, grad_a, grad_b = _states_and_gradients(scan_triton, a, b, torch.ones(2, 9, device=DEVICE), False)
    assert [x.dtype for x in (states, grad_a, grad_b)] == [torch.float32, torch.float32, torch.float16]
    assert largest_difference(states, scan_sequential(a, b.float())) < 1e-5


def test_refuses_a_second_derivative() -> None:
    a = torch.rand(2, 3, device=DEVICE, requires_grad=True)
    (gradient,) = torch.autograd.grad(scan_triton(a, a).square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(gradient.sum())
