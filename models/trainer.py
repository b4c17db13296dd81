"""The Lightning trainer of small networks: on one device, without files and bars of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytorch_lightning as pl


def quiet_trainer(
    epochs: int,
    callbacks: Sequence[pl.Callback] = (),
    *,
    keeps: bool = False,
    reload: bool = False,
    clip: float | None = None,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
) -> pl.Trainer:
    """A trainer that writes and prints nothing by itself.

    Args:
        epochs: to train for.
        callbacks: of the fit.
        keeps: whether one of them writes checkpoints.
        reload: whether the module makes its batches anew every epoch.
        clip: largest norm of the gradient; None for any.
        precision: of the arithmetic.
    """
    return pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=keeps,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=int(reload),
        gradient_clip_val=clip,
        precision=precision,
        callbacks=list(callbacks),
    )
