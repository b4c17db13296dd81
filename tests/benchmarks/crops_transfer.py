"""The recurrent U-Net taken from one simulated country to two others: RF, RI, FT and FT_E, VH alone and with VV.

    python -m tests.benchmarks.crops_transfer pretrain choose tune angiang

Every training is kept in a folder (--runs) and not done again; docs/results/recurrent-unet.md is written from all that
is there. ``angiang`` needs POMONA_DATA. Some hours on a busy machine of two cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models.crops.chronological import CycleSettings, by_place, fit_patches, iou, predict
from models.crops.composing import filled, medians
from models.crops.importers import an_giang_rice
from models.crops.patches import PatchSeries
from models.crops.recurrent_unet import RecurrentUNet
from models.crops.training import TrainingSettings
from models.crops.transfer import fine_tuned, random_start, with_bands
from models.crops.unet_run import load, save
from tests.benchmarks.crops_transfer_page import (
    BANDS,
    FEATURES,
    LABELS,
    METHODS,
    RATES,
    SEEDS,
    TRAINED,
    cell_file,
    choice_file,
    chosen_rate,
    write_page,
)
from tests.benchmarks.kept import keep
from tests.benchmarks.simulated_countries import PERIODS, SOURCE, TARGETS, draw

OUT = Path("docs/results/recurrent-unet.md")
WIDTHS = (8, 16, 32, 64)
SOURCE_PATCHES, TEST_PATCHES = 240, 60
_WINDOWS_A_SIDE, _WINDOW = 4, 10
_MOSAICS = 30


def _loop(cycles: int, rate: float) -> CycleSettings:
    return CycleSettings(TrainingSettings(cycles, rate, "adamw", 1e-4, schedule="once", patience=0), batch=8)


PRETRAINING = _loop(100, 5e-3)
# as many cycles for every way of starting, so that none is trained longer than another
CYCLES = 30
# draws of patches: nothing of one is in another
OF_SOURCE, OF_SOURCES_TEST, TO_CHOOSE_WITH, TO_JUDGE_CHOICES, TEST, OF_TARGET = 0, 1, 900, 901, 902, 1000


def pretrained(runs: Path) -> RecurrentUNet:
    """The network of the source country, VH alone."""
    file = runs / "source.pt"
    if not file.is_file():
        began = time.perf_counter()
        patches = draw(SOURCE, SOURCE_PATCHES, OF_SOURCE).with_bands(BANDS["VH"])
        network = random_start(patches.scales(), 0, WIDTHS)
        fit_patches(network, patches, None, PRETRAINING, 0, runs / "source")
        runs.mkdir(parents=True, exist_ok=True)
        save(network, BANDS["VH"], file)
        test = draw(SOURCE, TEST_PATCHES, OF_SOURCES_TEST).with_bands(BANDS["VH"])
        found = iou(test, predict(network, test) >= 0.5)
        (by_pixel,) = by_forest(patches, [test], 0)
        keep(runs / "source.json", {"network": found, "forest": iou(test, by_pixel)})
        print(f"source: IoU {found:.3f} at home in {time.perf_counter() - began:.0f} s", flush=True)
    return load(file)[0]


def pretrain(runs: Path) -> None:
    """The source country."""
    pretrained(runs)


def by_forest(train: PatchSeries, tests: Sequence[PatchSeries], seed: int) -> list[NDArray[np.bool_]]:
    """A pixel's dates and bands, at most 20,000 pixels."""
    columns, label = _pixels(train), train.mask.reshape(-1)
    there = np.random.default_rng(seed).permutation(np.flatnonzero(label >= 0))[:20_000]
    forest = RandomForestClassifier(200, random_state=seed, min_samples_leaf=2, n_jobs=1)
    forest.fit(columns[there], label[there])
    return [forest.predict(_pixels(test)).reshape(test.mask.shape) == 1 for test in tests]


def _pixels(patches: PatchSeries) -> NDArray[np.float32]:
    number, side = len(patches), patches.mask.shape[-1]
    columns: NDArray[np.float32] = patches.values.transpose(0, 3, 4, 1, 2).reshape(number * side * side, -1)
    return columns


def maps_of(
    method: str, runs: Path, train: PatchSeries, tests: Sequence[PatchSeries], seed: int, rate: float | None = None
) -> list[NDArray[np.bool_]]:
    """What one method makes of the test patches; the rate that was chosen where None is given."""
    if method == "RF":
        return by_forest(train, tests, seed)
    if method == "RI":
        network = random_start(train.scales(), seed, WIDTHS)
    else:
        extended = with_bands(pretrained(runs), BANDS["VH"], train.bands, train.scales())
        network = extended if method == "as it comes" else fine_tuned(extended, "FT" if method == "FT" else "FT_E")
    if method != "as it comes":
        fit_patches(network, train, None, _loop(CYCLES, rate or chosen_rate(runs, method)), seed)
    return [predict(network, test) >= 0.5 for test in tests]


def choose(runs: Path) -> None:
    """The learning rate of each way of starting, on patches of country A that nothing else uses."""
    country = TARGETS[0]
    judges = draw(country, TEST_PATCHES // 2, TO_JUDGE_CHOICES).with_bands(BANDS["VH"])
    train = draw(country, LABELS[0], TO_CHOOSE_WITH).with_bands(BANDS["VH"])
    for method in TRAINED:
        for rate in RATES:
            file = choice_file(runs, method, rate)
            if file.is_file():
                continue
            (mapped,) = maps_of(method, runs, train, [judges], 0, rate)
            keep(file, {"iou": iou(judges, mapped)})
            print(f"choose: {method} {rate}: {iou(judges, mapped):.3f}", flush=True)


def tune(runs: Path) -> None:
    """Every cell of the table, seed by seed."""
    tests = [draw(country, TEST_PATCHES, TEST) for country in TARGETS]
    for labels in LABELS:
        for seed in SEEDS:
            for country in TARGETS:
                for features in FEATURES:
                    train = draw(country, labels, OF_TARGET + seed).with_bands(BANDS[features])
                    on = [test.with_bands(BANDS[features]) for test in tests]
                    for method in METHODS:
                        _cell(runs, (method, country.name, features, labels, seed), train, on)


def _cell(runs: Path, cell: tuple[str, str, str, int, int], train: PatchSeries, tests: Sequence[PatchSeries]) -> None:
    file = cell_file(runs, *cell)
    if file.is_file():
        return
    began = time.perf_counter()
    method, *_, seed = cell
    maps = maps_of(method, runs, train, tests, seed)
    matrices = {c.name: by_place(t, m).tolist() for c, t, m in zip(TARGETS, tests, maps, strict=True)}
    keep(file, matrices)
    found = " ".join(f"{c.name} {iou(t, m):.3f}" for c, t, m in zip(TARGETS, tests, maps, strict=True))
    print(f"{' '.join(map(str, cell))}: {found} in {time.perf_counter() - began:.0f} s", flush=True)


def mosaics(data: Path, seed: int) -> tuple[PatchSeries, PatchSeries]:
    """Windows of An Giang laid side by side, of some blocks to train on and of others to test on.

    A mosaic's windows are of one class each, and in truth lie far apart: its borders are drawn by us.
    """
    pixels, windows = an_giang_rice(data / "satellite" / "ey_rice_s1_angiang")
    period = np.arange(windows.shape[1]) * PERIODS // windows.shape[1]
    flat = windows.transpose(0, 3, 4, 1, 2).reshape(-1, windows.shape[1], 2)
    made = filled(medians(flat, period)).reshape(len(windows), _WINDOW, _WINDOW, PERIODS, 2)
    known = np.isfinite(made).all((1, 2, 3, 4))
    random = np.random.default_rng(seed)
    on_test = np.zeros(len(windows), bool)
    for label in range(2):
        blocks = random.permutation(np.unique(pixels.block[pixels.label == label]))
        on_test |= np.isin(pixels.block, blocks[: len(blocks) // 2])

    def laid(chosen: NDArray[np.bool_], number: int) -> PatchSeries:
        side = _WINDOWS_A_SIDE * _WINDOW
        values = np.empty((number, PERIODS, 2, side, side), np.float32)
        mask = np.empty((number, side, side), np.int8)
        for index in range(number):
            for place, window in enumerate(random.choice(np.flatnonzero(chosen & known), _WINDOWS_A_SIDE**2)):
                top, left = (_WINDOW * each for each in divmod(place, _WINDOWS_A_SIDE))
                here = (slice(top, top + _WINDOW), slice(left, left + _WINDOW))
                values[index][:, :, here[0], here[1]] = made[window][..., ::-1].transpose(2, 3, 0, 1)
                mask[index][here] = pixels.label[window]
        steps = tuple(f"{step:02d}" for step in range(PERIODS))
        return PatchSeries(values, mask, ("VH", "VV"), steps, np.arange(number))

    return laid(~on_test, LABELS[-1]), laid(on_test, _MOSAICS)


def angiang(runs: Path) -> None:
    """The same methods on mosaics of An Giang, reported only."""
    data = Path(os.environ["POMONA_DATA"])
    for seed in SEEDS:
        train, test = mosaics(data, seed)
        for features in FEATURES:
            for method in METHODS:
                file = cell_file(runs, method, "An Giang", features, LABELS[-1], seed)
                if file.is_file():
                    continue
                given, on = train.with_bands(BANDS[features]), test.with_bands(BANDS[features])
                (mapped,) = maps_of(method, runs, given, [on], seed)
                keep(file, {"An Giang": by_place(on, mapped).tolist()})
                print(f"An Giang {method} {features} {seed}: {iou(on, mapped):.3f}", flush=True)


STEPS_OF_WORK: Mapping[str, Callable[[Path], None]] = {
    "pretrain": pretrain,
    "choose": choose,
    "tune": tune,
    "angiang": angiang,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[*STEPS_OF_WORK, []], help="none: only write the page")
    parser.add_argument("--runs", type=Path, default=Path("runs/recurrent-unet"), help="folder of what is done")
    parser.add_argument("--page", type=Path, default=OUT, help="where the page goes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for step in options.steps:
        STEPS_OF_WORK[step](options.runs)
    write_page(options.runs, options.page)
    print(options.page)


if __name__ == "__main__":
    main()
