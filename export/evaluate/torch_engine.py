"""Runs a trained network itself, so that any network is measured through the same tiling and merging as a bundle."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel


class TorchEngine:
    """An engine (:class:`export.runtime.engines.Engine`) on a network in evaluation mode.

    YOLOv10 is read from its one-to-one head, RT-DETR from its last decoder layer.

    Args:
        network: as :func:`models.detection.start_weights.load_detector` gives it.
    """

    def __init__(self, network: DetectionModel) -> None:
        self.at_once = 1
        self.name = f"torch-{torch.__version__}"
        self._network = network.eval()

    @torch.no_grad()
    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`export.runtime.engines.Engine.infer`."""
        output = read_output(self._network, torch.from_numpy(images))
        result: NDArray[np.float32] = output.float().numpy()
        return result

    def rest(self) -> None:
        """See :meth:`export.runtime.engines.Engine.rest`; torch keeps no memory of its own between runs."""


def read_output(network: DetectionModel, images: Tensor) -> Tensor:
    """A detector's candidates in the form that bundles have.

    Args:
        network: a detector in evaluation mode.
        images: (B, 3, side, side) in 0–1.

    Returns:
        (B, 4 + classes, candidates): centre x, centre y, width, height in pixels, then one score a class.
    """
    decoded, raw = network(images)
    if isinstance(network, RTDETRDetectionModel):
        boxes, scores = raw[0][-1], raw[1][-1].sigmoid()  # of the last layer, (B, queries, 4) as shares of the image
        return torch.cat((boxes * images.shape[-1], scores), dim=2).transpose(1, 2)
    if "one2one" in raw:
        return torch.as_tensor(network.model[-1]._inference(raw["one2one"]))
    return torch.as_tensor(decoded)
