"""Where a network looks: Grad-CAM on the shared features of the last consistency block (the paper's Figure 9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.maps.errors import MapError
from models.yields.pixels.scenes import Scene
from models.yields.pixels.training import Trained


def explain(trained: Trained, scene: Scene, crop: int | None = None) -> NDArray[np.float32]:
    """How much the shared features of each pixel speak for high yields, or for a crop (Selvaraju et al. 2017).

    Args:
        trained: a network whose tasks hear of each other; of a single task its last features are taken.
        scene: of a size that the encoder takes.
        crop: index of the crop; yields where None.

    Returns:
        (H, W) from 0, nothing, to 1, the most in this scene.

    Raises:
        MapError: the network does not predict what is to be explained.
    """
    settings = trained.network.settings
    if not (settings.yields if crop is None else settings.crops):
        raise MapError(
            f"a {settings.form} predicts no {'yields' if crop is None else 'crops'}; there is none to explain"
        )
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, features: Tensor) -> None:
        kept.append(features)

    hook = _last_features(trained).register_forward_hook(keep)
    try:
        inputs = [values[None] for values in trained.encoding.inputs(scene)]
        radar = trained.encoding.radar_inputs(scene)
        maps = trained.network(*inputs, *([] if radar is None else [values[None] for values in radar]))
    finally:
        hook.remove()
    said = maps.yields if crop is None else maps.crops[:, crop]
    (slope,) = torch.autograd.grad(said.sum(), kept[-1])
    weights = slope.mean((2, 3), keepdim=True)
    heat = (weights * kept[-1]).sum(1).relu()[0].detach()
    highest = float(heat.max())
    return np.asarray((heat / highest if highest > 0 else heat).numpy(), np.float32)


def _last_features(trained: Trained) -> nn.Module:
    body: Any = trained.network.body
    if getattr(body, "consistency", None) is not None:
        last: nn.Module = body.consistency[-1].shared
        return last
    if hasattr(body, "decoders"):
        (*_, decoder) = body.decoders.values()
        block: nn.Module = decoder.blocks[-1]
        return block
    pyramid: nn.Module = body.decoder
    return pyramid
