"""YOLO-A light: each module of YOLO-A, without what costs a processor more than it finds.

What goes, measured on one core at 640 px: the expansion of the selective scans and half the width of the second one;
all but the middle 7 x 7 of the static kernels in IAFM; the self-attention of two of its fusions; the coarsest of the
three output levels, whose cells of 32 px are as large as most fruit; half of the finest level's box branch.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from ultralytics.nn.modules import C3k2, Conv, Detect

from models.detection.fsppf import FSPPF
from models.detection.glicm import GLICM
from models.detection.iafm import IAFM
from models.detection.yolo_a import C3K2_LAYERS, YoloA
from models.labelled_photos import LABELS

# layer index in YOLO11n: inputs, common width, fusing width, output channels, pooling of keys and values, static kernel
_IAFM_LAYERS: dict[int, tuple[int, int, int, int, int, int, int]] = {
    12: (256, 128, 64, 128, 128, 2, 7),
    15: (128, 128, 32, 64, 64, 0, 7),
    18: (64, 128, 64, 128, 128, 0, 7),
}
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
        super().__init__(nc, parts=())
        layers = cast("nn.Sequential", self.model)
        head = _light_head(cast("Detect", layers[_HEAD]))
        self.replace_layers(
            {
                6: GLICM(128, 128, channels=64, ratio=1),
                8: GLICM(256, 256, channels=128, ratio=1),
                9: FSPPF(256, 256, hidden=64),
                **{index: IAFM(*sizes) for index, sizes in _IAFM_LAYERS.items()},
                **{index + 1: C3k2(*C3K2_LAYERS[index + 1][:2], 1, False) for index in _IAFM_LAYERS},
                **{index: nn.Identity() for index in _COARSEST},
                _HEAD: head,
            }
        )
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
