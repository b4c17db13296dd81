"""The recurrence h_t = a_t · h_(t-1) + b_t: every form of it is the same function as the loop that defines it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.detection.scan import scan_doubling, scan_sequential, scan_two_level, scan_unrolled
from tests.models.networks import largest_difference

Scan = Callable[..., Tensor]


def scan_in_chunks(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """The unrolled form on sequences as the others take them: each in chunks of a divisor of its length."""
    if reverse:
        return scan_in_chunks(a.flip(-1), b.flip(-1)).flip(-1)
    length = a.shape[-1]
    steps = next(size for size in range(math.isqrt(length), 0, -1) if length % size == 0)

    def folded(x: Tensor) -> Tensor:  # (…, L) to (1, Q, M, sequences)
        return x.reshape(1, -1, length // steps, steps).permute(0, 3, 2, 1)

    return scan_unrolled(folded(a), folded(b)).permute(0, 3, 2, 1).reshape(a.shape)


FORMS: list[Scan] = [scan_doubling, scan_two_level, scan_in_chunks]
LENGTHS = [1, 2, 3, 50, 400, 1600]

# exponents Δ·A of the decay a = exp(−Δ·A): hardly any, the published range, a state forgotten within a step
EXPONENTS = {"keeps all": (1e-6, 1e-4), "usual": (1e-3, 1.6), "forgets at once": (20.0, 200.0), "mixed": (1e-6, 200.0)}


def _draw(length: int, exponents: tuple[float, float], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    low, high = (torch.tensor(value, dtype=torch.float64).log() for value in exponents)
    exponent = torch.exp(low + (high - low) * torch.rand(2, 3, length, dtype=torch.float64))
    drive = torch.randn(2, 3, length, dtype=torch.float64) * exponent.clamp(max=1)
    return torch.exp(-exponent).to(dtype), drive.to(dtype)


@pytest.mark.parametrize("scan", [*FORMS, scan_sequential])
def test_three_steps_by_hand(scan: Scan) -> None:
    a, b = torch.tensor([0.5, 0.25, 0.5]), torch.tensor([8.0, 4.0, 2.0])
    assert scan(a, b).tolist() == [8.0, 6.0, 5.0]
    assert scan(a, b, reverse=True).tolist() == [10.25, 4.5, 2.0]


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("exponents", EXPONENTS.values(), ids=EXPONENTS.keys())
@pytest.mark.parametrize("length", LENGTHS)
def test_every_form_is_the_loop_in_single_precision(length: int, exponents: tuple[float, float], reverse: bool) -> None:
    a, b = _draw(length, exponents)
    expected = scan_sequential(a.double(), b.double(), reverse)
    for scan in FORMS:
        states = scan(a, b, reverse)
        assert states.dtype == torch.float32
        assert largest_difference(states.double(), expected) <= 1e-5, scan.__name__


@pytest.mark.parametrize("scan", FORMS)
def test_a_decay_of_one_sums_and_a_decay_of_zero_forgets(scan: Scan) -> None:
    b = torch.randn(4, 100, dtype=torch.float64)
    assert largest_difference(scan(torch.ones_like(b), b), b.cumsum(-1)) < 1e-12
    assert torch.equal(scan(torch.zeros_like(b), b), b)


@pytest.mark.parametrize("scan", FORMS)
def test_a_thousand_vanishing_decays_underflow_without_nan(scan: Scan) -> None:
    a, b = torch.full((1, 1600), 1e-30), torch.ones(1, 1600)
    assert torch.equal(scan(a, b), b)


@pytest.mark.parametrize("scan", FORMS)
@pytest.mark.parametrize("length", [1, 2, 7, 16, 50])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_gradients_are_those_of_the_loop(scan: Scan, length: int, reverse: bool) -> None:
    a, b = _draw(length, EXPONENTS["mixed"], torch.float64)
    weights = torch.randn_like(b)

    def gradients(form: Scan) -> list[Tensor]:
        inputs = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        loss = (form(*inputs, reverse) * weights).sum()
        return list(torch.autograd.grad(loss, inputs, materialize_grads=True))

    for ours, theirs in zip(gradients(scan), gradients(scan_sequential), strict=True):
        assert largest_difference(ours, theirs) <= 1e-9


def test_the_analytic_backward_pass_is_the_numerical_one() -> None:
    a = (torch.rand(2, 7, dtype=torch.float64) * 0.9 + 0.05).requires_grad_()
    b = torch.randn(2, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(scan_two_level, (a, b))


@pytest.mark.parametrize("scan", FORMS)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 50])
def test_inputs_are_left_as_they_were(scan: Scan, length: int) -> None:
    a, b = _draw(length, EXPONENTS["usual"])
    kept = a.clone(), b.clone()
    scan(a, b)
    assert torch.equal(a, kept[0])
    assert torch.equal(b, kept[1])


_lengths = st.integers(1, 60)
_seeds = st.integers(0, 2**31)


def _inputs(seed: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    a = torch.rand(2, length, dtype=torch.float64, generator=random)
    b, c = torch.randn(2, 2, length, dtype=torch.float64, generator=random)
    return a, b, c


@given(seed=_seeds, length=_lengths, factor=st.floats(-100, 100))
@settings(max_examples=25, deadline=None)
def test_law_linear_in_the_input(seed: int, length: int, factor: float) -> None:
    a, b, c = _inputs(seed, length)
    for scan in FORMS:
        assert largest_difference(scan(a, b + factor * c), scan(a, b) + factor * scan(a, c)) < 1e-9


@given(seed=_seeds, length=_lengths, cut=st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_law_two_halves_joined_by_the_state_between_them(seed: int, length: int, cut: int) -> None:
    a, b, _ = _inputs(seed, length)
    cut = min(cut, length)
    for scan in FORMS:
        whole = scan(a, b)
        if cut:
            assert largest_difference(whole[..., :cut], scan(a[..., :cut], b[..., :cut])) < 1e-12
        if cut < length:
            start = b[..., cut:].clone()
            if cut:
                start[..., 0] += a[..., cut] * whole[..., cut - 1]
            assert largest_difference(whole[..., cut:], scan(a[..., cut:], start)) < 1e-12


@given(seed=_seeds, length=_lengths)
@settings(max_examples=25, deadline=None)
def test_law_backwards_is_forwards_on_the_mirrored_sequence(seed: int, length: int) -> None:
    a, b, _ = _inputs(seed, length)
    for scan in FORMS:
        mirrored = scan(a.flip(-1), b.flip(-1)).flip(-1)
        assert largest_difference(scan(a, b, reverse=True), mirrored) < 1e-12
