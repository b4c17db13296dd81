"""The page of LSTM-MTL: few labels, the season, what moves the network, areas by block, two sensors, An Giang."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.crops.block_area import block_areas
from models.crops.scores import Judged, f1_of, overall, paired_difference, with_interval
from models.crops.series import PixelSeries
from models.maps.accuracy import confusion, scores
from models.maps.resampling import Interval
from tests.benchmarks.crops_regions_plots import draw_importance, draw_season
from tests.benchmarks.crops_regions_words import HEAD, PAPER
from tests.benchmarks.region_sets import MATURITY, REGIONS, STEPS, TWO_MONTHS

OURS = "LSTM-MTL"
SIZES = (50, 200, 1000)
SEEDS = (0, 1, 2)
RIVALS = (
    "AtBiLSTM, global",
    "AtBiLSTM, local",
    "random forest, global",
    "random forest, local",
    "AtBiLSTM, local, twice the labels",
    "random forest, local, twice the labels",
)
MARGIN = 0.02
SHARE = 0.9
_F1 = f1_of(0)


@dataclass(frozen=True, eq=False)
class Kept:
    """What is done, of the folder of runs."""

    runs: Path
    test: PixelSeries

    def judged(self, step: str, names: Sequence[str], region: int | None, key: str = "mapped") -> Judged | None:
        """Trainings of files, on the pixels of one region or of all."""
        files = [self.runs / step / f"{name}.json" for name in names]
        there = [json.loads(file.read_text(encoding="utf-8"))[key] for file in files if file.is_file()]
        if not there:
            return None
        mapped = np.array(there)
        here = np.ones(len(self.test), bool) if region is None else self.test.region == region
        return Judged(self.test.label[here], mapped[:, here], self.test.block[here], self.test.classes)

    def of_labels(self, size: int, method: str, region: int) -> Judged | None:
        """One method with so many labels a region."""
        return self.judged("labels", [f"{size} {method} {seed}" for seed in SEEDS], region)


def _shown(found: Interval, form: str = ".3f") -> str:
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def verdict(difference: Interval) -> str:
    """What an interval of ours less theirs says, for a margin that was set before."""
    if difference.low > 0:
        return "better"
    if difference.high < 0:
        return "worse" if difference.low <= -MARGIN else "worse within the margin"
    return "not inferior" if difference.low > -MARGIN else "open"


def _chosen(runs: Path) -> list[str]:
    lines = [
        "## What was chosen\n",
        (
            "Mean F1 of rice over both regions on validation blocks; networks: mean of LSTM-MTL and global "
            "AtBiLSTM, so that neither is favoured. The best takes part; 1,000 labels take the choice of 200. "
            "Width 32 where the paper has 128: labels are few.\n"
        ),
        "| settings | 50 labels | 200 labels |",
        "| --- | ---: | ---: |",
    ]
    names = sorted({file.stem.split(" ", 1)[1] for file in (runs / "choose").glob("*.json")})
    for name in names:
        cells = []
        for size in (50, 200):
            file = runs / "choose" / f"{size} {name}.json"
            cells.append(f"{np.mean(json.loads(file.read_text())['f1']):.3f}" if file.is_file() else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _labels(kept: Kept) -> list[str]:
    lines = ["## Few labels\n", "F1 of rice.\n"]
    for region, state in enumerate(REGIONS):
        lines += [f"### {state.capitalize()}\n", "| | " + " | ".join(f"{size:,} labels" for size in SIZES) + " |"]
        lines.append("| --- |" + " ---: |" * len(SIZES))
        for method in (OURS, *RIVALS):
            found = [kept.of_labels(size, method, region) for size in SIZES]
            cells = ["–" if each is None else _shown(with_interval(each, _F1)) for each in found]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines += [
            "",
            (
                "LSTM-MTL less the other. *Better* and *worse*: the interval lies on one side of 0; *not inferior* "
                f"and *within the margin*: its lower end is above -{MARGIN}; *open*: these blocks cannot tell.\n"
            ),
            "| less | " + " | ".join(f"{size:,} labels" for size in SIZES) + " |",
            "| --- |" + " ---: |" * len(SIZES),
        ]
        for method in RIVALS:
            cells = [_difference(kept, size, method, region) for size in SIZES]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    return [*lines, *_accuracy(kept)]


@cache
def _less(kept: Kept, size: int, method: str, region: int) -> Interval | None:
    ours, theirs = (kept.of_labels(size, name, region) for name in (OURS, method))
    if ours is None or theirs is None or len(ours.mapped) != len(theirs.mapped):
        return None
    return paired_difference(ours, theirs, _F1)


def _difference(kept: Kept, size: int, method: str, region: int) -> str:
    less = _less(kept, size, method, region)
    return "–" if less is None else f"{_shown(less, '+.3f')}: {verdict(less)}"


def _held(kept: Kept) -> list[str]:
    """What had to hold, and whether it did."""
    told: dict[str, list[tuple[str, int, str]]] = {}
    for region, state in enumerate(REGIONS):
        for size in SIZES:
            for method in RIVALS:
                less = _less(kept, size, method, region)
                if less is not None:
                    told.setdefault(verdict(less), []).append((state.capitalize(), size, method))
    if not told:
        return []
    short = [*told.get("worse", []), *told.get("open", [])]
    named = "; ".join(f"{state}, {size:,} labels, {method}" for state, size, method in short)
    few = [each for each in told.get("better", []) if each[1] == SIZES[0]]
    networks = [each for each in few if "AtBiLSTM" in each[2]]
    counts = ", ".join(f"{len(of)} {name}" for name, of in told.items())
    lines = [
        "## What had to hold\n",
        f"Of {sum(map(len, told.values()))} comparisons by F1 of rice: {counts}.\n",
        (
            f"* Not inferior to AtBiLSTM and random forest anywhere: **{'not met' if short else 'met'}**."
            + (f" Not shown or not so: {named}." if short else "")
        ),
        (
            f"* Better where labels are few ({SIZES[0]} a region): "
            f"**{'met' if len(few) == len(RIVALS) * len(REGIONS) else 'not met'}**; better in {len(few)} of "
            f"{len(RIVALS) * len(REGIONS)} comparisons, {len(networks)} of them against AtBiLSTM."
        ),
    ]
    curves = season_curves(kept)
    if curves is not None:
        for name, step in (
            ("the end of the series, as the paper counts", STEPS - TWO_MONTHS),
            ("the loss of green", MATURITY - TWO_MONTHS),
        ):
            shares = {state: curve[step - 1] / curve[-1] for state, curve in curves.items()}
            met = "met" if min(shares.values()) >= SHARE else "not met"
            each = ", ".join(f"{state.capitalize()} {share:.2f}" for state, share in shares.items())
            lines.append(f"* F1 two months before {name}, at least {SHARE} of the final one: **{met}** ({each}).")
    return [*lines, "", PAPER]


def _accuracy(kept: Kept) -> list[str]:
    lines = [
        "### Other figures of LSTM-MTL\n",
        "| | labels | OA | kappa | UA of rice | PA of rice |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for region, state in enumerate(REGIONS):
        for size in SIZES:
            judged = kept.of_labels(size, OURS, region)
            if judged is not None:
                of_seeds = scores(judged.matrices().sum(1))
                each = [of_seeds["overall"], of_seeds["kappa"], of_seeds["users"][:, 0], of_seeds["producers"][:, 0]]
                cells = " | ".join(f"{float(values.mean()):.3f}" for values in each)
                lines.append(f"| {state.capitalize()} | {size:,} | {cells} |")
    return [*lines, ""]


def season_curves(kept: Kept) -> Mapping[str, list[float]] | None:
    """F1 of rice by region after one step, two, and so on; mean over seeds."""
    files = [kept.runs / "season" / f"truncated {seed}.json" for seed in SEEDS]
    there = [json.loads(file.read_text(encoding="utf-8"))["mapped"] for file in files if file.is_file()]
    if not there:
        return None
    mapped = np.array(there)  # (seeds, steps, n)
    curves = {}
    for region, state in enumerate(REGIONS):
        here = kept.test.region == region
        curves[state] = [
            float(np.mean([_f1(kept.test.label[here], each[step][here]) for each in mapped])) for step in range(STEPS)
        ]
    return curves


def _f1(reference: NDArray[np.int64], mapped: NDArray[np.int64]) -> float:
    # a map that never says rice has no F1; it is worth nothing
    return float(np.nan_to_num(_F1(confusion(reference, mapped, 2).astype(np.float64))))


def _season(kept: Kept, images: Path) -> list[str]:
    curves = season_curves(kept)
    if curves is None:
        return ["## In the season\n", "Not run yet.\n"]
    draw_season(curves, images)
    early, paper = MATURITY - TWO_MONTHS, STEPS - TWO_MONTHS
    lines = [
        "## In the season\n",
        (
            "One network for all dates, 1,000 labels a region, trained on series that end at random dates and "
            "asked with what is known after each step; gaps are filled from what was seen before the date, never "
            "from after it (`test_a_map_of_a_date_never_uses_a_later_one` poisons the future).\n"
        ),
        "![F1 of rice by days from planting](../images/lstm-mtl-season.svg)\n",
        "| | " + " | ".join(f"{10 * step} days" for step in range(2, STEPS + 1, 2)) + " |",
        "| --- |" + " ---: |" * (STEPS // 2),
    ]
    for state, curve in curves.items():
        cells = [f"{curve[step - 1]:.3f}" for step in range(2, STEPS + 1, 2)]
        lines.append(f"| {state.capitalize()} | " + " | ".join(cells) + " |")
    lines += [
        "",
        (
            f"Two months before maturity. In this set rice has lost its green {10 * MATURITY} days from planting "
            "(end of August in Arkansas, 20 September in California); the paper counts from the end of its series.\n"
        ),
        (
            "| | final F1 | two months before rice loses its green | share of final | two months before the "
            "series' end | share of final |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for state, curve in curves.items():
        final = curve[-1]
        lines.append(
            f"| {state.capitalize()} | {final:.3f} | {curve[early - 1]:.3f} | {curve[early - 1] / final:.2f} "
            f"| {curve[paper - 1]:.3f} | {curve[paper - 1] / final:.2f} |"
        )
    return [*lines, ""]


def _importance(kept: Kept, images: Path) -> list[str]:
    files = [kept.runs / "season" / f"whole {seed}.json" for seed in SEEDS]
    there = [json.loads(file.read_text(encoding="utf-8"))["importance"] for file in files if file.is_file()]
    if not there:
        return ["## What moves the network\n", "Not run yet.\n"]
    mean = np.array(there).mean(0)  # (regions, classes, time, bands)
    draw_importance(mean[:, 0], kept.test.bands, images)
    lines = [
        "## What moves the network\n",
        (
            "Mean gradient of the probability of rice, over test pixels of rice, by each input in units of its "
            "standard deviation: below zero, a lower value makes the network surer. The three bands that move it "
            "most, each region by its own head.\n"
        ),
        "![Gradients by days from planting](../images/lstm-mtl-importance.svg)\n",
        "| | strongest five: band, days from planting, gradient |",
        "| --- | --- |",
    ]
    for region, state in enumerate(REGIONS):
        of_rice = mean[region, 0]
        order = np.argsort(-np.abs(of_rice), axis=None)[:5]
        told = []
        for place in order:
            step, band = np.unravel_index(place, of_rice.shape)
            told.append(f"{kept.test.bands[int(band)]} {10 * int(step)} {of_rice[step, band]:+.3f}")
        lines.append(f"| {state.capitalize()} | {'; '.join(told)} |")
    return [*lines, ""]


def _areas(kept: Kept) -> list[str]:
    lines = [
        "## Areas by block\n",
        "Rice points mapped against those of the reference by block of 20 km, LSTM-MTL, each seed's test blocks.\n",
        "| | labels | mapped less reference, % | RMSE of a block's share, points of 100 | R² of a block's share |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for region, state in enumerate(REGIONS):
        for size in SIZES:
            judged = kept.of_labels(size, OURS, region)
            if judged is None:
                continue
            ones = np.ones(len(judged.reference))
            areas = [block_areas(judged.reference, mapped, judged.blocks, 0, ones) for mapped in judged.mapped]
            error, rmse, r2 = (
                float(np.mean([getattr(each, name)() for each in areas]))
                for name in ("relative_error", "share_rmse", "r2")
            )
            lines.append(f"| {state.capitalize()} | {size:,} | {100 * error:+.1f} | {100 * rmse:.1f} | {r2:.3f} |")
    return [*lines, ""]


def _fusion(runs: Path, maize: PixelSeries) -> list[str]:
    lines = [
        "## Optical and radar\n",
        (
            f"The paper proposes to feed both. Neither rice set has both; {len(maize)} points in the west of "
            f"France in 2023 (`worldcereal_samples`) do: maize ({int((maize.label == 0).sum())} points) against "
            "all else, 36 steps of ten days, nine bands of Sentinel-2 with 54 % of steps missing, VV and VH of "
            "Sentinel-1, two regions, five folds of blocks of 20 km. Settings were not searched.\n"
        ),
        "| bands | LSTM-MTL, F1 of maize | OA | random forest, F1 of maize | OA |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    kept = Kept(runs, maize)
    for which in ("optical", "radar", "both"):
        cells = []
        for method in (OURS, "random forest"):
            judged = kept.judged("fusion", [f"{which} {seed}" for seed in SEEDS], None, method)
            cells += ["–", "–"] if judged is None else [_shown(with_interval(judged, f)) for f in (_F1, overall)]
        lines.append(f"| {which} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _an_giang(runs: Path, rice: PixelSeries) -> list[str]:
    lines = [
        "## An Giang, reported only\n",
        (
            "600 windows of Sentinel-1 in 2022 (`ey_rice_s1_angiang`), VV and VH in 12-day medians, one region, "
            "so LSTM-MTL has one head. A block is all rice or none, and the 300 windows without rice lie in five "
            "blocks; each is left out once with a fifth of the blocks of rice. Share of windows that is right:\n"
        ),
    ]
    without = np.unique(rice.block[rice.label == 0])
    lines.append("| | rice | " + " | ".join(f"no rice, block {block}" for block in without) + " |")
    lines.append("| --- |" + " ---: |" * (len(without) + 1))
    kept = Kept(runs, rice)
    for method in (OURS, "random forest"):
        judged = kept.judged("angiang", [f"{method} {seed}" for seed in SEEDS], None)
        if judged is None:
            continue
        right = (judged.mapped == judged.reference).mean(0)
        parts = [rice.label == 1, *((rice.block == block) for block in without)]
        lines.append(f"| {method} | " + " | ".join(f"{right[part].mean():.3f}" for part in parts) + " |")
    return [*lines, ""]


def _undone(runs: Path) -> list[str]:
    wanted: Mapping[str, int] = {
        "choose": 14,
        "labels": len(SEEDS) * len(SIZES) * (len(RIVALS) + 1),
        "season": 2 * len(SEEDS),
        "fusion": 3 * len(SEEDS),
        "angiang": 2 * len(SEEDS),
    }
    short = [
        f"{step} {done} of {number}"
        for step, number in wanted.items()
        if (done := len(list((runs / step).glob("*.json")))) < number
    ]
    return (
        [f"Not all runs are done ({', '.join(short)}); means are over the seeds done, – is none yet.\n"]
        if short
        else []
    )


def write_page(runs: Path, sets: Mapping[str, Any], out: Path, images: Path) -> None:
    """Write what is there.

    Args:
        runs: the folder of what is done.
        sets: ``test``, the test pixels of both states, and all pixels of ``maize`` and ``an giang``.
        out: the page.
        images: where pictures go.
    """
    kept = Kept(runs, sets["test"])
    lines = [
        HEAD,
        *_undone(runs),
        *_held(kept),
        *_chosen(runs),
        *_labels(kept),
        *_season(kept, images),
        *_importance(kept, images),
        *_areas(kept),
        *_fusion(runs, sets["maize"]),
        *_an_giang(runs, sets["an giang"]),
    ]
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
