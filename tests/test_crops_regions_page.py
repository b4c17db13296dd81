"""The pages of LSTM-MTL and of the recurrent U-Net: from what is kept of runs to tables and pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.crops.series import PixelSeries
from models.maps.resampling import Interval
from tests.benchmarks import crops_transfer_page as unet
from tests.benchmarks.crops_regions_page import OURS, RIVALS, SEEDS, SIZES, verdict, write_page
from tests.benchmarks.region_sets import REGIONS, STEPS
from tests.dark_svg import read_shown
from tests.models.crops.drawn_series import drawn


def _test_pixels() -> PixelSeries:
    return replace(drawn(400, classes=2), legend=("rice", "other"), regions=REGIONS)


def _said(pixels: PixelSeries, right: float, seed: int) -> list[int]:
    wrong = np.random.default_rng(seed).random(len(pixels)) > right
    said: list[int] = np.where(wrong, 1 - pixels.label, pixels.label).tolist()
    return said


def _keep(file: Path, found: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))


@pytest.fixture
def sets() -> dict[str, PixelSeries]:
    return {"test": _test_pixels(), "maize": _test_pixels(), "an giang": _test_pixels()}


def test_figures_differences_and_verdicts_stand_where_runs_are_done(
    sets: dict[str, PixelSeries], tmp_path: Path
) -> None:
    runs, pixels = tmp_path / "runs", sets["test"]
    for seed in SEEDS:
        for place, name in enumerate((OURS, *RIVALS)):
            mapped = _said(pixels, 0.95 if name == OURS else 0.7, seed + 10 * place)
            _keep(runs / "labels" / f"{SIZES[0]} {name} {seed}.json", {"mapped": mapped, "seconds": 1})
        rising = [_said(pixels, 0.5 + 0.5 * step / STEPS, seed) for step in range(1, STEPS + 1)]
        _keep(runs / "season" / f"truncated {seed}.json", {"mapped": rising})
        moves = np.zeros((2, 2, STEPS, 2))
        moves[:, 0, 7, 1] = -0.25
        _keep(runs / "season" / f"whole {seed}.json", {"importance": moves.tolist()})
        both = {OURS: _said(pixels, 0.9, seed), "random forest": _said(pixels, 0.8, seed)}
        _keep(runs / "fusion" / f"both {seed}.json", both)
        _keep(runs / "angiang" / f"{OURS} {seed}.json", {"mapped": pixels.label.tolist()})
    write_page(runs, sets, tmp_path / "page.md", tmp_path)
    page = (tmp_path / "page.md").read_text()
    ours = [line for line in page.splitlines() if line.startswith(f"| {OURS} | 0.9")]
    assert len(ours) >= len(REGIONS)
    assert ours[0].endswith("| – | – |")
    assert "anywhere: **met**." in page
    assert f"**met**; better in {len(REGIONS) * len(RIVALS)} of" in page
    assert "as the paper counts, at least 0.9 of the final one: **not met**" in page
    assert page.count(": better |") == len(REGIONS) * len(RIVALS)
    assert "B04 70 -0.250" in page
    assert "Not all runs are done (choose 0 of" in page
    curve = read_shown(tmp_path / "lstm-mtl-season.svg")
    assert isinstance(curve, dict)
    assert curve["arkansas"][-1] == 1
    assert curve["arkansas"] == sorted(curve["arkansas"])
    assert read_shown(tmp_path / "lstm-mtl-importance.svg")["california"]["B04"][7] == -0.25  # type: ignore[index]


def test_a_page_without_runs_says_so(sets: dict[str, PixelSeries], tmp_path: Path) -> None:
    write_page(tmp_path / "runs", sets, tmp_path / "page.md", tmp_path)
    page = (tmp_path / "page.md").read_text()
    assert "Not run yet." in page
    assert "labels 0 of 63" in page


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.01, 0.03, "better"),
        (-0.03, -0.01, "worse"),
        (-0.01, -0.005, "worse within the margin"),
        (-0.01, 0.02, "not inferior"),
        (-0.05, 0.04, "open"),
    ],
)
def test_what_an_interval_says(low: float, high: float, told: str) -> None:
    assert verdict(Interval((low + high) / 2, low, high)) == told


def test_the_papers_table_with_paired_differences(tmp_path: Path) -> None:
    def matrices(hits: int) -> list[list[list[int]]]:
        return [[[900, 100 - hits], [5, hits]]] * 20

    for seed in unet.SEEDS:
        for method, hits in {"RI": 40, "FT": 80, "FT_E": 90}.items():
            _keep(unet.cell_file(tmp_path, method, "A", "VH", 2, seed), {"A": matrices(hits), "B": matrices(10)})
    unet.write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "**These countries are simulated.**" in page
    assert "| fine-tuned in | A | A | A | A | B | B | B | B |" in page
    assert "| tested in | A | A | B | B | B | B | A | A |" in page
    assert f"| FT_E | {90 / 105:.3f} | – | {10 / 105:.3f} | – |" in page
    assert f"| A | VH | {40 / 105:+.3f}" in page
    assert "9 of 90 trainings are done" in page
    assert "* FT: **not met everywhere**; above RI, with the whole interval, in 1 of 4 cells." in page
