"""Size and cost of a detector, by the convention of the apple framework's Table 14 and by an honest count.

The paper's table is reproduced to its printed digits when a model has 80 classes, is fused, and only convolution
modules are counted (2 operations a multiply-add) at 640 x 640. That leaves out functional convolutions, matrix
products and the scan, so the operator count is given beside it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from ultralytics.nn.tasks import DetectionModel

from models.detection.ss2d import SS2D
from models.detection.yolo_a import parameter_count, quiet

# multiply, add and exponential work per state and step of the recurrence, a multiply-add counted as two
_SCAN_FLOPS_PER_STATE_STEP = 9


@dataclass(frozen=True)
class Cost:
    """What a network weighs and what one image costs.

    Attributes:
        parameters: values as trained.
        fused_parameters: values after ultralytics' own fusing of convolutions with their normalisations.
        table_gflops: Conv2d modules only, fused (the paper's convention).
        operator_gflops: every convolution and matrix product, functional ones included, plus the scans by formula.
    """

    parameters: int
    fused_parameters: int
    table_gflops: float
    operator_gflops: float


@torch.no_grad()
def measure(model: DetectionModel, image_px: int = 640) -> Cost:
    """Count a detection model's parameters and operations on one square image."""
    trained = parameter_count(model)
    model = copy.deepcopy(model).float().eval()
    with quiet():
        model.fuse(verbose=False)
    image = torch.zeros(1, 3, image_px, image_px)
    operations = {"convolution": 0, "scan": 0}

    def count_convolution(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        height, width = module.kernel_size
        operations["convolution"] += 2 * output.numel() * (module.in_channels // module.groups) * height * width

    def count_scan(module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(module, SS2D)
        positions = inputs[0].shape[-2] * inputs[0].shape[-1]
        states = module.DIRECTIONS * module.inner * module.state_size
        operations["scan"] += _SCAN_FLOPS_PER_STATE_STEP * states * positions

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count_convolution)
        elif isinstance(module, SS2D):
            module.register_forward_hook(count_scan)
    with FlopCounterMode(display=False) as counter:
        model(image)
    return Cost(
        parameters=trained,
        fused_parameters=parameter_count(model),
        table_gflops=operations["convolution"] / 1e9,
        operator_gflops=(counter.get_total_flops() + operations["scan"]) / 1e9,
    )
