"""Networks by name: each can be built, trained in low precision, saved and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from models.detection.meter import measure
from models.detection.networks import ABLATIONS, NETWORKS, PEERS, build_network, network_of, use_low_precision
from models.detection.start_weights import load_detector, save_checkpoint
from models.detection.train import DetectorTraining, train
from models.detection.yolo_a import PARTS, YoloA, parameter_count
from tests.models.drawn_photos import Square, draw_photo
from tests.models.networks import stir

# the paper's Table 14: millions of parameters and GFLOPs, by its own convention
TABLE_14 = {
    "yolov5n": (2.65, 7.73),
    "yolov6n": (4.49, 13.0),
    "yolov8n": (3.15, 8.75),
    "yolov9t": (2.09, 8.23),
    "yolo11n": (2.62, 6.48),
    "yolo12n": (2.59, 6.49),
    "yolo-a": (3.94, 7.8),
}


@pytest.mark.parametrize("name", TABLE_14)
def test_each_network_has_the_size_the_paper_prints(name: str) -> None:
    cost = measure(build_network(name, 80))
    millions, gflops = TABLE_14[name]
    assert cost.fused_parameters / 1e6 == pytest.approx(millions, abs=0.006)
    assert cost.table_gflops == pytest.approx(gflops, rel=0.01)


def test_the_comparison_is_complete() -> None:
    assert {"yolo-a", *PEERS, *ABLATIONS, "rtdetr-l"} <= set(NETWORKS)
    assert len(ABLATIONS) == 2 ** len(PARTS) - 2, "all but none and all"


def test_an_ablation_has_the_modules_its_name_says() -> None:
    network = build_network("yolo-a-glicm-iafm")
    assert isinstance(network, YoloA)
    assert network.parts == ("glicm", "iafm")
    assert parameter_count(network) == parameter_count(YoloA(2, ("glicm", "iafm")))


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(ValueError, match="there is no network yolo13n; known are yolo-a, yolo-a-light, yolo-a-glicm"):
        build_network("yolo13n")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"network": "yolov8n"}, "yolov8n"),
        ({"parts": PARTS}, "yolo-a"),
        ({"parts": ()}, "yolo11n"),
        ({"parts": ("iafm", "glicm")}, "yolo-a-glicm-iafm"),
        ({"parts": ["fsppf"]}, "yolo-a-fsppf"),
    ],
)
def test_settings_name_a_network_those_of_earlier_versions_too(settings: dict[str, object], name: str) -> None:
    assert network_of(settings) == name


def test_a_checkpoint_of_an_earlier_version_is_still_read(tmp_path: Path) -> None:
    network = stir(YoloA(2, ("glicm",))).eval()
    settings = {"labels": ("apple", "apple_flower"), "parts": ("glicm",)}
    save_checkpoint(tmp_path / "best.pt", {"settings": settings, "averaged": network.state_dict()})
    again, _ = load_detector(tmp_path / "best.pt")
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(again(image)[0], network(image)[0])


# --- low precision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["yolo-a", "yolov10n", "rtdetr-l"])
def test_low_precision_is_inside_the_training_pass_only(name: str) -> None:
    network = build_network(name)
    use_low_precision(network)
    seen: list[torch.dtype] = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda *arguments: seen.append(arguments[-1].dtype))
    out = network.train()(torch.rand(2, 3, 64, 64))
    assert {value.dtype for value in _tensors(out)} == {torch.float32}
    assert network.eval()(torch.rand(1, 3, 64, 64))[0].dtype == torch.float32
    assert seen == [torch.bfloat16, torch.float32]


def _tensors(values: object) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        return [tensor for value in values.values() for tensor in _tensors(value)]
    if isinstance(values, list | tuple):
        return [tensor for value in values for tensor in _tensors(value)]
    return []


def test_the_decoder_that_refines_coordinates_stays_in_single_precision() -> None:
    network = build_network("rtdetr-l")
    use_low_precision(network)
    seen: list[torch.dtype] = []
    network.model[-1].enc_output.register_forward_hook(lambda *arguments: seen.append(arguments[-1].dtype))
    network.train()(torch.rand(2, 3, 64, 64))
    assert seen == [torch.float32]


# --- training -------------------------------------------------------------------------------------------------------


def _train(folder: Path, name: str) -> DetectorTraining:
    for photo in ("a_17kv10r1k.png", "b_17kv1r4k.png"):
        draw_photo(folder / "photos", "trees", photo, (96, 96), [Square(20, 30, 16, 16), Square(60, 50, 20, 20)])
    settings = DetectorTraining(
        data=folder / "photos",
        output=folder / "run",
        network=name,
        labels=("apple",),
        epochs=1,
        crops_per_epoch=4,
        batch=2,
        image_px=64,
        low_precision=True,
    )
    train(settings)
    return settings


@pytest.mark.parametrize(
    "name",
    ["yolov10n", *(pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS if n not in {"yolov10n", "yolo-a"})],
)
def test_each_network_trains_and_comes_back(tmp_path: Path, name: str) -> None:
    settings = _train(tmp_path, name)
    network, found = load_detector(settings.output / "weights" / "last.pt")
    assert found["network"] == name
    assert type(network) is type(build_network(name, 1))
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    assert (settings.output / "results.html").exists()


def test_rt_detr_knows_what_its_loss_asks_for() -> None:
    assert build_network("rtdetr-l", nc=3).init_criterion().nc == 3
