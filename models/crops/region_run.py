"""An LSTM-MTL from labelled series to ONNX files of its regions, judged on blocks that nothing was fitted to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.crops.block_area import block_areas
from models.crops.importance import importance
from models.crops.lstm_mtl import ANYWHERE, LstmMtl, OneRegion
from models.crops.onnx_file import Eats, export
from models.crops.pixel_networks import Scales
from models.crops.region_training import RegionSettings, fit_regions, region_logits
from models.crops.run_folder import same_run
from models.crops.series import FloatArray, IntArray, PixelSeries
from models.crops.splits import by_blocks
from models.maps.accuracy import confusion, scores
from models.maps.runs import alone, hashed, write_json

RECORD, MODELS, IN_SEASON = "results.json", "models", "in-season"
EVERYWHERE = "anywhere"
_STAGE, _PLAN = "training", "plan.json"


@dataclass(frozen=True, eq=False)
class RegionReport:
    """What a run came to in one region.

    Attributes:
        region: its name.
        tested: pixels of its test blocks.
        figures: ``overall`` and ``kappa``, and by class ``producers``, ``users`` and ``f1``.
        area_error: for each class, mapped area above the reference's as a share of that; of points where they were
            drawn and not of land.
        area_r2: for each class, of its share of the blocks.
        so_far: mean F1 when only the first step is known, the first two, and so on; none where the network maps
            whole seasons only.
    """

    region: str
    tested: int
    figures: dict[str, Any]
    area_error: list[float]
    area_r2: list[float]
    so_far: list[float]


def run(
    pixels: PixelSeries, settings: RegionSettings, out: Path, *, validation: float, test: float, seed: int
) -> list[RegionReport]:
    """Train on training blocks, stop by validation blocks, judge on test blocks, leave ONNX files and a record.

    Args:
        pixels: labelled series; NaN where a step was not seen.
        settings: of LSTM-MTL.
        out: the folder; an unfinished run of the same data and settings is gone on with.
        validation: share of blocks that decide when to stop.
        test: share of blocks that are only judged on.
        seed: of everything random.

    Returns:
        One report a region.

    Raises:
        CropError: too few blocks, or a folder with another run.
        DivergedError: a loss that is no longer finite.
    """
    split = by_blocks(pixels, validation, test, seed)
    plan = hashed(
        {
            "settings": asdict(settings),
            "shares": [validation, test],
            "seed": seed,
            "pixels": len(pixels),
            "legend": list(pixels.legend),
            "regions": list(pixels.regions),
            "bands": list(pixels.bands),
            "steps": list(pixels.steps),
            "sum": float(np.nansum(pixels.values, dtype=np.float64)),
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        same_run(out / _PLAN, plan)
        train, on = pixels.take(split.train), pixels.take(split.test)
        network = fit_regions(train, pixels.take(split.validation), settings, seed, out / _STAGE)
        means = np.array(Scales.of(train).mean, np.float32)
        reports = _reports(network, on, means, at_any_date=settings.truncated)
        moves = importance(network, on, means)
        _export(network, on, out, at_any_date=settings.truncated)
        write_json(
            out / RECORD,
            {
                "regions": [asdict(report) for report in reports],
                "importance": np.where(np.isfinite(moves), moves, 0).tolist(),
                "made_of": plan,
            },
        )
    return reports


def _reports(network: LstmMtl, on: PixelSeries, means: FloatArray, *, at_any_date: bool) -> list[RegionReport]:
    mapped = region_logits(network, on, means).argmax(1)
    dates = range(1, len(on.steps) + 1) if at_any_date else range(0)
    early = [region_logits(network, on, means, known).argmax(1) for known in dates]
    reports = []
    for region, name in enumerate(on.regions):
        here = on.region == region
        reference, block, weight = on.label[here], on.block[here], on.weight[here]
        found = scores(confusion(reference, mapped[here], on.classes))
        areas = [block_areas(reference, mapped[here], block, index, weight) for index in range(on.classes)]
        figures = {key: found[key].tolist() for key in ("overall", "kappa", "producers", "users", "f1")}
        so_far = [_mean_f1(reference, each[here], on.classes) for each in early]
        reports.append(
            RegionReport(
                name, int(here.sum()), figures, [a.relative_error() for a in areas], [a.r2() for a in areas], so_far
            )
        )
    return reports


def _mean_f1(reference: IntArray, mapped: IntArray, classes: int) -> float:
    return float(np.nanmean(scores(confusion(reference, mapped, classes))["f1"]))


def _export(network: LstmMtl, on: PixelSeries, out: Path, *, at_any_date: bool) -> None:
    """A file for each region and one for places outside all; with ``at_any_date``, each date's too."""
    for region, name in [*enumerate(on.regions), (ANYWHERE, EVERYWHERE)]:
        one = OneRegion(network, region)
        (out / MODELS).mkdir(exist_ok=True)
        export(one, Eats(on.bands, on.steps, on.legend), out / MODELS / f"{name}.onnx")
        if at_any_date:
            (out / IN_SEASON).mkdir(exist_ok=True)
            for known in range(1, len(on.steps)):
                eats = Eats(on.bands, on.steps[:known], on.legend)
                export(one, eats, out / IN_SEASON / f"{name}-until-{on.steps[known - 1]}.onnx")
