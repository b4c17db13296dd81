"""The selective scan's recurrence in the form that runs best where its tensors are."""

from __future__ import annotations

from torch import Tensor

from models.detection.scan import scan_two_level
from models.detection.scan_triton import scan_triton, triton_runs


def linear_recurrence(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """h_t = a_t · h_(t-1) + b_t along the last axis, with gradients: one kernel on a GPU, two levels elsewhere.

    Args and result as :func:`models.detection.scan.scan_sequential`.
    """
    return scan_triton(a, b, reverse) if triton_runs(a) else scan_two_level(a, b, reverse)
