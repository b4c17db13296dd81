"""The adaptive spectral block against torch's Fourier transform and scipy's Hilbert transform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import hilbert
from torch import Tensor

from models.yields.spectral import AdaptiveSpectralBlock, InteractiveConvolution, SpectralLayer, fourier_matrices
from tests.models.networks import largest_difference

LENGTHS = [1, 2, 5, 6, 7, 8, 12]


@torch.no_grad()
def _block(steps: int, global_filter: complex, local_filter: complex, threshold: float) -> AdaptiveSpectralBlock:
    block = AdaptiveSpectralBlock(steps, 3)
    block.global_filter.copy_(torch.tensor([global_filter.real, global_filter.imag]).expand(3, 2))
    block.local_filter.copy_(torch.tensor([local_filter.real, local_filter.imag]).expand(3, 2))
    block.threshold.fill_(threshold)
    return block


def _by_fft(block: AdaptiveSpectralBlock, x: Tensor) -> Tensor:
    """The block as its authors write it."""
    spectrum = torch.fft.rfft(x, dim=1, norm="ortho")
    energy = spectrum.abs().pow(2).sum(dim=2)
    relative = energy / (energy.median(dim=1, keepdim=True).values + 1e-6)
    mask = (relative > block.threshold).float()[..., None]
    whole = spectrum * torch.view_as_complex(block.global_filter.detach())
    local = spectrum * mask * torch.view_as_complex(block.local_filter.detach())
    filtered: Tensor = torch.fft.irfft(whole + local, n=x.shape[1], dim=1, norm="ortho")
    return filtered


@pytest.mark.parametrize("steps", LENGTHS)
def test_matrices_are_the_fourier_transform(steps: int) -> None:
    x = torch.randn(4, steps, 3)
    cosine, sine = fourier_matrices(steps)
    expected = torch.fft.rfft(x, dim=1, norm="ortho")
    assert largest_difference(cosine @ x, expected.real) < 1e-6
    assert largest_difference(sine @ x, expected.imag) < 1e-6


@pytest.mark.parametrize("steps", LENGTHS)
@torch.no_grad()
def test_block_is_its_authors_form(steps: int) -> None:
    x, block = torch.randn(64, steps, 3), AdaptiveSpectralBlock(steps, 3)
    block.global_filter.normal_()
    block.local_filter.normal_()
    assert largest_difference(block(x), _by_fft(block, x)) < 1e-5


@pytest.mark.parametrize("steps", LENGTHS)
@torch.no_grad()
def test_global_filter_one_changes_nothing(steps: int) -> None:
    x = torch.randn(4, steps, 3)
    assert largest_difference(_block(steps, 1, 0, 0.5)(x), x) < 1e-6


@pytest.mark.parametrize("steps", [5, 6, 7, 8, 12])
@torch.no_grad()
def test_global_filter_i_is_the_negative_hilbert_transform(steps: int) -> None:
    x = torch.randn(4, steps, 3)
    expected = -np.imag(hilbert(x.numpy(), axis=1))
    assert np.abs(_block(steps, 1j, 0, 0.5)(x).numpy() - expected).max() < 1e-5


@torch.no_grad()
def test_threshold_lets_all_through_or_nothing() -> None:
    x = torch.randn(4, 7, 3)
    assert largest_difference(_block(7, 0, 1, -1)(x), x) < 1e-6
    assert not _block(7, 0, 1, 1e9)(x).any()


@torch.no_grad()
def test_frequencies_of_high_energy_pass_not_high_frequencies() -> None:
    time = torch.arange(7.0)
    slow = torch.cos(2 * torch.pi * time / 7)
    x = (slow + 0.01 * torch.cos(2 * torch.pi * 3 * time / 7))[None, :, None].expand(1, 7, 3)
    filtered = _block(7, 0, 1, 1e5)(x)
    assert largest_difference(filtered, slow[None, :, None].expand(1, 7, 3)) < 1e-5


@pytest.mark.parametrize("steps", [6, 7])
def test_four_values_a_channel_and_a_threshold(steps: int) -> None:
    assert sum(p.numel() for p in AdaptiveSpectralBlock(steps, 64).parameters()) == 4 * 64 + 1


@pytest.mark.parametrize("gradient", ["official", "sigmoid"])
def test_filters_and_threshold_learn(gradient: str) -> None:
    block = AdaptiveSpectralBlock(7, 3, "official" if gradient == "official" else "sigmoid")
    (block(torch.randn(8, 7, 3)) ** 2).sum().backward()
    for parameter in block.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()


def test_a_higher_threshold_lets_less_through_only_by_the_sigmoid() -> None:
    x = torch.randn(8, 7, 3)
    slopes = {}
    for gradient in ("official", "sigmoid"):
        block = AdaptiveSpectralBlock(7, 3, "official" if gradient == "official" else "sigmoid")
        with torch.no_grad():
            block.threshold.fill_(1.0)
        (slope,) = torch.autograd.grad(block.mask(block.cosine @ x, block.sine @ x).sum(), block.threshold)
        slopes[gradient] = float(slope)
    assert slopes["official"] > 0 > slopes["sigmoid"]


@pytest.mark.parametrize("gradient", ["official", "sigmoid"])
@torch.no_grad()
def test_mask_is_zero_or_one_however_it_learns(gradient: str) -> None:
    block = AdaptiveSpectralBlock(7, 3, "official" if gradient == "official" else "sigmoid")
    x = torch.randn(64, 7, 3)
    mask = block.mask(block.cosine @ x, block.sine @ x)
    assert ((mask - mask.round()).abs() < 1e-6).all()
    assert 0 < float(mask.mean()) < 1


@torch.no_grad()
def test_samples_do_not_hear_of_each_other() -> None:
    x, block = torch.randn(8, 7, 3), SpectralLayer(7, 3, convolution=True).eval()
    order = torch.randperm(8)
    assert largest_difference(block(x)[order], block(x[order])) < 1e-6


def test_interactive_convolution_has_the_published_number_of_parameters() -> None:
    inner = 3 * 64
    expected = (64 * inner + inner) + (3 * 64 * inner + inner) + (inner * 64 + 64)
    assert sum(p.numel() for p in InteractiveConvolution(64).parameters()) == expected


def test_no_series_has_no_spectrum() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        AdaptiveSpectralBlock(0, 3)
