"""LSTM-MTL beside AtBiLSTM and random forest, global and local, on few labels of each region.

    POMONA_DATA=data python -m tests.benchmarks.crops_regions choose labels season fusion angiang

Every step keeps what is done in a folder (--runs) and goes on there; docs/results/lstm-mtl.md is written from all that
is there. All steps take some hours on a busy machine of two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models.crops.importance import importance
from models.crops.lstm_mtl import LstmMtl
from models.crops.pixel_networks import Scales
from models.crops.region_training import RegionSettings, fit_regions, region_logits
from models.crops.scores import f1_of
from models.crops.seasons import so_far
from models.crops.sensors import of_sensors
from models.crops.series import IntArray, PixelSeries
from models.crops.splits import Split, by_blocks, folds
from models.crops.training import TrainingSettings
from models.maps.accuracy import confusion
from tests.benchmarks.crops_regions_page import OURS, SEEDS, SIZES, write_page
from tests.benchmarks.kept import keep
from tests.benchmarks.region_sets import STEPS, maize_of_france, rice_of_an_giang, rice_of_two_states

OUT = Path("docs/results/lstm-mtl.md")
SPLIT_SEED = 0
CHOOSING = (100, 101, 102, 103)
_F1 = f1_of(0)
Mapped = Callable[[PixelSeries, PixelSeries, int], IntArray]


@dataclass(frozen=True)
class Chosen:
    """What was chosen on training blocks: settings of the networks and of the forest, by labels a region."""

    network: RegionSettings
    trees: int
    features: float | str


def _training(epochs: int) -> TrainingSettings:
    return TrainingSettings(
        epochs=epochs, learning_rate=3e-3, optimizer="adamw", weight_decay=1e-3, schedule="once", patience=0
    )


NETWORKS: Mapping[str, RegionSettings] = {
    "no augmentation": RegionSettings(width=32, batch=32),
    "noise and shifts of 0.15 SD": RegionSettings(width=32, batch=32, jitter=0.15, level=0.15),
    "noise and shifts of 0.3 SD": RegionSettings(width=32, batch=32, jitter=0.3, level=0.3),
}
AUGMENTED = "noise and shifts of 0.3 SD"
FORESTS: tuple[tuple[int, float | str], ...] = ((400, "log2"), (400, "sqrt"), (400, 0.3), (100, "sqrt"))
UPDATES = {50: 200, 200: 300, 1000: 600}


def fitted(settings: RegionSettings, updates: int, labels: PixelSeries) -> RegionSettings:
    """Settings whose epochs make about so many updates of the weights."""
    most = int(np.bincount(labels.region).max())
    batch = min(settings.batch, most)
    return replace(settings, batch=batch, training=_training(max(1, round(updates / -(-most // batch)))))


def one_region(pixels: PixelSeries) -> PixelSeries:
    """The same pixels without regions, so that one head learns them all: AtBiLSTM."""
    return replace(pixels, region=np.zeros(len(pixels), np.int64), regions=("all",))


def _means(labels: PixelSeries) -> NDArray[np.float32]:
    return np.array(Scales.of(labels).mean, np.float32)


def by_network(settings: RegionSettings, updates: int) -> Mapped:
    """Maps pixels with a network fitted to labels, with a head for each of their regions."""

    def mapped(labels: PixelSeries, pixels: PixelSeries, seed: int) -> IntArray:
        network = fit_regions(labels, None, fitted(settings, updates, labels), seed)
        found: IntArray = region_logits(network, pixels, _means(labels)).argmax(1)
        return found

    return mapped


def by_one_head(settings: RegionSettings, updates: int) -> Mapped:
    """The same without regions; a batch is as large as all regions' together."""

    def mapped(labels: PixelSeries, pixels: PixelSeries, seed: int) -> IntArray:
        wider = replace(settings, batch=settings.batch * len(np.unique(labels.region)))
        return by_network(wider, updates)(one_region(labels), one_region(pixels), seed)

    return mapped


def by_forest(trees: int, features: float | str) -> Mapped:
    """The same with a random forest on all steps and bands."""

    def mapped(labels: PixelSeries, pixels: PixelSeries, seed: int) -> IntArray:
        forest = RandomForestClassifier(trees, max_features=features, random_state=seed, n_jobs=1)
        means = _means(labels)
        forest.fit(_columns(labels, means), labels.label)
        found: IntArray = forest.predict(_columns(pixels, means))
        return found

    return mapped


def locally(of_all: Mapped, labels: PixelSeries, pixels: PixelSeries, seed: int) -> IntArray:
    """A model for each region, which maps that region."""
    mapped = np.zeros(len(pixels), np.int64)
    for region in np.unique(pixels.region):
        here = pixels.region == region
        mapped[here] = of_all(labels.take(labels.region == region), pixels.take(here), seed)
    return mapped


def _columns(pixels: PixelSeries, means: NDArray[np.float32]) -> NDArray[np.float32]:
    steps = len(pixels.steps)
    return so_far(pixels.values, np.full(len(pixels), steps), means).reshape(len(pixels), -1)


def draw(pixels: PixelSeries, pool: IntArray, a_region: int, seed: int) -> PixelSeries:
    """Labels at random in each region; more of them hold all of fewer."""
    random = np.random.default_rng(seed)
    chosen = [random.permutation(pool[pixels.region[pool] == region])[:a_region] for region in range(2)]
    return pixels.take(np.concatenate(chosen))


def methods(chosen: Chosen, size: int) -> Mapping[str, tuple[int, Mapped]]:
    """All that are compared: how many labels a region each gets, and how it maps."""
    one, forest = by_one_head(chosen.network, UPDATES[size]), by_forest(chosen.trees, chosen.features)

    def one_local(labels: PixelSeries, pixels: PixelSeries, seed: int) -> IntArray:
        return locally(one, labels, pixels, seed)

    def forest_local(labels: PixelSeries, pixels: PixelSeries, seed: int) -> IntArray:
        return locally(forest, labels, pixels, seed)

    return {
        OURS: (size, by_network(chosen.network, UPDATES[size])),
        "AtBiLSTM, global": (size, one),
        "AtBiLSTM, local": (size, one_local),
        "random forest, global": (size, forest),
        "random forest, local": (size, forest_local),
        "AtBiLSTM, local, twice the labels": (2 * size, one_local),
        "random forest, local, twice the labels": (2 * size, forest_local),
    }


def the_split(pixels: PixelSeries) -> Split:
    """Half of the blocks for the test; of the others, two fifths judge settings, and all give labels afterwards."""
    return by_blocks(pixels, 0.2, 0.5, SPLIT_SEED)


def _region_f1(pixels: PixelSeries, mapped: IntArray) -> float:
    """Mean over the regions of rice's F1."""
    each = []
    for region in range(len(pixels.regions)):
        here = pixels.region == region
        each.append(float(_F1(confusion(pixels.label[here], mapped[here], pixels.classes).astype(np.float64))))
    return float(np.mean(each))


def choose(data: Path, runs: Path) -> None:
    """Settings by the labels of some training blocks, judged on the others; four draws, both networks."""
    pixels = rice_of_two_states(data)
    split = the_split(pixels)
    judges = pixels.take(split.validation)
    for size in SIZES[:2]:
        candidates: dict[str, list[Mapped]] = {
            name: [by_network(each, UPDATES[size]), by_one_head(each, UPDATES[size])] for name, each in NETWORKS.items()
        }
        candidates |= {f"{trees} trees, {features}": [by_forest(trees, features)] for trees, features in FORESTS}
        for name, mappers in candidates.items():
            file = runs / "choose" / f"{size} {name}.json"
            if file.is_file():
                continue
            found = [
                _region_f1(judges, mapper(draw(pixels, split.train, size, seed), judges, seed))
                for seed in CHOOSING
                for mapper in mappers
            ]
            keep(file, {"f1": found})
            print(f"choose: {size} labels, {name}: {np.mean(found):.3f}", flush=True)


def chosen_of(runs: Path, size: int) -> Chosen:
    """The best of the settings; for the most labels, those of the second most."""
    of = min(size, SIZES[1])

    def score(name: str) -> float:
        return float(np.mean(json.loads((runs / "choose" / f"{of} {name}.json").read_text())["f1"]))

    forest = max(FORESTS, key=lambda each: score(f"{each[0]} trees, {each[1]}"))
    return Chosen(NETWORKS[max(NETWORKS, key=score)], *forest)


def labels(data: Path, runs: Path) -> None:
    """Every method with every number of labels, seed by seed."""
    pixels = rice_of_two_states(data)
    split = the_split(pixels)
    test, pool = pixels.take(split.test), np.sort(np.concatenate([split.train, split.validation]))
    for seed in SEEDS:
        for size in SIZES:
            for name, (count, mapper) in methods(chosen_of(runs, size), size).items():
                file = runs / "labels" / f"{size} {name} {seed}.json"
                if file.is_file():
                    continue
                began = time.perf_counter()
                mapped = mapper(draw(pixels, pool, count, seed), test, seed)
                seconds = time.perf_counter() - began
                keep(file, {"mapped": mapped.tolist(), "seconds": seconds})
                print(f"labels: {size} {name} {seed}: {_region_f1(test, mapped):.3f} in {seconds:.0f} s", flush=True)


def season(data: Path, runs: Path) -> None:
    """One network trained at dates drawn at random, asked at each date; and what moves the one of whole seasons."""
    pixels = rice_of_two_states(data)
    split = the_split(pixels)
    test, pool = pixels.take(split.test), np.sort(np.concatenate([split.train, split.validation]))
    size = SIZES[-1]
    settings = chosen_of(runs, size).network
    for seed in SEEDS:
        given = draw(pixels, pool, size, seed)
        for kind in ("truncated", "whole"):
            file = runs / "season" / f"{kind} {seed}.json"
            if file.is_file():
                continue
            truncated = kind == "truncated"
            network = fit_regions(given, None, fitted(replace(settings, truncated=truncated), 900, given), seed)
            kept: dict[str, object]
            if truncated:
                kept = {"mapped": [_at(network, test, given, known).tolist() for known in range(1, STEPS + 1)]}
            else:
                kept = {"importance": importance(network, test, _means(given)).tolist()}
            keep(file, kept)
            print(f"season: {kind} {seed}", flush=True)


def _at(network: LstmMtl, test: PixelSeries, given: PixelSeries, known: int) -> IntArray:
    mapped: IntArray = region_logits(network, test, _means(given), known).argmax(1)
    return mapped


def fusion(data: Path, runs: Path) -> None:
    """Optical, radar, and both on the one set that has both."""
    pixels = maize_of_france(data)
    for seed in SEEDS:
        for which in ("optical", "radar", "both"):
            file = runs / "fusion" / f"{which} {seed}.json"
            if file.is_file():
                continue
            mapped = np.zeros(len(pixels), np.int64)
            forest = np.zeros(len(pixels), np.int64)
            there = of_sensors(pixels, which)
            settings = replace(NETWORKS[AUGMENTED], weighted=True)
            for split in folds(pixels, 5, 0.2, seed):
                given = there.take(np.concatenate([split.train, split.validation]))
                test = there.take(split.test)
                mapped[split.test] = by_network(settings, 200)(given, test, seed)
                forest[split.test] = by_forest(400, "sqrt")(given, test, seed)
            keep(file, {OURS: mapped.tolist(), "random forest": forest.tolist()})
            print(f"fusion: {which} {seed}: {_region_f1(pixels, mapped):.3f}", flush=True)


def an_giang_folds(pixels: PixelSeries) -> Iterator[tuple[IntArray, IntArray]]:
    """Each block without rice left out once, with a fifth of the blocks of rice."""
    random = np.random.default_rng(0)
    without = np.unique(pixels.block[pixels.label == 0])
    rice = random.permutation(np.unique(pixels.block[pixels.label == 1]))
    for index, block in enumerate(without):
        test = np.isin(pixels.block, [block, *rice[index :: len(without)]])
        yield np.flatnonzero(~test), np.flatnonzero(test)


def angiang(data: Path, runs: Path) -> None:
    """Rice or not in An Giang, whole blocks left out; blocks hold one class, so this is reported and proves little."""
    pixels = rice_of_an_giang(data)
    for seed in SEEDS:
        for name, mapper in (
            (OURS, by_one_head(NETWORKS[AUGMENTED], 200)),
            ("random forest", by_forest(400, "sqrt")),
        ):
            file = runs / "angiang" / f"{name} {seed}.json"
            if file.is_file():
                continue
            mapped = np.zeros(len(pixels), np.int64)
            for train, test in an_giang_folds(pixels):
                mapped[test] = mapper(pixels.take(train), pixels.take(test), seed)
            keep(file, {"mapped": mapped.tolist()})
            print(f"angiang: {name} {seed}: {(mapped == pixels.label).mean():.3f}", flush=True)


STEPS_OF_WORK: Mapping[str, Callable[[Path, Path], None]] = {
    "choose": choose,
    "labels": labels,
    "season": season,
    "fusion": fusion,
    "angiang": angiang,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[*STEPS_OF_WORK, []], help="none: only write the page")
    parser.add_argument("--runs", type=Path, default=Path("runs/lstm-mtl"), help="folder of what is done")
    parser.add_argument("--page", type=Path, default=OUT, help="where the page goes")
    parser.add_argument("--images", type=Path, default=Path("docs/images"), help="where its pictures go")
    options = parser.parse_args(arguments)
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder that holds the sets")
    data = Path(os.environ["POMONA_DATA"])
    torch.set_num_threads(1)
    for step in options.steps:
        STEPS_OF_WORK[step](data, options.runs)
    pixels = rice_of_two_states(data)
    sets = {
        "test": pixels.take(the_split(pixels).test),
        "maize": maize_of_france(data),
        "an giang": rice_of_an_giang(data),
    }
    write_page(options.runs, sets, options.page, options.images)
    print(options.page)


if __name__ == "__main__":
    main()
