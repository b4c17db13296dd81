"""Structured pruning: YOLO-A light out of a trained YOLO-A, ablation of it, or YOLO11n.

Whole channels go, so that what is left is a smaller dense network. Those stay through which most passes: the norm of a
channel's incoming weights, as its normalisation scales them, times that of its outgoing ones (after Li et al., ICLR
2017). What the light form has in full is copied. The result is a start to train from, not a finished network.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv, Detect

from models.detection.start_weights import load_matching
from models.detection.yolo_a import YoloA
from models.detection.yolo_a_light import YoloALight


@torch.no_grad()
def prune_to_light(trained: YoloA) -> YoloALight:
    """Start the light form from a trained network that has its layers.

    Args:
        trained: YOLO-A with any of its parts. A layer of another kind than the light form's leaves that one at its
            initial values.

    Returns:
        The light form in training mode.
    """
    large = cast("nn.Sequential", trained.model)
    light = YoloALight(int(large[-1].nc))  # type: ignore[arg-type]
    load_matching(light, trained.state_dict())
    _prune_box_branch(*(cast("Detect", layers[-1]).cv2[0] for layers in (large, light.model)))
    light.names = trained.names
    return light


def _strongest(importance: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest values, in their own order."""
    return importance.topk(count).indices.sort().values


def _incoming(weight: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return norms


def _normalised(conv: Conv) -> Tensor:
    """Norms of what goes into each channel, behind the normalisation."""
    norm = conv.bn
    scale: Tensor = norm.weight / (norm.running_var + norm.eps).sqrt()
    return _incoming(conv.conv.weight) * scale.abs()


def _outgoing(weight: Tensor) -> Tensor:
    return _incoming(weight.transpose(0, 1))


def _copy(target: Tensor, source: Tensor, *kept: Tensor | None) -> None:
    """Copy ``source`` into ``target``, only the kept indices of each axis (None: all)."""
    for axis, indices in enumerate(kept):
        if indices is not None:
            source = source.index_select(axis, indices)
    target.copy_(source)


def _copy_norm(target: nn.BatchNorm2d, source: nn.BatchNorm2d, kept: Tensor) -> None:
    for name in ("weight", "bias", "running_mean", "running_var"):
        _copy(getattr(target, name), getattr(source, name), kept)


def _copy_conv(target: Conv, source: Conv, out: Tensor | None, into: Tensor | None) -> None:
    """A convolution with its normalisation; a depthwise one has a single input channel, which stays."""
    _copy(target.conv.weight, source.conv.weight, out, into)
    if out is not None:
        _copy_norm(target.bn, source.bn, out)


def _prune_box_branch(source: nn.Sequential, target: nn.Sequential) -> None:
    first, second = cast("Conv", source[0]), cast("Conv", source[1])
    last, new_last = (cast("nn.Conv2d", branch[2]) for branch in (source, target))
    width = new_last.in_channels
    early = _strongest(_normalised(first) * _outgoing(second.conv.weight), width)
    late = _strongest(_normalised(second) * _outgoing(last.weight), width)
    _copy_conv(cast("Conv", target[0]), first, early, None)
    _copy_conv(cast("Conv", target[1]), second, late, early)
    _copy(new_last.weight, last.weight, None, late)
    cast("Tensor", new_last.bias).copy_(cast("Tensor", last.bias))
