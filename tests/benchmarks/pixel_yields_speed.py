"""Seconds a pixel of every model on one machine in one run, trained only as far as speed needs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.yields.pixels.network import PAPER_NETWORKS, NetworkSettings, YieldMapNetwork
from models.yields.pixels.scenes import Points, Scene, tiles
from models.yields.pixels.trees import tree_candidates
from tests.benchmarks.pixel_yield_sets import bavaria

_SIDE = 256
_ROUNDS = 3
_BANDS, _DATES = 13, 1


def measure_speed(data: Path) -> dict[str, Any]:
    """Best of three rounds over one image of 256 x 256 px and 13 bands, as in the paper; one thread on a CPU.

    Trees are fitted to real yields of one date, with as many bands.
    """
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    scenes = [replace(scene, images=scene.images[6:7, :_BANDS], clear=scene.clear[6:7], days=scene.days[6:7])
              for scene in bavaria(data)]  # fmt: skip
    cut = [tile for scene in scenes for tile in tiles(scene, 32)]
    image = _drawn(scenes)
    seconds: dict[str, float] = {}
    for candidate in tree_candidates():
        mapper = candidate.fit(cut, candidate.default, 0)
        seconds[candidate.name] = _best(lambda mapper=mapper: mapper(image))  # type: ignore[misc]
    forms = {"MT-CYP-Net (small)": NetworkSettings(encoder="small", bands=_BANDS), **PAPER_NETWORKS}
    for name, settings in forms.items():
        network = YieldMapNetwork(settings).to(device).eval()
        inputs = [
            torch.from_numpy(image.images)[None].to(device),
            torch.from_numpy(image.clear)[None].to(device),
            torch.from_numpy(image.days)[None].to(device),
        ]

        def run(network: YieldMapNetwork = network, inputs: list[torch.Tensor] = inputs) -> None:
            with torch.no_grad():
                network(*inputs)
            if device.type == "cuda":
                torch.cuda.synchronize()

        run()
        seconds[name] = _best(run)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "one thread of a processor"
    return {
        "seconds_a_pixel": {name: value / _SIDE**2 for name, value in seconds.items()},
        "device": where,
        "load": round(os.getloadavg()[0], 1),
    }


def _best(run: Callable[[], object]) -> float:
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def _drawn(scenes: list[Scene]) -> Scene:
    """An image whose pixels are drawn from real ones."""
    pixels = np.concatenate([scene.images[0][:, scene.clear[0]] for scene in scenes], 1)
    chosen = np.random.default_rng(0).integers(pixels.shape[1], size=(_SIDE, _SIDE))
    image = pixels[:, chosen][None]
    whole = np.zeros((_SIDE, _SIDE), np.int32)
    clear = np.ones((_DATES, _SIDE, _SIDE), bool)
    return Scene("drawn", image, clear, np.full(1, 130, np.float32), whole.astype(np.uint8), whole, Points.none())
