"""A recurrent U-Net from a store of composites to a file of weights, judged on patches that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.crops.chronological import CycleSettings, fit_patches, iou, predict
from models.crops.patches import PatchSeries
from models.crops.pixel_networks import Scales
from models.crops.recurrent_unet import WIDTHS, RecurrentUNet
from models.crops.run_folder import same_run
from models.crops.series import CropError
from models.crops.transfer import Mode, fine_tuned, random_start, with_bands, with_dates
from models.maps.runs import alone, hashed, write_json

MODEL, RECORD = "model.pt", "results.json"
_STAGE, _PLAN = "training", "plan.json"


@dataclass(frozen=True)
class UNetReport:
    """What a run came to.

    Attributes:
        trained: patches.
        tested: patches.
        iou: of the crop on the test patches, by the dates that are known: one, two, and so on.
    """

    trained: int
    tested: int
    iou: list[float]


@dataclass(frozen=True)
class Start:
    """Which weights a training begins with.

    Attributes:
        mode: RI starts from random weights; FT and FT_E from those of ``before``.
        before: weights trained elsewhere.
        other_crop: whether the last layer begins anew.
        widths: of a network with random weights.
    """

    mode: Mode = "RI"
    before: Path | None = None
    other_crop: bool = False
    widths: tuple[int, ...] = WIDTHS


def save(network: RecurrentUNet, bands: Sequence[str], path: Path) -> None:
    """Write weights with the names of the bands and the widths; the file is there whole or not at all."""
    partial = path.with_suffix(".partial")
    widths = [level.convolutions[0].out_channels for level in network.encoder.levels]  # type: ignore[index, union-attr]
    kept = {"weights": network.state_dict(), "bands": list(bands), "widths": widths, "dates": network.dates}
    torch.save(kept, partial)
    partial.replace(path)


def load(path: Path) -> tuple[RecurrentUNet, tuple[str, ...]]:
    """A network that :func:`save` wrote, and the names of its bands.

    Raises:
        CropError: no such file.
    """
    try:
        kept: dict[str, Any] = torch.load(path, weights_only=True)
        bands, widths, dates, weights = tuple(kept["bands"]), kept["widths"], kept["dates"], kept["weights"]
    except Exception as error:  # torch's errors for a file that is none share no base class
        raise CropError(f"{path} cannot be read: {error}; give the {MODEL} that training wrote") from error
    network = RecurrentUNet(Scales((0.0,) * len(bands), (1.0,) * len(bands)), widths=widths, dates=dates)
    network.load_state_dict(weights)
    return network.eval(), bands


def run(
    patches: PatchSeries,
    settings: CycleSettings,
    out: Path,
    start: Start,
    shares: tuple[float, float] = (0.15, 0.25),
    seed: int = 0,
) -> UNetReport:
    """Train on some patches, stop by others, judge on the rest, leave weights and a record.

    Args:
        patches: of all parts.
        settings: how.
        out: the folder; an unfinished run of the same data and settings is gone on with.
        start: which weights to begin with.
        shares: of patches for validation and test.
        seed: of everything random.

    Raises:
        CropError: too few patches, weights that are missing or not wanted, or a folder with another run.
        DivergedError: a loss that is no longer finite.
    """
    if (start.mode == "RI") != (start.before is None):
        needed = "no weights" if start.mode == "RI" else "the weights of a trained network"
        raise CropError(f"{start.mode} takes {needed}")
    order = np.random.default_rng(seed).permutation(np.unique(patches.place))
    checks, tests = (round(share * len(order)) for share in shares)
    if not (checks and tests and checks + tests < len(order)):
        raise CropError(f"{len(order)} patches do not make three parts; take smaller patches or more images")
    parts = np.split(order, [tests, tests + checks])
    test, check, train = (patches.take(np.isin(patches.place, part)) for part in parts)
    plan = hashed(
        {
            "settings": asdict(settings),
            "start": {**asdict(start), "before": start.before and str(start.before)},
            "shares": list(shares),
            "seed": seed,
            "bands": list(patches.bands),
            "steps": list(patches.steps),
            "sum": float(patches.values.sum(dtype=np.float64)),
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        same_run(out / _PLAN, plan)
        if start.before is None:
            network = random_start(train.scales(), seed, start.widths, len(patches.steps))
        else:
            trained, bands = load(start.before)
            extended = with_bands(trained, bands, patches.bands, train.scales())
            longer = with_dates(extended, len(patches.steps))
            network = fine_tuned(longer, start.mode, other_crop=start.other_crop)
        fit_patches(network, train, check, settings, seed, out / _STAGE)
        found = [iou(test, predict(network, test, known) >= 0.5) for known in range(1, len(patches.steps) + 1)]
        report = UNetReport(len(train), len(test), found)
        save(network, patches.bands, out / MODEL)
        write_json(out / RECORD, {**asdict(report), "made_of": plan})
    return report
