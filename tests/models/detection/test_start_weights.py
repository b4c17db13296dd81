"""Starting from folded COCO weights, and checkpoints that hold tensors and plain values only."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv

from models.detection.start_weights import (
    load_detector,
    load_matching,
    read_checkpoint,
    save_checkpoint,
    start_from_coco,
    unfold_batch_norms,
)
from models.detection.yolo_a import PARTS, YoloA
from models.labelled_photos import LABELS
from tests.models.networks import largest_difference, stir


@torch.no_grad()
def _fold(network: nn.Module, variance: float = 1 - 1e-3) -> None:
    """Leave of each normalisation its bias only, as networks recovered from a fused file are."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.normal_(module.bias, 0, 0.3)
            cast("Tensor", module.running_mean).zero_()
            cast("Tensor", module.running_var).fill_(variance)


def _folded_network(variance: float = 1 - 1e-3) -> nn.Sequential:
    layers: list[nn.Module] = []
    for c1, c2 in ((3, 6), (6, 8), (8, 4)):
        layers += [nn.Conv2d(c1, c2, 3, bias=False), nn.BatchNorm2d(c2, eps=1e-3), nn.SiLU()]
        nn.init.normal_(cast("Tensor", layers[-3].weight), 0, 0.5)
    network = nn.Sequential(*layers)
    _fold(network, variance)
    return network.eval()


# --- unfolding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", [1 - 1e-3, 0.9990234375, 0.7], ids=["identity", "rounded to half", "another"])
@torch.no_grad()
def test_unfolding_keeps_the_function(variance: float) -> None:
    network, measured, other = _folded_network(variance), torch.rand(4, 3, 16, 16), torch.rand(2, 3, 16, 16)
    expected = [network(images) for images in (measured, other)]
    assert unfold_batch_norms(network, torch.split(measured, 2)) == 3
    for images, before in zip((measured, other), expected, strict=True):
        assert largest_difference(network(images), before) < 1e-5 * float(before.abs().max())


@torch.no_grad()
def test_training_then_finds_the_statistics_it_expects() -> None:
    network, images = _folded_network(), torch.rand(4, 3, 16, 16)
    expected = network(images)
    as_it_was = copy.deepcopy(network).train()(images)
    assert largest_difference(as_it_was, expected) > 0.1, "folded, batch statistics change the function"
    unfold_batch_norms(network, [images])
    assert largest_difference(network.train()(images), expected) < 1e-4


@torch.no_grad()
def test_measured_mean_and_variance_are_those_of_all_batches_together() -> None:
    network, images = _folded_network(), torch.rand(5, 3, 16, 16)
    first = cast("nn.BatchNorm2d", network[1])
    x = cast("nn.Conv2d", network[0])(images)
    unfold_batch_norms(network, torch.split(images, [1, 4]))
    assert largest_difference(cast("Tensor", first.running_mean), x.mean((0, 2, 3))) < 1e-5
    assert largest_difference(cast("Tensor", first.running_var), x.var((0, 2, 3), unbiased=False)) < 1e-5


@torch.no_grad()
def test_layers_with_statistics_of_their_own_are_left_alone() -> None:
    network, images = _folded_network(), torch.rand(2, 3, 16, 16)
    stir(network[4])
    kept = {name: value.clone() for name, value in network[4].state_dict().items()}
    assert unfold_batch_norms(network, [images]) == 2
    assert all(torch.equal(value, kept[name]) for name, value in network[4].state_dict().items())
    assert unfold_batch_norms(network, [images]) == 0, "what is unfolded is not unfolded again"


def test_measuring_leaves_no_hook_behind_even_when_an_image_fails() -> None:
    network = _folded_network()
    with pytest.raises(RuntimeError):
        unfold_batch_norms(network, [torch.rand(1, 7, 16, 16)])
    assert not any(module._forward_pre_hooks for module in network.modules())


# --- copying --------------------------------------------------------------------------------------------------------


def test_values_are_copied_where_name_and_shape_agree() -> None:
    first, second = nn.Linear(2, 3), nn.Linear(3, 2)
    before = second.weight.clone()
    state = {"0.weight": torch.ones(3, 2, dtype=torch.float16), "1.weight": torch.ones(2, 5), "2.bias": torch.ones(3)}
    assert load_matching(nn.Sequential(first, second), state) == {"0.weight"}
    assert torch.equal(first.weight, torch.ones(3, 2))
    assert first.weight.dtype == torch.float32
    assert torch.equal(second.weight, before)


def _write_folded_yolo11n(path: Path) -> YoloA:
    source = YoloA(80, parts=())
    _fold(source)
    torch.save({name: value.half() for name, value in source.state_dict().items()}, path)
    source.eval()
    return source


@torch.no_grad()
def test_layers_shared_with_yolo11n_start_from_its_weights(tmp_path: Path) -> None:
    source = _write_folded_yolo11n(tmp_path / "coco.pth")
    network = YoloA(2).eval()
    own = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.rand(2, 3, 64, 64)
    share = start_from_coco(network, tmp_path / "coco.pth", [images])
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, own[name])}
    assert 0.2 < share < 0.5
    assert {int(name.split(".")[1]) for name in changed} == {0, 1, 2, 3, 4, 5, 7, 10, 13, 16, 17, 19, 20, 22, 23}
    for layer in range(6):  # up to the first layer of our own
        source_map, our_map = (net.model[: layer + 1](images) for net in (source, network))
        assert largest_difference(our_map, source_map) < 0.02 * float(source_map.abs().max()), "half precision"


@pytest.mark.parametrize("what", ["another network", "nothing in common", "a list", "a text", "an empty file"])
def test_a_file_that_is_not_yolo11n_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "weights.pth"
    contents: dict[str, Any] = {"nothing in common": {"weight": torch.ones(3), "epoch": 4}, "a list": [1, 2]}
    if what == "another network":
        torch.save(YoloA(80).state_dict(), path)
    elif what in contents:
        torch.save(contents[what], path)
    else:
        path.write_text("hello" if what == "a text" else "", encoding="utf-8")
    with pytest.raises(ValueError, match=r"weights\.pth (fits \d+ of 499 tensors of YOLO11n|is no file of plain)"):
        start_from_coco(YoloA(2), path, [])


def test_missing_weights_are_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"coco\.pth"):
        start_from_coco(YoloA(2), tmp_path / "coco.pth", [])


@torch.no_grad()
def test_the_real_coco_weights_keep_their_function_and_gain_statistics(data: Path) -> None:
    coco = data / "weights" / "yolo11n_coco_dequant_fp16_statedict.pth"
    plain, images = YoloA(80, parts=()).eval(), torch.rand(2, 3, 96, 96)
    load_matching(plain, torch.load(coco, weights_only=True))
    expected = [plain.model[: layer + 1](images) for layer in range(6)]
    network = YoloA(2).eval()
    assert 0.2 < start_from_coco(network, coco, [images]) < 0.5
    for layer, source_map in enumerate(expected):
        ours = network.model[: layer + 1](images)
        assert largest_difference(ours, source_map) < 1e-3 * float(source_map.abs().max())
    stem = network.model[0].bn
    assert float(stem.running_mean.abs().max()) > 0.01
    assert float((stem.running_var - 0.999).abs().max()) > 0.01


def test_a_layer_is_copied_whole_or_not_at_all() -> None:
    """Statistics of another layer's convolution would be worse than none."""
    ours, theirs = (nn.ModuleDict({"a": Conv(2, 4, k), "b": Conv(4, 4, 3)}) for k in (1, 3))
    copied = load_matching(ours, stir(theirs).state_dict())
    assert {name.split(".")[0] for name in copied} == {"b"}
    assert torch.equal(ours.state_dict()["b.bn.weight"], theirs.state_dict()["b.bn.weight"])


# --- checkpoints ----------------------------------------------------------------------------------------------------

CONTENT = {"epoch": 3, "settings": {"labels": ("apple",), "rate": 0.1}, "model": {"weight": torch.arange(4.0)}}


def test_a_checkpoint_gives_back_what_was_put_in(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", CONTENT)
    content = read_checkpoint(tmp_path / "last.pt")
    assert content["epoch"] == 3
    assert content["settings"] == {"labels": ("apple",), "rate": 0.1}
    assert torch.equal(content["model"]["weight"], torch.arange(4.0))
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_write_that_is_interrupted_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT)

    def half_a_write(_content: object, target: Path) -> None:
        target.write_bytes(path.read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half_a_write)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {**CONTENT, "epoch": 4})
    assert read_checkpoint(path)["epoch"] == 3


def _damage(path: Path, how: str) -> None:
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "a pickled network":
        torch.save({"format": 1, "model": nn.Linear(2, 2)}, path)
    elif how == "another format":
        torch.save({"format": 2, "model": {}}, path)
    elif how == "plain weights":
        torch.save({"weight": torch.ones(2)}, path)
    elif how == "a lone tensor":
        torch.save(torch.ones(2), path)
    else:
        path.write_bytes({"a picture": b"\x89PNG\r\n\x1a\n" + bytes(40), "empty": b""}[how])


@pytest.mark.parametrize(
    "how",
    ["cut short", "a pickled network", "another format", "plain weights", "a lone tensor", "a picture", "empty"],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, how: str) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT)
    _damage(path, how)
    with pytest.raises(ValueError, match=r"last\.pt is no (detector checkpoint of format 1|file of plain weights)"):
        read_checkpoint(path)


def test_a_missing_checkpoint_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"last\.pt"):
        read_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize(("labels", "parts"), [(LABELS, PARTS), (("apple",), ("fsppf",))], ids=["full", "reduced"])
@torch.no_grad()
def test_a_detector_comes_back_with_its_averaged_weights_ready_to_predict(
    tmp_path: Path, labels: tuple[str, ...], parts: tuple[Any, ...]
) -> None:
    network = stir(YoloA(len(labels), parts)).eval()
    averaged = network.state_dict()
    trained = {name: torch.zeros_like(value) for name, value in averaged.items()}
    settings = {"labels": labels, "parts": parts, "epochs": 7}
    save_checkpoint(tmp_path / "best.pt", {"settings": settings, "averaged": averaged, "model": trained})
    again, found = load_detector(tmp_path / "best.pt")
    assert found == settings
    assert again.names == dict(enumerate(labels))
    assert not again.training
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(again(image)[0], network(image)[0])
