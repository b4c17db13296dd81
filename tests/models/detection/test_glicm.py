"""GLICM: a local and a global path, gated along height, width and channels, around an inner residual."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from models.detection.glicm import GLICM, AxialChannelAttention
from tests.models.networks import largest_difference, stir


def _sharp_attention(channels: int = 16) -> AxialChannelAttention:
    attention = stir(AxialChannelAttention(channels)).eval()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.mul_(3)
    return attention


@torch.no_grad()
def test_gates_are_between_closed_and_open() -> None:
    x = torch.randn(2, 16, 5, 7)
    ratio = _sharp_attention()(x) / x
    assert ratio.shape == x.shape
    assert float(ratio.min()) > 0
    assert float(ratio.max()) < 1


@torch.no_grad()
def test_gate_is_a_product_of_one_factor_a_row_one_a_column_and_one_a_channel() -> None:
    x = torch.randn(1, 16, 5, 7)
    gate = torch.log(_sharp_attention()(x) / x)[0]  # products become sums
    rows, columns = gate.mean(2, keepdim=True), gate.mean(1, keepdim=True)
    assert largest_difference(gate, rows + columns - gate.mean((1, 2), keepdim=True)) < 1e-4
    assert float(gate.std(2).min()) > 0, "the gate along the width does nothing"
    assert float(gate.std(1).min()) > 0, "the gate along the height does nothing"
    assert float(gate.mean((1, 2)).std()) > 0, "the gate of the channels does nothing"


@torch.no_grad()
def test_a_transposed_map_with_swapped_axial_gates_gives_the_transposed_result() -> None:
    attention, x = _sharp_attention(), torch.randn(1, 16, 5, 7)
    expected = attention(x).transpose(2, 3)
    height, width = cast("Any", attention.along_height), cast("Any", attention.along_width)
    for axial in (height[0], width[0]):
        axial.weight.data = axial.weight.data.transpose(2, 3).contiguous()
        axial.padding = axial.padding[::-1]
    attention.along_height, attention.along_width = width, height
    assert largest_difference(attention(x.transpose(2, 3)), expected) < 1e-6


@torch.no_grad()
def test_closed_gates_leave_the_inner_residual() -> None:
    module = stir(GLICM(12, 20, channels=16)).eval()
    module.attention.excite.weight.zero_()
    assert isinstance(module.attention.excite.bias, Tensor)
    module.attention.excite.bias.fill_(-200.0)
    x = torch.randn(2, 12, 4, 6)
    assert largest_difference(module(x), module.expand(module.reduce(x))) == 0


@torch.no_grad()
def test_folding_the_gates_keeps_the_function() -> None:
    attention, x = _sharp_attention(), torch.randn(2, 16, 5, 7)
    expected = attention(x)
    for _ in range(2):
        attention.fold()
        assert not any(isinstance(part, nn.BatchNorm2d) for part in attention.modules())
        assert largest_difference(attention(x), expected) < 1e-5


def _reach(module: nn.Module, x: Tensor) -> Tensor:
    """Which positions of the output change with the pixel at (1, 2)."""
    changed = x.clone()
    changed[:, :, 1, 2] += 1
    difference: Tensor = (module(changed) - module(x)).abs().amax((0, 1))
    return difference > 0


@torch.no_grad()
def test_each_output_position_sees_each_input_position() -> None:
    module = stir(GLICM(8, 8, channels=8)).eval()
    assert _reach(module, torch.randn(1, 8, 9, 12)).all()


@torch.no_grad()
def test_scan_and_local_path_are_both_gated_and_added() -> None:
    module = stir(GLICM(8, 8, channels=8)).eval()
    x = torch.randn(1, 8, 6, 5)
    u = module.reduce(x)
    both = module.local_pointwise(module.local_depthwise(u)) + module.ss2d(module.norm(u))
    assert largest_difference(module(x), module.expand(u + module.attention(both))) < 1e-6


@pytest.mark.parametrize(
    ("c1", "c2", "channels", "parameters"), [(128, 128, 64, 48_520), (256, 256, 256, 566_304)], ids=["P4", "P5"]
)
def test_parameters_are_those_of_the_budget(c1: int, c2: int, channels: int, parameters: int) -> None:
    assert sum(p.numel() for p in GLICM(c1, c2, channels).parameters()) == parameters
