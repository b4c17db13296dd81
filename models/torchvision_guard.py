"""Let torchvision import beside a torch build that lacks its compiled operators.

A torchvision wheel built for CUDA refuses to import beside a CPU build of torch with
``RuntimeError: operator torchvision::nms does not exist``, and ultralytics, timm and lightning fail with it.
Pomona only needs non-maximum suppression from it, which is a few lines of plain torch.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch
from torch import Tensor

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
# A library object registers its operators for as long as it lives.
_libraries: list[Any] = []


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression in plain torch.

    Args:
        boxes: (N, 4) corners x1, y1, x2, y2.
        scores: (N,) one score a box.
        iou_threshold: boxes overlapping a kept box by more than this are dropped.

    Returns:
        Indices of the kept boxes (int64), best score first.
    """
    x1, y1, x2, y2 = boxes.unbind(1)
    areas = (x2 - x1) * (y2 - y1)
    order = scores.argsort(descending=True, stable=True)
    kept: list[Tensor] = []
    while order.numel():
        best, rest = order[0], order[1:]
        kept.append(best)
        width = (torch.minimum(x2[best], x2[rest]) - torch.maximum(x1[best], x1[rest])).clamp(min=0)
        height = (torch.minimum(y2[best], y2[rest]) - torch.maximum(y1[best], y1[rest])).clamp(min=0)
        overlap = width * height
        # 0/0 of boxes without area is no overlap: such boxes stay, as with torchvision's own operator
        order = rest[~(overlap / (areas[best] + areas[rest] - overlap) > iou_threshold)]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64, device=boxes.device)


def mend_torchvision() -> bool:
    """Import torchvision, supplying its missing operators when that is what stops it.

    Returns:
        True when the operators had to be supplied, False when torchvision works by itself.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: torchvision fails for any other reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    make_library: Any = torch.library.Library
    library = make_library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl(name, nms, "CPU")
    _libraries.append(library)
    importlib.import_module("torchvision")
    extension: Any = importlib.import_module("torchvision.extension")
    extension._has_ops = lambda: True
    return True
