"""Networks in a state worth testing: nothing left at the zero or one it was initialised to."""

from __future__ import annotations

from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from models.detection.yolo_a import YoloA

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def stir(network: Network) -> Network:
    """Give normalisations the statistics of a trained network and zero-initialised values something to do."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            cast("Tensor", module.running_mean).normal_(0, 0.2)
            cast("Tensor", module.running_var).uniform_(0.5, 1.5)
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            module.weight.normal_(0, 0.1)
    return network


def largest_difference(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference of two tensors of one shape."""
    assert one.shape == other.shape
    return float((one - other).abs().max())


@torch.no_grad()
def untrained_detector(score_logit: float) -> YoloA:
    """A network of both labels with the statistics of a trained one, that finds something everywhere."""
    torch.manual_seed(0)
    network: YoloA = stir(YoloA(2))
    network.eval()
    for branch in network.model[-1].cv3:
        branch[-1].bias.fill_(score_logit)
    return network
