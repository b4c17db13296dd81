"""A weighted LSTM from labelled series to an ONNX file, judged on blocks that nothing was fitted to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.crops.onnx_file import Eats, export
from models.crops.pixel_networks import predict_logits
from models.crops.scores import Judged, kappa, mean_f1, overall, with_interval, worst_f1
from models.crops.series import CropError, PixelSeries
from models.crops.splits import by_blocks
from models.crops.weighted_lstm import WeightedSettings, train_weighted_lstm
from models.maps.accuracy import scores
from models.maps.resampling import Interval
from models.maps.runs import alone, hashed, write_json

MODEL, RECORD = "model.onnx", "results.json"
_STAGES, _PLAN = "stages", "plan.json"


@dataclass(frozen=True, eq=False)
class Report:
    """What a run came to.

    Attributes:
        legend: names of the classes.
        tested: pixels of the test blocks.
        figures: overall accuracy, kappa, mean and worst F1 of the final network, with intervals.
        first_overall: overall accuracy of the first stage, on the same pixels.
        by_class: ``producers``, ``users``, ``f1`` and ``iou``, each (classes,).
    """

    legend: tuple[str, ...]
    tested: int
    figures: dict[str, Interval]
    first_overall: float
    by_class: dict[str, list[float]]


def run(
    pixels: PixelSeries,
    settings: WeightedSettings,
    out: Path,
    *,
    validation: float,
    test: float,
    seed: int,
    told: Callable[[str], None] = lambda _stage: None,
) -> Report:
    """Train on training blocks, stop by validation blocks, judge on test blocks, leave ONNX file and record.

    Args:
        pixels: labelled series without gaps.
        settings: of the weighted LSTM.
        out: the folder; an unfinished run of the same data and settings is gone on with.
        validation: share of blocks that decide when to stop.
        test: share of blocks that are only judged on.
        seed: of everything random.
        told: is told the stage.

    Raises:
        CropError: too few blocks, a class without reliable pixels, or a folder with another run.
        DivergedError: a loss that is no longer finite.
    """
    split = by_blocks(pixels, validation, test, seed)
    plan = hashed(
        {
            "settings": asdict(settings),
            "validation": validation,
            "test": test,
            "seed": seed,
            "pixels": len(pixels),
            "legend": list(pixels.legend),
            "bands": list(pixels.bands),
            "steps": list(pixels.steps),
            "sum": float(pixels.values.sum(dtype=np.float64)),
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        _same_run(out / _PLAN, plan)
        made = train_weighted_lstm(
            pixels.take(split.train), pixels.take(split.validation), settings, seed, out / _STAGES, told
        )
        on = pixels.take(split.test)
        judged = Judged(on.label, predict_logits(made.final, on.values).argmax(1)[None], on.block, on.classes)
        by_class = scores(judged.matrices().sum((0, 1)))
        figures = {"overall": overall, "kappa": kappa, "mean_f1": mean_f1, "worst_f1": worst_f1}
        report = Report(
            legend=on.legend,
            tested=len(on),
            figures={name: with_interval(judged, figure) for name, figure in figures.items()},
            first_overall=float((predict_logits(made.first, on.values).argmax(1) == on.label).mean()),
            by_class={name: by_class[name].tolist() for name in ("producers", "users", "f1", "iou")},
        )
        difference = export(made.final, Eats(on.bands, on.steps, on.legend), out / MODEL)
        write_json(
            out / RECORD,
            {
                **asdict(report),
                "weak_pixels": len(made.weak),
                "reliable_pixels": int(made.reliable.sum()),
                "final_pixels": len(made.chosen),
                "onnx_difference": difference,
                "made_of": plan,
            },
        )
    return report


def _same_run(path: Path, plan: dict[str, Any]) -> None:
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["sha256"] != plan["sha256"]:
            raise CropError(f"{path.parent} holds a run with other data or settings; take another folder")
    else:
        write_json(path, plan)
