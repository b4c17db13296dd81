"""The whole detector: its parts, its size, its export form."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg

from models.detection.fsppf import FSPPF, Fourier2d
from models.detection.glicm import GLICM
from models.detection.iafm import IAFM, ConvAttn
from models.detection.meter import measure
from models.detection.ss2d import SS2D
from models.detection.yolo_a import PARTS, Part, YoloA, export_form, parameter_count, quiet
from tests.models.networks import largest_difference, stir

# fused parameters in millions and GFLOPs by the convention of the paper's table, at 80 classes
ABLATIONS: dict[tuple[Part, ...], tuple[float, float]] = {
    ("glicm",): (2.798, 6.43),
    ("fsppf",): (2.931, 6.64),
    ("iafm",): (3.444, 7.72),
    ("glicm", "fsppf"): (3.113, 6.58),
    ("glicm", "iafm"): (3.626, 7.66),
    ("fsppf", "iafm"): (3.758, 7.88),
}


def test_full_network_has_the_published_size() -> None:
    cost = measure(YoloA(80))
    assert cost.parameters == 3_949_408
    assert cost.fused_parameters == 3_940_312
    assert cost.table_gflops == pytest.approx(7.82, abs=0.01)
    assert f"{cost.table_gflops:.1f}" == "7.8"


def test_without_parts_it_is_yolo11n_itself() -> None:
    cost = measure(YoloA(80, parts=()))
    assert cost.parameters == 2_624_080
    assert cost.fused_parameters == 2_616_248
    assert cost.table_gflops == pytest.approx(6.481, abs=0.001)


@pytest.mark.parametrize("parts", ABLATIONS, ids="+".join)
def test_each_ablation_has_its_size(parts: tuple[Part, ...]) -> None:
    millions, gflops = ABLATIONS[parts]
    cost = measure(YoloA(80, parts))
    assert cost.fused_parameters / 1e6 == pytest.approx(millions, abs=0.001)
    assert cost.table_gflops == pytest.approx(gflops, abs=0.01)


def test_classes_cost_what_they_cost_in_yolo11n() -> None:
    plain = {nc: parameter_count(YoloA(nc, parts=())) for nc in (1, 80)}
    assert plain[1] == 2_590_035
    assert parameter_count(YoloA(1)) == 3_949_408 - (plain[80] - plain[1])


def test_each_part_stands_where_the_budget_puts_it() -> None:
    layers = YoloA(2).model
    places = {kind: [i for i, layer in enumerate(layers) if isinstance(layer, kind)] for kind in (GLICM, FSPPF, IAFM)}
    assert places == {GLICM: [6, 8], FSPPF: [9], IAFM: [12, 15, 18, 21]}
    plain = YoloA(2, parts=()).model
    for layer, original in zip(layers, plain, strict=True):
        assert (layer.i, layer.f) == (original.i, original.f), "ultralytics routes maps by these"


def test_keys_and_values_lie_on_one_grid_whatever_the_level() -> None:
    layers, strides = YoloA(2).model, {12: 16, 15: 8, 18: 16, 21: 32}
    assert {layers[i].shsa.kv_pool * stride for i, stride in strides.items()} == {32}


def test_unknown_parts_are_named() -> None:
    with pytest.raises(ValueError, match="unknown part of YOLO-A: glim; known are glicm, fsppf, iafm"):
        YoloA(2, parts=("glim", "iafm"))  # type: ignore[arg-type]


def test_two_classes_are_apples_and_their_flowers() -> None:
    assert YoloA().names == {0: "apple", 1: "apple_flower"}
    assert YoloA(3).names == {0: "0", 1: "1", 2: "2"}


def test_normalisations_are_set_as_ultralytics_sets_its_own() -> None:
    settings = {(m.eps, m.momentum) for m in YoloA().modules() if isinstance(m, nn.BatchNorm2d)}
    assert settings == {(1e-3, 0.03)}


@pytest.mark.parametrize("size", [(64, 96), (96, 64)], ids=["wide", "high"])
@torch.no_grad()
def test_every_stride_of_a_picture_that_is_not_square_is_predicted(size: tuple[int, int]) -> None:
    out = YoloA(2).eval()(torch.rand(2, 3, *size))[0]
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in (8, 16, 32))
    assert out.shape == (2, 4 + 2, cells)


def _loss_inputs() -> dict[str, Tensor]:
    """Two images with boxes of every size, so that each level of the head has something to learn."""
    sides = torch.tensor([0.06, 0.15, 0.3, 0.6, 0.9])
    centres = torch.tensor([0.15, 0.3, 0.5, 0.5, 0.5])
    boxes = torch.stack((centres, centres, sides, sides), 1).repeat(2, 1)
    return {
        "img": torch.rand(2, 3, 128, 128),
        "cls": torch.tensor([0.0, 1.0] * 5)[:, None],
        "bboxes": boxes,
        "batch_idx": torch.arange(2.0).repeat_interleave(5),
    }


def test_every_parameter_learns_from_the_loss() -> None:
    network = stir(YoloA(2)).train()
    network.args = get_cfg()
    loss, _ = network.loss(_loss_inputs())
    loss.sum().backward()
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"model.23.dfl.conv.weight"}, "the constant of the distribution head"
    idle = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert idle == []
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("parts", [PARTS, ("fsppf",), ()], ids=["all parts", "one part", "no part"])
@torch.no_grad()
def test_export_form_gives_the_same_boxes_and_scores(parts: tuple[Part, ...]) -> None:
    network, images = stir(YoloA(2, parts)).eval(), torch.rand(2, 3, 96, 64)
    expected = network(images)[0]
    ready = export_form(network)(images)[0]
    assert float(expected[:, 4:].std()) > 1e-3, "a network that always says the same proves nothing"
    assert largest_difference(ready[:, :4], expected[:, :4]) < 1e-3  # pixels
    assert largest_difference(ready[:, 4:], expected[:, 4:]) < 1e-4


def test_export_form_is_a_copy_with_everything_folded() -> None:
    network = YoloA(2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ready = export_form(network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not ready.training
    assert not any(p.requires_grad for p in ready.parameters())
    for module in ready.modules():
        if isinstance(module, IAFM):
            assert module.static_is_folded
        if isinstance(module, SS2D | Fourier2d | ConvAttn):
            assert module.export
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())


def test_building_and_fusing_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    export_form(YoloA(2))
    assert capfd.readouterr() == ("", "")


def test_quiet_gives_the_log_level_back_also_after_an_error() -> None:
    logger = logging.getLogger("ultralytics")
    level = logger.level

    def fail() -> None:
        with quiet():
            assert logger.level == logging.ERROR
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert logger.level == level
