"""Let torchvision import beside a torch build that lacks its compiled operators.

A torchvision wheel built for CUDA refuses to import beside a CPU build of torch with
``RuntimeError: operator torchvision::nms does not exist``, and ultralytics, timm and lightning fail with it.
Pomona only needs non-maximum suppression from it, which is a few lines.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
# A library object registers its operators for as long as it lives.
_libraries: list[Any] = []


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression without compiled operators.

    Args:
        boxes: (N, 4) corners x1, y1, x2, y2.
        scores: (N,) one score a box.
        iou_threshold: boxes overlapping a kept box by more than this are dropped.

    Returns:
        Indices of the kept boxes (int64), best score first.
    """
    order = scores.argsort(descending=True, stable=True)
    # NumPy: an untrained detector gives thousands of boxes, and torch takes ten times as long over each small step
    x1, y1, x2, y2 = boxes[order].double().numpy().T
    areas = (x2 - x1) * (y2 - y1)
    alive = np.ones(len(areas), dtype=np.bool_)
    for i in range(len(areas)):
        if not alive[i]:
            continue
        rest = slice(i + 1, None)
        width = np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest])
        height = np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest])
        overlap = width.clip(min=0) * height.clip(min=0)
        # multiplied out: boxes without area overlap nothing and stay, as with torchvision's own operator
        alive[rest] &= overlap <= iou_threshold * (areas[i] + areas[rest] - overlap)
    return order[torch.from_numpy(alive)]


def mend_torchvision() -> bool:
    """Import torchvision, supplying its missing operators when that is what stops it.

    Returns:
        True when the operators had to be supplied, False when torchvision works by itself or is not there: yield
        models do without.

    Raises:
        RuntimeError: torchvision fails for any other reason.
    """
    if importlib.util.find_spec("torchvision") is None:
        return False
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
