"""Starting detectors from COCO weights of YOLO11n, and their checkpoints (state dicts with their settings)."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel

from models.detection.networks import build_network, network_of
from models.detection.yolo_a import YoloA, parameter_count

CHECKPOINT_FORMAT = 1


def unfold_batch_norms(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Give normalisations that were folded into their convolutions true statistics again, keeping the function.

    A folded layer computes s·x + β with s = 1/√(var + ε), close to 1: its normalisation does next to nothing, but
    training would replace it by batch statistics and so destroy the pretrained scale. Measuring mean μ and variance
    σ² of x on real images and setting γ = s·√(σ² + ε), bias = β + s·μ gives the same outputs and the statistics
    training expects.

    Args:
        model: network in which some layers are folded (mean 0, γ 1); left in evaluation mode.
        batches: images (B, 3, H, W) in 0–1 to measure on.

    Returns:
        How many layers were unfolded.
    """
    folded = [
        module
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
        and not torch.any(module.running_mean != 0)  # type: ignore[arg-type]
        and torch.all(module.weight == 1)
    ]
    sums: dict[nn.BatchNorm2d, tuple[Tensor, Tensor, int]] = {}

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        x = inputs[0].double()
        total, squares, count = sums.get(module, (torch.zeros(()), torch.zeros(()), 0))
        values = x.numel() // x.shape[1]
        sums[module] = (total + x.sum((0, 2, 3)), squares + x.square().sum((0, 2, 3)), count + values)

    hooks = [module.register_forward_pre_hook(add) for module in folded]
    model.eval()
    with torch.no_grad():
        try:
            for images in batches:
                model(images)
        finally:
            for hook in hooks:
                hook.remove()
        for module, (total, squares, count) in sums.items():
            assert module.running_mean is not None
            assert module.running_var is not None
            mean = total / count
            variance = (squares / count - mean.square()).clamp(min=0)
            gain = torch.rsqrt(module.running_var.double() + module.eps)
            module.bias.copy_(module.bias + gain * mean)
            module.weight.copy_(gain * torch.sqrt(variance + module.eps))
            module.running_mean.copy_(mean)
            module.running_var.copy_(variance)
    return len(sums)


def _layer_of(name: str) -> str:
    """The layer a value belongs to: a convolution and its normalisation are one."""
    layer = name.rsplit(".", 1)[0]
    return layer.removesuffix(".conv").removesuffix(".bn")


def load_matching(model: nn.Module, state: dict[str, Tensor]) -> set[str]:
    """Copy every layer of ``state`` that the model has by name and shape, whole or not at all.

    Returns:
        Names of the values copied.
    """
    own = model.state_dict()
    fits = {name for name, value in state.items() if name in own and own[name].shape == value.shape}
    misfits = {_layer_of(name) for name in own.keys() & state.keys() - fits}
    chosen = {name for name in fits if _layer_of(name) not in misfits}
    model.load_state_dict({name: state[name].to(own[name].dtype) for name in chosen}, strict=False)
    return chosen


def start_from_coco(model: DetectionModel, weights: Path, batches: Iterable[Tensor]) -> float:
    """Initialise the layers that a detector shares with YOLO11n, by name and shape, from its folded COCO weights.

    Args:
        model: network to initialise, changed in place.
        weights: state dict of YOLO11n with 80 classes, batch normalisation folded.
        batches: a few batches of training images, to give the normalisations statistics.

    Returns:
        Share of the model's trainable values that were copied, 0 to 1.

    Raises:
        ValueError: the file does not hold YOLO11n's weights.
    """
    source = YoloA(80, parts=())
    state = _load_tensors(weights)
    copied = load_matching(source, {name: value for name, value in state.items() if isinstance(value, Tensor)})
    if len(copied) < len(source.state_dict()) - 1:  # the constant of the distribution head may be absent
        raise ValueError(
            f"{weights} fits {len(copied)} of {len(source.state_dict())} tensors of YOLO11n; is it another network?"
        )
    unfold_batch_norms(source, batches)
    shared = load_matching(model, source.state_dict())
    values = sum(int(value.numel()) for name, value in model.named_parameters() if name in shared)
    return values / parameter_count(model)


def _load_tensors(path: Path) -> dict[str, Any]:
    """Read a file of tensors and plain values.

    Raises:
        FileNotFoundError: no such file.
        ValueError: anything else than such a file, whole networks in pickled classes included.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(f"{path} is no file of plain weights: it is damaged, of another kind, or pickled") from error
    return content if isinstance(content, dict) else {}  # a lone tensor has no names


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint so that a killed process leaves the old one or the new one, never half of one."""
    partial = path.with_suffix(".partial")
    torch.save({"format": CHECKPOINT_FORMAT, **content}, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, or another format.
    """
    content = _load_tensors(path)
    if content.get("format") != CHECKPOINT_FORMAT:
        raise ValueError(f"{path} is no detector checkpoint of format {CHECKPOINT_FORMAT}")
    return content


def load_detector(path: Path) -> tuple[DetectionModel, dict[str, Any]]:
    """Rebuild the network of a checkpoint with its averaged weights, in evaluation mode.

    Returns:
        The network and the settings it was trained with.
    """
    content = read_checkpoint(path)
    settings: dict[str, Any] = content["settings"]
    model = build_network(network_of(settings), len(settings["labels"]))
    model.load_state_dict(content["averaged"])
    model.names = dict(enumerate(settings["labels"]))
    return model.float().eval(), settings
