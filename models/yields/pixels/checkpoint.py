"""Trained networks as files: weights with their settings and scales, never pickled classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.maps.errors import MapError
from models.yields.pixels.batches import Encoding
from models.yields.pixels.network import NetworkSettings, YieldMapNetwork
from models.yields.pixels.scales import BandScale, YieldScale
from models.yields.pixels.training import Trained

_FORMAT = "pomona-yield-map-1"


def save(path: Path, members: Sequence[Trained], bands: Sequence[str], days: Sequence[int]) -> None:
    """Keep networks in a file that is there whole or not at all.

    Args:
        path: of the file.
        members: of one form; a map is the mean of them.
        bands: names of their images' bands, in order.
        days: of the year of a stack's dates; none where any dates will do.
    """
    content = {
        "format": _FORMAT,
        "crops": list(members[0].crops),
        "bands": list(bands),
        "days": [int(day) for day in days],
        "network": members[0].network.settings.as_dict(),
        "members": [
            {"weights": member.network.state_dict(), "encoding": _encoding_as_dict(member.encoding)}
            for member in members
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> tuple[list[Trained], tuple[str, ...], tuple[int, ...]]:
    """Networks, names of their bands, days of their dates.

    Raises:
        MapError: no such file, or another one.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise MapError(f"there is no checkpoint {path}; train one: pomona train mt-cyp-net") from None
    except Exception as error:
        raise MapError(f"{path} is no checkpoint of a yield map network: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise MapError(f"{path} is no checkpoint of a yield map network; make one with pomona train mt-cyp-net")
    settings = NetworkSettings(**content["network"])
    members = []
    for kept in content["members"]:
        network = YieldMapNetwork(settings)
        network.load_state_dict(kept["weights"])
        members.append(Trained(network.eval(), _encoding(kept["encoding"]), tuple(content["crops"])))
    return members, tuple(content["bands"]), tuple(content["days"])


def _encoding_as_dict(encoding: Encoding) -> dict[str, Any]:
    return {
        "bands": _scale_as_dict(encoding.bands),
        "radar": None if encoding.radar is None else _scale_as_dict(encoding.radar),
        "yields": encoding.yields.as_dict(),
        "classes": encoding.classes,
    }


def _scale_as_dict(scale: BandScale) -> dict[str, torch.Tensor]:
    return {"mean": torch.from_numpy(scale.mean), "deviation": torch.from_numpy(scale.deviation)}


def _encoding(kept: dict[str, Any]) -> Encoding:
    def scale(of: dict[str, torch.Tensor]) -> BandScale:
        return BandScale(np.asarray(of["mean"]), np.asarray(of["deviation"]))

    yields = YieldScale(tuple(kept["yields"]["low"]), tuple(kept["yields"]["high"]))
    radar = None if kept["radar"] is None else scale(kept["radar"])
    return Encoding(scale(kept["bands"]), yields, kept["classes"], radar)
