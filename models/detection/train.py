"""Training a detector, and resuming a run where its folder stands."""

from __future__ import annotations

from pathlib import Path

from models.detection.settings import HELD_OUT, DetectorTraining, split_photos
from models.detection.trainer import DetectorTrainer, DivergedError, check_begun, epochs_done

__all__ = ["HELD_OUT", "DetectorTraining", "DivergedError", "epochs_done", "split_photos", "train"]


def train(settings: DetectorTraining) -> Path:
    """Train, or resume where the output folder holds an unfinished run; a finished one is left as it is.

    Returns:
        The checkpoint that did best on what is held out.

    Raises:
        FileNotFoundError: no labelled photos, or no such weights.
        ValueError: an unknown network, no photo to train or to validate on, labels or weights that do not follow
            their format, or a folder that holds another run.
        DivergedError: the loss is no longer finite.
    """
    settings.output.mkdir(parents=True, exist_ok=True)
    check_begun(settings)
    if epochs_done(settings.output) < settings.epochs:
        DetectorTrainer(settings).train()
    return settings.output / "weights" / "best.pt"
