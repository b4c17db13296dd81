"""YOLO-A: YOLO11n with GLICM in the backbone, F-SPPF after it and IAFM in the neck.

The apple framework's paper names the modules and gives the whole network's size, not where they stand or how wide they
are. This is one placement that reproduces the published budget (3.94 M parameters, 7.8 GFLOPs) and each of its
ablations.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
from collections.abc import Iterable, Iterator
from typing import Literal, cast

from torch import nn
from ultralytics.nn.modules import C3k2
from ultralytics.nn.tasks import DetectionModel

from models.detection.distances import ExpectedDistances
from models.detection.fsppf import FSPPF, Fourier2d
from models.detection.glicm import GLICM, AxialChannelAttention
from models.detection.iafm import IAFM, ConvAttn
from models.detection.ss2d import SS2D
from models.labelled_photos import LABELS

Part = Literal["glicm", "fsppf", "iafm"]
PARTS: tuple[Part, ...] = ("glicm", "fsppf", "iafm")

# layer index in YOLO11n: inputs, common width, fusing width, output channels, pooling of keys and values
_IAFM_LAYERS: dict[int, tuple[int, int, int, int, int, int]] = {
    12: (256, 128, 64, 128, 128, 2),
    15: (128, 128, 32, 64, 64, 4),
    18: (64, 128, 64, 128, 128, 2),
    21: (128, 256, 128, 256, 288, 1),
}
# the C3k2 behind each IAFM: input channels, output channels, nested C3k blocks
C3K2_LAYERS: dict[int, tuple[int, int, bool]] = {
    13: (128, 128, False),
    16: (64, 64, False),
    19: (128, 128, False),
    22: (288, 256, True),
}


def _replacements(parts: Iterable[Part]) -> dict[int, nn.Module]:
    """The layers that differ from YOLO11n, by index."""
    chosen = set(parts)
    layers: dict[int, nn.Module] = {}
    if "glicm" in chosen:
        layers[6] = GLICM(128, 128, channels=64)
        layers[8] = GLICM(256, 256, channels=256)
    if "fsppf" in chosen:
        layers[9] = FSPPF(256, 256, hidden=64)
    if "iafm" in chosen:
        layers.update({index: IAFM(*sizes) for index, sizes in _IAFM_LAYERS.items()})
        layers.update({index: C3k2(c1, c2, 1, c3k) for index, (c1, c2, c3k) in C3K2_LAYERS.items()})
    return layers


class YoloA(DetectionModel):  # type: ignore[misc]
    """The detection model; without any part it is YOLO11n itself.

    Args:
        nc: number of classes.
        parts: which of GLICM, F-SPPF and IAFM to build in.

    Raises:
        ValueError: an unknown part.
    """

    def __init__(self, nc: int = len(LABELS), parts: Iterable[Part] = PARTS) -> None:
        parts = tuple(parts)
        if unknown := set(parts) - set(PARTS):
            raise ValueError(f"unknown part of YOLO-A: {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
        with quiet():
            super().__init__("yolo11n.yaml", ch=3, nc=nc, verbose=False)
        self.parts = parts
        self.replace_layers(_replacements(parts))
        self.names = dict(enumerate(LABELS)) if nc == len(LABELS) else {i: f"{i}" for i in range(nc)}

    def replace_layers(self, replacements: dict[int, nn.Module]) -> None:
        """Put other layers in the place of YOLO11n's, by index; they read what those read."""
        layers = cast("nn.Sequential", self.model)
        for index, layer in replacements.items():
            original = layers[index]
            place = {"i": original.i, "f": original.f, "type": type(layer).__name__, "np": parameter_count(layer)}
            for name, value in place.items():  # what ultralytics notes on each layer it builds
                setattr(layer, name, value)
            for module in layer.modules():
                if isinstance(module, nn.BatchNorm2d):  # as ultralytics sets them in its own layers
                    module.eps, module.momentum = 1e-3, 0.03
            layers[index] = layer


def export_form(model: YoloA) -> YoloA:
    """A copy with normalisations folded, kernels averaged and only operators that every ONNX runtime has.

    The Fourier transforms become matrix products, the scans unrolled chunks, the image-made convolutions shifted
    products and the head's softmax one product; evaluation mode, the same outputs to rounding.
    """
    model = copy.deepcopy(model).float().eval()
    for module in model.modules():
        if isinstance(module, AxialChannelAttention | IAFM):
            module.fold()
        if isinstance(module, SS2D | Fourier2d | ConvAttn):
            module.export = True
    with quiet():
        model.fuse(verbose=False)
    head = cast("nn.Sequential", model.model)[-1]
    head.dfl = ExpectedDistances(int(head.reg_max))  # type: ignore[arg-type]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep ultralytics' own messages off the terminal for the enclosed calls."""
    logger = logging.getLogger("ultralytics")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable values, buffers not counted."""
    return sum(p.numel() for p in model.parameters())
