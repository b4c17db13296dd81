"""What predictions say of themselves, beside their figures."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_sync.messages import EstimatePrediction


@dataclass(frozen=True)
class Told:
    """What to know of predictions before relying on them, and what an estimate records of the model that made them.

    Attributes:
        warnings: in words.
        prediction: model and season of the sampling area; None where no model on this device predicted.
    """

    warnings: tuple[str, ...] = ()
    prediction: EstimatePrediction | None = None


NOTHING_TOLD = Told()
