"""Textures of real fields: what they add to bands and indices in telling crops apart, and what they cost.

    python -m tests.benchmarks.textures [--trees N] [--seeds N]

AgriFieldNet (Radiant Earth, CC BY 4.0): 75 tiles of 256 x 256 px of Sentinel-2 in northern India, with fields of 13
crops. A field's features are the means over its pixels; a random forest of scikit-learn is fitted on the fields of
other tiles (ten folds of whole tiles) and asked for each field. Pixels are stored as whole numbers to 255 without a
scale, so indices are made of them as they are, and textures quantise the range of B08 that holds 98 % of all pixels.

Prints the table of docs/results/textures.md. Intervals are of 2,000 bootstrap draws of whole tiles; a difference is
drawn with the same tiles on both sides.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import cohen_kappa_score, f1_score
from sklearn.model_selection import GroupKFold

from models.earth.glcm import TextureSettings, textures
from models.earth.indices import indices

SIZES_PX = (1, 2, 3, 5)
_DRAWS = 2000
_FOLDS = 10


@dataclass(frozen=True)
class Fields:
    """Fields with their features.

    Attributes:
        crop: (n,) code of each.
        tile: (n,) number of its tile.
        features: by group, (n, features).
        us_a_px: by group, microseconds a pixel took.
    """

    crop: NDArray[np.int64]
    tile: NDArray[np.int64]
    features: Mapping[str, NDArray[np.float64]]
    us_a_px: Mapping[str, float]


def read_fields(path: Path) -> Fields:
    """Make all features of all fields."""
    with np.load(path) as stored:
        names = [str(name) for name in stored["bands"]]
        tiles = stored["X"].astype(np.float32) / 255
        labels, ids = stored["labels"], stored["field_ids"]
    low, high = np.percentile(tiles[:, names.index("B08")], (1, 99))
    settings = {f"textures {2 * size + 1} x {2 * size + 1}": _settings(size, low, high) for size in SIZES_PX}
    groups: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("bands and indices", *settings)}
    seconds = dict.fromkeys(settings, 0.0)
    crops: list[int] = []
    of_tile: list[int] = []
    for number, tile in enumerate(tiles):
        scene = xr.Dataset({name: (("y", "x"), band) for name, band in zip(names, tile, strict=True)})
        made = {"bands and indices": np.concatenate([tile, indices(scene).to_dataarray().to_numpy()])}
        for name, chosen in settings.items():
            started = time.perf_counter()
            made[name] = textures(scene["B08"], chosen).to_dataarray().to_numpy()
            seconds[name] += time.perf_counter() - started
        for field in np.unique(ids[number][ids[number] > 0]):
            inside = ids[number] == field
            crops.append(int(np.bincount(labels[number][inside]).argmax()))
            of_tile.append(number)
            for name, layers in made.items():
                groups[name].append(np.nanmean(layers[:, inside], axis=1))
    pixels = tiles.shape[0] * tiles.shape[2] * tiles.shape[3]
    return Fields(
        np.array(crops),
        np.array(of_tile),
        {name: np.array(rows) for name, rows in groups.items()},
        {name: spent / pixels * 1e6 for name, spent in seconds.items()},
    )


def _settings(size_px: int, low: float, high: float) -> TextureSettings:
    return TextureSettings(size_px, low=float(low), high=float(high))


def predicted(fields: Fields, groups: tuple[str, ...], trees: int, seeds: int) -> NDArray[np.int64]:
    """(seeds, n) What a forest fitted on other tiles says of each field."""
    features = np.concatenate([fields.features[group] for group in groups], axis=1)
    told = np.empty((seeds, len(features)), dtype=np.int64)
    for seed in range(seeds):
        folds = GroupKFold(_FOLDS, shuffle=True, random_state=seed)
        for others, here in folds.split(features, fields.crop, fields.tile):
            forest = RandomForestClassifier(trees, class_weight="balanced", random_state=seed)
            told[seed, here] = forest.fit(features[others], fields.crop[others]).predict(features[here])
    return told


def scores(crop: NDArray[np.int64], told: NDArray[np.int64]) -> NDArray[np.float64]:
    """(3,) Overall accuracy, kappa and mean F1 of the crops, averaged over seeds."""
    of_seeds = [
        ((one == crop).mean(), cohen_kappa_score(crop, one), f1_score(crop, one, average="macro", zero_division=0))
        for one in told
    ]
    return np.asarray(np.mean(of_seeds, axis=0))


def accuracy_intervals(
    fields: Fields, told: NDArray[np.int64], plain: NDArray[np.int64]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of the overall accuracy, and of how much it is above that of ``plain``: 95 %, tiles drawn with replacement."""
    tiles = np.unique(fields.tile)
    right = (told == fields.crop).mean(axis=0)
    more = right - (plain == fields.crop).mean(axis=0)
    sums = np.array([[right[fields.tile == tile].sum(), more[fields.tile == tile].sum()] for tile in tiles])
    counts = np.array([(fields.tile == tile).sum() for tile in tiles])
    drawn = np.random.default_rng(0).integers(len(tiles), size=(_DRAWS, len(tiles)))
    shares = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    (low, more_low), (high, more_high) = np.percentile(shares, (2.5, 97.5), axis=0)
    return (low, high), (more_low, more_high)


def main() -> None:
    """Parse the arguments, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    fields = read_fields(Path(os.environ["POMONA_DATA"]) / "satellite" / "agrifieldnet" / "tiles_s2_uint8.npz")
    print(f"{len(fields.crop)} fields of {len(np.unique(fields.crop))} crops on {len(np.unique(fields.tile))} tiles")
    print("| features | overall accuracy | more than bands and indices | kappa | mean F1 | µs a pixel |")
    print("| --- | --- | --- | --- | --- | --- |")
    plans: list[tuple[str, ...]] = [("bands and indices",)]
    plans += [(name,) for name in fields.us_a_px if "7 x 7" in name]
    plans += [("bands and indices", name) for name in fields.us_a_px]
    plain = predicted(fields, plans[0], arguments.trees, arguments.seeds)
    for plan in plans:
        told = plain if plan == plans[0] else predicted(fields, plan, arguments.trees, arguments.seeds)
        accuracy, kappa, f1 = scores(fields.crop, told)
        (low, high), (more_low, more_high) = accuracy_intervals(fields, told, plain)
        more = "" if plan == plans[0] else f"{more_low * 100:+.1f} to {more_high * 100:+.1f} points"
        spent = "".join(f"{fields.us_a_px[name]:.2f}" for name in plan if name in fields.us_a_px)
        overall = f"{accuracy:.3f} ({low:.3f} to {high:.3f})"
        print(f"| {', '.join(plan)} | {overall} | {more} | {kappa:.3f} | {f1:.3f} | {spent} |")


if __name__ == "__main__":
    main()
