"""YOLO-A light: YOLO11n with F-SPPF, without what costs a processor more than it finds.

What goes of YOLO-A, after measuring networks trained alike: GLICM and IAFM, which find no more fruit here and take
nearly half of the time. What goes of YOLO11n: the coarsest of the three output levels, whose cells of 32 px are larger
than most fruit, and half of the finest level's box branch.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from ultralytics.nn.modules import Conv, Detect

from models.detection.yolo_a import YoloA
from models.labelled_photos import LABELS

# layers that only the coarsest output level needs; the levels that are left, their channels and cell sizes in px
_COARSEST = (20, 21, 22)
_HEAD = 23
_LEVELS = {16: (64, 8), 19: (128, 16)}
_FINEST_BOX_WIDTH = 32


class YoloALight(YoloA):
    """The light form of YOLO-A, with two output levels.

    Args:
        nc: number of classes.
    """

    def __init__(self, nc: int = len(LABELS)) -> None:
        super().__init__(nc, parts=("fsppf",))
        layers = cast("nn.Sequential", self.model)
        head = _light_head(cast("Detect", layers[_HEAD]))
        self.replace_layers({**{index: nn.Identity() for index in _COARSEST}, _HEAD: head})
        for index in _COARSEST:  # each reads the layer before it alone
            layers[index].f = -1  # type: ignore[assignment]
        head.f = list(_LEVELS)
        self.stride = head.stride


def _light_head(original: Detect) -> Detect:
    """A head for two levels; each layer keeps the name it has in YOLO11n."""
    head = Detect(original.nc, original.reg_max, ch=[channels for channels, _ in _LEVELS.values()])
    channels, outputs = _LEVELS[16][0], 4 * head.reg_max
    head.cv2[0] = nn.Sequential(
        Conv(channels, _FINEST_BOX_WIDTH, 3),
        Conv(_FINEST_BOX_WIDTH, _FINEST_BOX_WIDTH, 3),
        nn.Conv2d(_FINEST_BOX_WIDTH, outputs, 1),
    )
    head.stride = torch.tensor([float(cell) for _, cell in _LEVELS.values()])
    head.bias_init()
    return head
