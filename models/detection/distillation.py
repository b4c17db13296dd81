"""Distillation: a student learns what a larger trained network sees in the same crops, beside the labels."""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from ultralytics.nn.modules import Detect

from models.detection.settings import DetectorTraining

Predictions = dict[str, Any]

# what the teacher is surer of than this also teaches where the sides lie
_LEAST_SURE = 0.1
# gains of ultralytics' own losses, which the labels keep
_CLASS_GAIN, _SIDES_GAIN = 0.5, 1.5


class Criterion(Protocol):
    """ultralytics' detection loss: sums over the batch of (box, class, sides), and their means by name."""

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare predictions with the labels of a batch."""
        ...


def check_teachable(student: nn.Module, teacher: nn.Module, settings: DetectorTraining) -> None:
    """Make sure that a student's cells are the first of its teacher's.

    Raises:
        ValueError: heads that say other things of a cell, or of other cells.
    """
    heads = [list(cast("nn.Sequential", network.model))[-1] for network in (student, teacher)]
    strides = [cast("Tensor", network.stride).tolist() for network in (student, teacher)]
    plain = all(type(head) is Detect and not head.end2end for head in heads)
    if not plain or strides[1][: len(strides[0])] != strides[0]:
        raise ValueError(
            f"{settings.teacher} cannot teach {settings.network}: both need plain heads with the same finest cells, as "
            "YOLO-A, its light form and ablations, and YOLOv8n to YOLO12n but for v10 have"
        )


class Distillation:
    """The labels' loss, and the distance from what a teacher says of each cell (Hinton et al. 2015; LD, CVPR 2022).

    Class scores by binary cross-entropy with the teacher's, side distributions by Kullback-Leibler divergence where the
    teacher is sure of an object. A student with fewer output levels learns from those that it shares with the teacher.

    Args:
        criterion: the labels' loss.
        teacher: a trained network of the same classes and cell sizes; set to evaluation mode.
        share: weight of the teacher's part beside the labels'.
        low_precision: the teacher runs in bfloat16.
    """

    def __init__(
        self, criterion: Criterion, teacher: nn.Module, share: float = 1.0, *, low_precision: bool = False
    ) -> None:
        self.criterion = criterion
        self.teacher = teacher.eval()
        self.share = share
        self.low_precision = low_precision

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch; outside training, where predictions are decoded, the labels' alone."""
        loss, parts = self.criterion(preds, batch)
        if isinstance(preds, tuple):
            return loss, parts
        images = batch["img"]
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=self.low_precision):
            _, taught = self.teacher(images)
        classes, sides = _distance(preds, taught)
        return loss + self.share * len(images) * torch.stack((loss.new_zeros(()), classes, sides)), parts


def _distance(student: Predictions, teacher: Predictions) -> tuple[Tensor, Tensor]:
    """Class and side distance, each per unit of what the teacher is sure of."""
    cells = student["scores"].shape[-1]
    scores = teacher["scores"][..., :cells].float().sigmoid()  # (B, classes, cells)
    sure = scores.amax(1)
    total = scores.sum().clamp(min=1)
    classes = F.binary_cross_entropy_with_logits(student["scores"], scores, reduction="sum") / total
    where = sure > _LEAST_SURE

    def distributions(raw: Predictions) -> Tensor:
        boxes: Tensor = raw["boxes"][..., :cells].float().permute(0, 2, 1)[where]
        return F.log_softmax(boxes.reshape(len(boxes), 4, boxes.shape[1] // 4), dim=-1)

    apart = F.kl_div(distributions(student), distributions(teacher), reduction="none", log_target=True).sum(-1).mean(-1)
    return _CLASS_GAIN * classes, _SIDES_GAIN * (apart * sure[where]).sum() / total
