"""The two ways of counting a network's operations."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.detection.meter import measure
from models.detection.yolo_a import YoloA, quiet


def test_operator_count_is_the_one_the_budget_states() -> None:
    assert measure(YoloA(80)).operator_gflops == pytest.approx(10.02, abs=0.01)


def test_the_scans_are_counted_by_formula_since_no_operator_shows_them() -> None:
    network = YoloA(80, parts=("glicm",))
    cost = measure(network, 128)
    fused = copy.deepcopy(network).eval()
    with quiet():
        fused.fuse(verbose=False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        fused(torch.zeros(1, 3, 128, 128))
    # 9 operations a state and step, four directions: width 2·64 on 8 x 8 positions, 2·256 on 4 x 4
    scans = 9 * 4 * (128 * 64 + 512 * 16)
    assert cost.operator_gflops * 1e9 == pytest.approx(counter.get_total_flops() + scans, abs=0.5)


def test_a_plain_network_has_nothing_outside_its_convolution_modules_but_its_attention() -> None:
    cost = measure(YoloA(80, parts=()), 128)
    positions, heads, keys, values = 4 * 4, 2, 32, 64
    attention = 2 * heads * positions**2 * (keys + values)
    assert (cost.operator_gflops - cost.table_gflops) * 1e9 == pytest.approx(attention, abs=0.5)


def test_four_times_the_pixels_cost_four_times_the_convolutions() -> None:
    small, large = (measure(YoloA(80, parts=()), px).table_gflops for px in (64, 128))
    assert large == pytest.approx(4 * small, rel=1e-9)


def test_the_measured_network_is_left_as_it_was() -> None:
    network = YoloA(2).train()
    names = list(network.state_dict())
    measure(network, 64)
    assert network.training
    assert list(network.state_dict()) == names
    assert not any(module._forward_hooks for module in network.modules())
