"""The light form of YOLO-A, and pruning a whole one down to it."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg

from models.detection.meter import measure
from models.detection.pruning import prune_to_light
from models.detection.yolo_a import PARTS, Part, YoloA, export_form
from models.detection.yolo_a_light import YoloALight
from tests.models.networks import largest_difference, stir


def layer(network: YoloA, index: int) -> Any:
    return cast("nn.Sequential", network.model)[index]


def test_it_is_smaller_and_cheaper_than_yolo11n() -> None:
    light, plain = measure(YoloALight()), measure(YoloA(2, parts=()))
    assert light.fused_parameters == 2_111_188
    assert light.operator_gflops < 0.9 * plain.operator_gflops
    assert light.table_gflops == pytest.approx(5.263, abs=1e-3)


@torch.no_grad()
def test_it_looks_at_cells_of_8_and_16_px() -> None:
    network = YoloALight().eval()
    found, raw = network(torch.rand(1, 3, 96, 64))
    assert found.shape == (1, 4 + 2, 12 * 8 + 6 * 4)
    assert [tuple(level.shape[2:]) for level in raw["feats"]] == [(12, 8), (6, 4)]
    assert network.stride.tolist() == [8, 16]


@torch.no_grad()
def test_the_export_form_computes_the_same() -> None:
    network = stir(YoloALight()).eval()
    images = torch.rand(1, 3, 96, 64)
    assert largest_difference(export_form(network)(images)[0], network(images)[0]) < 1e-2  # pixels


def test_it_trains() -> None:
    network = YoloALight()
    network.args = get_cfg()
    batch = {
        "img": torch.rand(2, 3, 64, 64),
        "batch_idx": torch.tensor([0.0, 1.0]),
        "cls": torch.tensor([[0.0], [1.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.3, 0.3], [0.4, 0.6, 0.2, 0.2]]),
    }
    loss, _ = network.loss(batch)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    idle = [name for name, value in network.named_parameters() if value.requires_grad and value.grad is None]
    assert idle == []


@pytest.mark.parametrize("parts", [(), ("fsppf",), PARTS])
def test_pruning_copies_what_the_light_form_has_in_full(parts: tuple[Part, ...]) -> None:
    torch.manual_seed(0)
    trained = stir(YoloA(2, parts))
    light = prune_to_light(trained)
    shared = [
        0,
        2,
        4,
        5,
        7,
        10,
        17,
        *([9] if "fsppf" in parts else []),
        *([6, 8, 13, 16, 19] if parts != PARTS else []),
    ]
    for index in shared:
        own, theirs = layer(light, index).state_dict(), layer(trained, index).state_dict()
        assert own, index
        assert all(torch.equal(own[name], theirs[name]) for name in own), index
    assert torch.equal(layer(light, 23).cv3[1][2].bias, layer(trained, 23).cv3[1][2].bias)


@torch.no_grad()
def test_pruning_keeps_the_channels_through_which_something_passes() -> None:
    """With half the channels of the finest box branch silent, it computes the same without them."""
    trained = stir(YoloA(2, ("fsppf",))).eval()
    branch = layer(trained, 23).cv2[0]
    silent = torch.arange(64) % 2 == 1
    branch[1].conv.weight[:, silent] = 0
    branch[2].weight[:, silent] = 0
    pruned, x = layer(prune_to_light(trained).eval(), 23).cv2[0], torch.rand(1, 64, 5, 4)
    assert largest_difference(pruned(x), branch(x)) < 1e-4


@torch.no_grad()
def test_a_channel_that_its_normalisation_silences_goes_first() -> None:
    trained = stir(YoloA(2, ("fsppf",))).eval()
    branch = layer(trained, 23).cv2[0]
    silent = torch.arange(64) % 2 == 0
    for conv in branch[:2]:
        conv.conv.weight[silent] *= 100  # loud before it
        conv.bn.weight[silent] = conv.bn.bias[silent] = 0
    pruned, x = layer(prune_to_light(trained).eval(), 23).cv2[0], torch.rand(1, 64, 5, 4)
    assert largest_difference(pruned(x), branch(x)) < 1e-3
