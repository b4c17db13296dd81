"""F-SPPF: the Fourier transform by matrix products, the attention made with it, the pyramid around it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection.fsppf import FSPPF, Fourier2d, FourierModulatedAttention
from tests.models.networks import largest_difference, stir

SIZES = [(20, 20), (15, 20), (20, 15), (13, 17), (2, 3), (1, 1), (1, 6), (7, 1)]


def _matrices() -> Fourier2d:
    transform = Fourier2d()
    transform.export = True
    return transform


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matrix_products_are_the_fast_transform(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    expected = torch.fft.rfft2(x, norm="ortho")
    for transform in (Fourier2d(), _matrices()):
        real, imaginary = transform(x)
        assert largest_difference(real, expected.real) < 1e-5
        assert largest_difference(imaginary, expected.imag) < 1e-5


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_inverse_of_any_spectrum_is_that_of_the_fast_transform(size: tuple[int, int]) -> None:
    """Also of spectra that no real map has: a convolution over frequencies makes such."""
    height, width = size
    real, imaginary = torch.randn(2, 2, 3, height, width // 2 + 1)
    expected = torch.fft.irfft2(torch.complex(real, imaginary), s=size, norm="ortho")
    for transform in (Fourier2d(), _matrices()):
        assert largest_difference(transform.inverse(real, imaginary, height, width), expected) < 1e-5


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_there_and_back_is_the_same_map(size: tuple[int, int]) -> None:
    x, transform = torch.randn(2, 3, *size), _matrices()
    real, imaginary = transform(x)
    assert largest_difference(transform.inverse(real, imaginary, *size), x) < 1e-5


@torch.no_grad()
def _attention(channels: int = 8, heads: int = 2, mode: str = "modulate") -> FourierModulatedAttention:
    """Attention whose value, output projection and position term are neutral: it adds γ·A to its input."""
    module = FourierModulatedAttention(channels, heads, mode)
    for convolution in (module.position, module.value, module.project):
        convolution.weight.zero_()
        assert isinstance(convolution.bias, Tensor)
        convolution.bias.zero_()
    assert isinstance(module.value.bias, Tensor)
    module.value.bias.fill_(1.0)
    module.project.weight.copy_(torch.eye(channels)[:, :, None, None])
    return module


@pytest.mark.parametrize("export", [False, True], ids=["training form", "export form"])
@torch.no_grad()
def test_identity_on_the_spectrum_gives_back_the_normalised_map(monkeypatch: pytest.MonkeyPatch, export: bool) -> None:
    module, x = _attention(), torch.randn(2, 8, 5, 6)
    module.fourier.export = export
    module.spectral.weight.copy_(torch.eye(16)[:, :, None, None])
    monkeypatch.setattr(F, "gelu", lambda spectrum: spectrum)
    assert largest_difference(module(x), x + module.norm(x)) < 1e-5


@pytest.mark.parametrize("size", [(5, 6), (6, 5), (4, 4)], ids=str)
@torch.no_grad()
def test_spectral_convolution_mixes_real_and_imaginary_parts_channel_by_channel(size: tuple[int, int]) -> None:
    module, x = _attention(), torch.randn(2, 8, *size)
    spectrum = torch.fft.rfft2(module.norm(x), norm="ortho")
    parts = torch.stack((spectrum.real, spectrum.imag), 2).reshape(2, 16, *spectrum.shape[2:])
    mixed = F.gelu(torch.einsum("oi,bihw->bohw", module.spectral.weight[:, :, 0, 0], parts))
    attention = torch.fft.irfft2(torch.complex(mixed[:, 0::2], mixed[:, 1::2]), s=size, norm="ortho")
    for export in (False, True):
        module.fourier.export = export
        assert largest_difference(module(x), x + attention) < 1e-5


@torch.no_grad()
def test_complex_mixing_of_channels_commutes_with_shifts_around_the_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the activation, which acts on real and imaginary parts apart, the attention does not commute with them."""
    module, x = FourierModulatedAttention(8, 2), torch.randn(1, 8, 6, 7)
    module.position.weight.zero_()  # the one other part that sees the borders
    real, imaginary = torch.randn(2, 8, 8)
    mixing = torch.kron(real, torch.eye(2)) + torch.kron(imaginary, torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    module.spectral.weight.copy_(mixing[:, :, None, None])
    monkeypatch.setattr(F, "gelu", lambda spectrum: spectrum)
    assert largest_difference(module(x.roll((2, 3), (2, 3))), module(x).roll((2, 3), (2, 3))) < 1e-5


@torch.no_grad()
def test_each_head_scales_its_own_channels() -> None:
    module, x = _attention(channels=8, heads=2), torch.randn(1, 8, 4, 5)
    module.scale.copy_(torch.tensor([0.0, 1.0]))
    change = (module(x) - x).abs().amax((0, 2, 3))
    assert not change[:4].any()
    assert (change[4:] > 0).all()


@torch.no_grad()
def test_softmax_mode_spreads_a_weight_of_one_over_all_positions() -> None:
    module, x = _attention(mode="softmax"), torch.randn(2, 8, 4, 5)
    assert torch.equal(module.scale, torch.full((2,), 1e-6))
    weights = module(x) - x
    assert largest_difference(weights, torch.full_like(weights, 1 / 20)) < 1e-5, "the published initial value is flat"
    module.scale.fill_(1.0)
    weights = module(x) - x
    assert float(weights.min()) > -1e-6
    assert float(weights.std((2, 3)).min()) > 1e-3
    assert largest_difference(weights.sum((2, 3)), torch.ones(2, 8)) < 1e-5


@torch.no_grad()
def test_position_term_is_made_of_the_map_before_its_normalisation() -> None:
    module, x = _attention(), torch.randn(1, 8, 4, 5)
    module.scale.zero_()
    module.position.weight[:, :, 1, 1] = 0.5
    assert largest_difference(module(x), 1.5 * x) < 1e-6


def test_modes_and_heads_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'softmix'; it must be 'modulate' or 'softmax'"):
        FourierModulatedAttention(8, 2, "softmix")
    with pytest.raises(ValueError, match="10 channels do not divide into 4 heads"):
        FourierModulatedAttention(10, 4)


@pytest.mark.parametrize(("channels", "heads"), [(256, 8), (24, 3)])
def test_parameters_of_the_attention_follow_the_formula(channels: int, heads: int) -> None:
    formula = 6 * channels**2 + 14 * channels + heads
    assert sum(p.numel() for p in FourierModulatedAttention(channels, heads).parameters()) == formula
    if channels == 256:
        assert formula == 396_808


def test_values_that_regularisation_would_distort_are_named() -> None:
    module = FourierModulatedAttention(8, 2)
    named = {id(p) for part in (module, module.norm) for p in part.no_weight_decay()}
    assert {name for name, p in module.named_parameters() if id(p) in named} == {"scale", "norm.weight"}


def test_the_spectrum_is_made_in_single_precision_under_autocast() -> None:
    module, seen = FourierModulatedAttention(8, 2), []
    module.spectral.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        module(torch.randn(1, 8, 4, 4))
    assert seen == [torch.float32]


@torch.no_grad()
def test_pyramid_holds_the_map_and_its_greatest_values_within_2_4_and_6_positions() -> None:
    module, x = stir(FSPPF(12, 20, hidden=8, heads=4)).eval(), torch.randn(1, 12, 15, 17)
    seen: list[Tensor] = []
    module.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert module(x).shape == (1, 20, 15, 17)
    reduced = module.reduce(x)
    levels = [reduced, *(F.max_pool2d(reduced, side, 1, side // 2) for side in (5, 9, 13))]
    assert torch.equal(seen[0], torch.cat(levels, 1))


@torch.no_grad()
def test_export_form_of_the_module_is_its_training_form() -> None:
    module, x = stir(FSPPF(12, 20, hidden=8)).eval(), torch.randn(2, 12, 5, 8)
    expected = module(x)
    for part in module.modules():
        if isinstance(part, Fourier2d):
            part.export = True
    assert largest_difference(module(x), expected) < 1e-5


def test_parameters_of_the_module_are_those_of_the_budget() -> None:
    module: nn.Module = FSPPF(256, 256, hidden=64)
    assert sum(p.numel() for p in module.parameters()) == 479_368
