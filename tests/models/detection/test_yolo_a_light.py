"""The light form of YOLO-A, and pruning a whole one down to it."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg

from models.detection.meter import measure
from models.detection.pruning import prune_to_light
from models.detection.yolo_a import PARTS, YoloA, export_form
from models.detection.yolo_a_light import YoloALight
from tests.models.networks import largest_difference, stir


def layer(network: YoloA, index: int) -> Any:
    return cast("nn.Sequential", network.model)[index]


def whole(nc: int = 2) -> YoloA:
    torch.manual_seed(0)
    return stir(YoloA(nc))


def test_it_has_half_of_yolo_a_s_weights_and_fewer_operations_than_yolo11n() -> None:
    light, plain = measure(YoloALight()), measure(YoloA(2, parts=()))
    assert light.fused_parameters == 2_094_748
    assert light.operator_gflops < plain.operator_gflops
    assert light.table_gflops == pytest.approx(5.683, abs=1e-3)


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


def test_pruning_copies_what_the_light_form_has_in_full() -> None:
    trained = whole()
    light = prune_to_light(trained)
    for index in (0, 5, 9, 10, 13, 16, 19):
        own, theirs = layer(light, index).state_dict(), layer(trained, index).state_dict()
        assert all(torch.equal(own[name], theirs[name]) for name in own), index
    assert torch.equal(layer(light, 15).static, layer(trained, 15).static[..., 3:10, 3:10])
    assert torch.equal(layer(light, 23).cv3[1][2].bias, layer(trained, 23).cv3[1][2].bias)


@torch.no_grad()
def test_pruning_keeps_the_channels_through_which_something_passes() -> None:
    """With half the channels of a GLICM silent, its local branch computes the same without them."""
    trained = whole().eval()
    large = layer(trained, 8)
    silent = torch.arange(256) % 2 == 1
    large.expand.conv.weight[:, silent] = 0
    large.local_pointwise.conv.weight[:, silent] = 0
    small, x = layer(prune_to_light(trained).eval(), 8), torch.rand(1, 256, 5, 4)
    assert largest_difference(small.reduce(x), large.reduce(x)[:, ~silent]) < 1e-5
    assert largest_difference(_local(small, x), _local(large, x)[:, ~silent]) < 1e-4


@torch.no_grad()
def test_pruning_keeps_the_scan_s_strongest_inner_channels() -> None:
    trained = whole().eval()
    scan = layer(trained, 6).ss2d
    scan.out_proj.weight[:, ::2] = 0
    small = layer(prune_to_light(trained), 6).ss2d
    assert torch.equal(small.D_skip, scan.D_skip[:, 1::2])
    assert torch.equal(small.in_proj.weight, scan.in_proj.weight[1::2])
    assert torch.equal(small.x_proj_weight, scan.x_proj_weight[:, :, 1::2])


def _local(module: Any, x: Tensor) -> Tensor:
    return cast("Tensor", module.local_pointwise(module.local_depthwise(module.reduce(x))))


@pytest.mark.parametrize("part", PARTS)
def test_pruning_wants_a_whole_yolo_a(part: Any) -> None:
    with pytest.raises(ValueError, match=f"whole YOLO-A, this one has {part}"):
        prune_to_light(YoloA(2, (part,)))
