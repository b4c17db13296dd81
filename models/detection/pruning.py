"""Structured pruning: YOLO-A light out of a trained YOLO-A.

Whole channels go, so that what is left is a smaller dense network. Those stay through which most passes: the product
of the norms of a channel's incoming and outgoing weights (after Li et al., ICLR 2017). What the light form has in full
is copied, static kernels keep their middle. The result is a start to train from, not a finished network.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from ultralytics.nn.modules import Conv, Detect

from models.detection.glicm import GLICM
from models.detection.iafm import IAFM
from models.detection.ss2d import SS2D
from models.detection.start_weights import load_matching
from models.detection.yolo_a import PARTS, YoloA
from models.detection.yolo_a_light import YoloALight


@torch.no_grad()
def prune_to_light(trained: YoloA) -> YoloALight:
    """Start the light form from a trained YOLO-A.

    Args:
        trained: with all its parts.

    Returns:
        The light form in training mode.

    Raises:
        ValueError: a network that lacks parts of YOLO-A.
    """
    if set(trained.parts) != set(PARTS):
        raise ValueError(f"pruning starts from a whole YOLO-A, this one has {', '.join(trained.parts) or 'no part'}")
    light = YoloALight(int(cast("nn.Sequential", trained.model)[-1].nc))  # type: ignore[arg-type]
    load_matching(light, trained.state_dict())
    large, small = cast("nn.Sequential", trained.model), cast("nn.Sequential", light.model)
    for index in range(len(small)):
        source, target = large[index], small[index]
        if isinstance(target, GLICM):
            _prune_glicm(cast("GLICM", source), target)
        elif isinstance(target, IAFM):
            target.static.copy_(_middle(cast("IAFM", source).static, target.static.shape[-1]))
    _prune_box_branch(*(cast("Detect", layers[-1]).cv2[0] for layers in (large, small)))
    light.names = trained.names
    return light


def _middle(kernel: Tensor, size: int) -> Tensor:
    edge = (kernel.shape[-1] - size) // 2
    return kernel[..., edge : edge + size, edge : edge + size]


def _strongest(importance: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` largest values, in their own order."""
    return importance.topk(count).indices.sort().values


def _incoming(weight: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return norms


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


def _prune_glicm(source: GLICM, target: GLICM) -> None:
    channels = _strongest(
        _incoming(source.reduce.conv.weight) * _outgoing(source.expand.conv.weight), target.reduce.conv.out_channels
    )
    _copy_conv(target.reduce, source.reduce, channels, None)
    _copy_conv(target.local_depthwise, source.local_depthwise, channels, None)
    _copy_conv(target.local_pointwise, source.local_pointwise, channels, channels)
    _copy_conv(target.expand, source.expand, None, channels)
    target.expand.bn.load_state_dict(source.expand.bn.state_dict())
    for norm in ("weight", "bias"):
        _copy(getattr(target.norm, norm), getattr(source.norm, norm), channels)
    for name in ("along_height", "along_width"):
        new, old = getattr(target.attention, name), getattr(source.attention, name)
        _copy(new[0].weight, old[0].weight, channels)
        _copy_norm(new[1], old[1], channels)
    squeeze, excite = source.attention.squeeze, source.attention.excite
    squeezed = _strongest(_incoming(squeeze.weight) * _outgoing(excite.weight), target.attention.squeeze.out_channels)
    _copy(target.attention.squeeze.weight, squeeze.weight, squeezed, channels)
    _copy(cast("Tensor", target.attention.squeeze.bias), cast("Tensor", squeeze.bias), squeezed)
    _copy(target.attention.excite.weight, excite.weight, channels, squeezed)
    _copy(cast("Tensor", target.attention.excite.bias), cast("Tensor", excite.bias), channels)
    _prune_scan(source.ss2d, target.ss2d, channels)


def _prune_scan(source: SS2D, target: SS2D, channels: Tensor) -> None:
    inner = _strongest(_incoming(source.in_proj.weight) * _outgoing(source.out_proj.weight), target.inner)
    steps = _incoming(source.x_proj_weight[:, : source.rank].transpose(0, 1))
    ranks = _strongest(steps * _outgoing(source.dt_proj_weight.flatten(0, 1)), target.rank)
    rows = torch.cat((ranks, torch.arange(source.rank, source.x_proj_weight.shape[1])))  # B and C of each state stay
    _copy(target.in_proj.weight, source.in_proj.weight, inner, channels)
    _copy(target.dwconv.weight, source.dwconv.weight, inner)
    _copy(target.out_proj.weight, source.out_proj.weight, channels, inner)
    _copy(target.x_proj_weight, source.x_proj_weight, None, rows, inner)
    _copy(target.dt_proj_weight, source.dt_proj_weight, None, inner, ranks)
    for name in ("dt_proj_bias", "A_log", "D_skip"):
        _copy(getattr(target, name), getattr(source, name), None, inner)
    for norm in ("weight", "bias"):
        _copy(getattr(target.norm, norm), getattr(source.norm, norm), inner)


def _prune_box_branch(source: nn.Sequential, target: nn.Sequential) -> None:
    first, second = cast("Conv", source[0]), cast("Conv", source[1])
    last, new_last = (cast("nn.Conv2d", branch[2]) for branch in (source, target))
    width = new_last.in_channels
    early = _strongest(_incoming(first.conv.weight) * _outgoing(second.conv.weight), width)
    late = _strongest(_incoming(second.conv.weight) * _outgoing(last.weight), width)
    _copy_conv(cast("Conv", target[0]), first, early, None)
    _copy_conv(cast("Conv", target[1]), second, late, early)
    _copy(new_last.weight, last.weight, None, late)
    cast("Tensor", new_last.bias).copy_(cast("Tensor", last.bias))
