"""Detectors by name: YOLO-A, its ablations, and the peers that the apple framework's paper compares it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from ultralytics.nn.modules import RTDETRDecoder
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

from models.detection.yolo_a import PARTS, Part, YoloA, quiet
from models.detection.yolo_a_light import YoloALight
from models.labelled_photos import LABELS

# which modules of YOLO-A each of its ablations keeps, in the order of the paper's Table 13
ABLATIONS: dict[str, tuple[Part, ...]] = {
    "yolo-a-glicm": ("glicm",),
    "yolo-a-fsppf": ("fsppf",),
    "yolo-a-iafm": ("iafm",),
    "yolo-a-glicm-fsppf": ("glicm", "fsppf"),
    "yolo-a-glicm-iafm": ("glicm", "iafm"),
    "yolo-a-fsppf-iafm": ("fsppf", "iafm"),
}
PEERS = ("yolov5n", "yolov6n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n")


def _yolo(name: str, nc: int) -> DetectionModel:
    with quiet():
        return DetectionModel(f"{name}.yaml", ch=3, nc=nc, verbose=False)


def _rtdetr(nc: int) -> DetectionModel:
    with quiet():
        network = RTDETRDetectionModel("rtdetr-l.yaml", ch=3, nc=nc, verbose=False)
    network.nc = nc  # its loss asks the network, which has it from a trainer as a rule
    return network


_BUILDERS: dict[str, Callable[[int], DetectionModel]] = {
    "yolo-a": YoloA,
    "yolo-a-light": YoloALight,
    **{name: partial(YoloA, parts=parts) for name, parts in ABLATIONS.items()},
    **{name: partial(_yolo, name) for name in PEERS},
    "yolo11n": partial(YoloA, parts=()),
    "rtdetr-l": _rtdetr,
}
NETWORKS = tuple(_BUILDERS)


def build_network(name: str, nc: int = len(LABELS)) -> DetectionModel:
    """A detector with initial values.

    The paper names RT-DETR with a ResNet34 in front; ultralytics has it with HGNetv2 (``rtdetr-l``), of the same size.

    Args:
        name: one of :data:`NETWORKS`.
        nc: number of classes.

    Raises:
        ValueError: an unknown name.
    """
    if name not in _BUILDERS:
        raise ValueError(f"there is no network {name}; known are {', '.join(NETWORKS)}")
    network = _BUILDERS[name](nc)
    network.names = dict(enumerate(LABELS)) if nc == len(LABELS) else {i: f"{i}" for i in range(nc)}
    return network


def network_of(settings: Mapping[str, Any]) -> str:
    """Which network a checkpoint's settings name; earlier ones list the parts of YOLO-A instead."""
    if "network" in settings:
        return str(settings["network"])
    parts = tuple(part for part in PARTS if part in settings["parts"])
    return next((name for name, kept in ABLATIONS.items() if kept == parts), "yolo-a" if parts else "yolo11n")


class _LowPrecision(DetectionModel):  # type: ignore[misc]
    """Runs its convolutions in bfloat16 while it is trained; what leaves it is float32."""

    def predict(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if not self.training:
            return super().predict(x, *args, **kwargs)
        with torch.autocast(x.device.type, torch.bfloat16):
            out = super().predict(x, *args, **kwargs)
        return _in_single_precision(out)


class _SinglePrecisionDecoder(RTDETRDecoder):  # type: ignore[misc]
    """RT-DETR's decoder, which refines coordinates: bfloat16 holds those to two pixels in 320 only."""

    def forward(self, x: list[torch.Tensor], batch: dict[str, Any] | None = None) -> Any:
        with torch.autocast(x[0].device.type, enabled=False):
            return super().forward([level.float() for level in x], batch)


def use_low_precision(network: DetectionModel) -> None:
    """Let a detector's training pass run its convolutions in bfloat16."""
    kind = type(network)
    network.__class__ = type(kind.__name__, (_LowPrecision, kind), {})
    head = network.model[-1]
    if isinstance(head, RTDETRDecoder):
        head.__class__ = _SinglePrecisionDecoder


def _in_single_precision(values: Any) -> Any:
    if isinstance(values, torch.Tensor):
        return values.float() if values.is_floating_point() else values
    if isinstance(values, dict):
        return {name: _in_single_precision(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return type(values)(_in_single_precision(value) for value in values)
    return values
