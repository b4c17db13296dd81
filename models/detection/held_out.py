"""Validators that remember what was found in each square of the held-out photos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from ultralytics.models.rtdetr import RTDETRValidator
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel


@dataclass(frozen=True)
class SquareResult:
    """What was found in one square.

    Attributes:
        boxes: (N, 4) corners of the detections in pixels of the square.
        scores: (N,) their scores.
        classes: (N,) their labels.
        matched: (N,) whether each found a label of its own, at an overlap of one half.
        labels: (M, 4) corners of the labelled objects.
        label_classes: (M,) their labels.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    matched: NDArray[np.bool_]
    labels: NDArray[np.float32]
    label_classes: NDArray[np.int64]


@dataclass
class HeldOutRecord:
    """The last validation's squares, in the order of the data set."""

    squares: list[SquareResult] = field(default_factory=list)

    def threshold(self, label: int) -> float:
        """The score from which as many objects of a label are found as are labelled; 0 where fewer are found."""
        scores = np.sort(np.concatenate([s.scores[s.classes == label] for s in self.squares]))[::-1]
        labelled = sum(int((s.label_classes == label).sum()) for s in self.squares)
        return float(scores[labelled - 1]) if 0 < labelled <= len(scores) else 0.0 if labelled else 1.0

    def precision_recall(self, label: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision and recall of one label at every score, from the highest down; empty without labels."""
        labelled = sum(int((s.label_classes == label).sum()) for s in self.squares)
        scores = np.concatenate([s.scores[s.classes == label] for s in self.squares])
        matched = np.concatenate([s.matched[s.classes == label] for s in self.squares])
        hits = np.cumsum(matched[np.argsort(-scores, kind="stable")]).astype(np.float64)
        if not labelled:
            return np.zeros(0), np.zeros(0)
        return hits / np.arange(1, len(hits) + 1), hits / labelled


class _Recording(DetectionValidator):  # type: ignore[misc]
    record: HeldOutRecord

    def init_metrics(self, model: Any) -> None:
        super().init_metrics(model)
        self.record = HeldOutRecord()

    def _process_batch(self, preds: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, NDArray[np.bool_]]:
        result: dict[str, NDArray[np.bool_]] = super()._process_batch(preds, batch)
        self.record.squares.append(
            SquareResult(
                boxes=preds["bboxes"].cpu().numpy().astype(np.float32),
                scores=preds["conf"].cpu().numpy().astype(np.float32),
                classes=preds["cls"].cpu().numpy().astype(np.int64),
                matched=result["tp"][:, 0].astype(np.bool_),
                labels=batch["bboxes"].cpu().numpy().astype(np.float32).reshape(-1, 4),
                label_classes=batch["cls"].cpu().numpy().astype(np.int64).reshape(-1),
            )
        )
        return result


class _RecordingRtDetr(_Recording, RTDETRValidator):  # type: ignore[misc]
    pass


def make_validator(
    model: DetectionModel, loader: DataLoader[Any], folder: Path, arguments: Any, callbacks: dict[str, Any]
) -> Any:
    """The validator that reads a network's output, with what it found in ``record``."""
    kind = _RecordingRtDetr if isinstance(model, RTDETRDetectionModel) else _Recording
    return kind(loader, save_dir=folder, args=arguments, _callbacks=callbacks)
