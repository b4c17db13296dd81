"""MT-CYP-Net beside the models it is compared with, on real fields; one command a table.

    POMONA_DATA=data python -m tests.benchmarks.pixel_yields bavaria
    POMONA_DATA=data python -m tests.benchmarks.pixel_yields shares ablation bands agrifieldnet joint speed

What is done is kept in a folder (--runs) and not done again: stop it any time, start it again to go on.
docs/results/mt-cyp-net.md is written from all that is there; without a name it is only written.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.yields.pixels.candidates import SMALL_TRAINING, Candidate, network_candidate, tune
from models.yields.pixels.folds import by_field, share_of_points
from models.yields.pixels.losses import LossSettings
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.scenes import Scene, tiles
from models.yields.pixels.trees import tree_candidates
from tests.benchmarks.kept import keep
from tests.benchmarks.pixel_crops import CROP_RUNS
from tests.benchmarks.pixel_yield_sets import BAVARIAN_CROPS, bavaria
from tests.benchmarks.pixel_yields_page import write_page
from tests.benchmarks.pixel_yields_speed import measure_speed

OUT = Path("docs/results/mt-cyp-net.md")
FOLDS, INNER = 10, 2
TRIALS, MEMBERS = 4, 3
TILE_PX = 32
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
SEEDS = 10
_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
# what Figure 11 compares: two of the three visible bands and infrared, all four of 10 m, all, and all with indices
BAND_SETS: Mapping[str, tuple[int, ...]] = {
    "B02 B03 B04": (1, 2, 3),
    "B02 B03 B08": (1, 2, 7),
    "B02 B03 B04 B08": (1, 2, 3, 7),
    "all bands": tuple(range(12)),
    "all bands and indices": tuple(range(16)),
}
OURS, CY_UNET = "MT-CYP-Net (small)", "CY-Unet (small)"
_SMALL = NetworkSettings(
    encoder="small", bands=16, classes=len(BAVARIAN_CROPS) + 1, dates=12, straight=True, width=8, dropout=0.1
)
_TRAINING = replace(SMALL_TRAINING, per_crop=False)


def networks() -> list[Candidate]:
    """Ours and the single task, from the same labels by the same search."""
    return [
        network_candidate(CY_UNET, BAVARIAN_CROPS, replace(_SMALL, form="cy-unet"), _TRAINING, MEMBERS),
        network_candidate(OURS, BAVARIAN_CROPS, _SMALL, _TRAINING, MEMBERS),
    ]


def ablations() -> list[Candidate]:
    """Ours with a switch changed, at the settings it has by default, one network each."""
    sets = {
        "as it is": (_SMALL, _TRAINING),
        "no straight line": (replace(_SMALL, straight=False), replace(_TRAINING, epochs=20, learning_rate=3e-3)),
        "line alone, nothing learned on it": (replace(_SMALL, form="cy-unet"), replace(_TRAINING, learning_rate=1e-12)),
        "MT-CYP-Net-hard": (replace(_SMALL, form="mt-cyp-net-hard"), _TRAINING),
        "CY-Unet": (replace(_SMALL, form="cy-unet"), _TRAINING),
        "the paper's weight of yields": (_SMALL, replace(_TRAINING, loss=LossSettings())),
        "consistency as printed, a sum": (
            _SMALL,
            replace(_TRAINING, loss=replace(_TRAINING.loss, reduction="sum")),
        ),
        "yields scaled crop by crop": (_SMALL, replace(_TRAINING, per_crop=True)),
        "attention over time, no line": (
            replace(_SMALL, straight=False, over_time="attention", time_width=16),
            replace(_TRAINING, epochs=20, learning_rate=3e-3),
        ),
        "a variance for each pixel": (replace(_SMALL, uncertainty=True), _TRAINING),
        "rare yields weigh more": (_SMALL, replace(_TRAINING, weighing=replace(_TRAINING.weighing, rare=True))),
        "no flips and turns": (_SMALL, replace(_TRAINING, augmentation=replace(_TRAINING.augmentation, turn=False))),
        "clouds marked in the stack": (replace(_SMALL, cloud_mask=True), _TRAINING),
    }
    return [network_candidate(name, BAVARIAN_CROPS, *forms, members=1) for name, forms in sets.items()]


@dataclass(frozen=True)
class Job:
    """One fit whose predictions are kept.

    Attributes:
        table: of the page.
        name: of the row.
        part: fold, or share and seed.
        run: gives what is kept.
    """

    table: str
    name: str
    part: str
    run: Callable[[], dict[str, Any]]

    def file(self, runs: Path) -> Path:
        """Where it is kept."""
        name = "".join(letter if letter.isalnum() else "-" for letter in self.name)
        return runs / self.table / name / f"{self.part}.json"


def _bavarian_tiles(data: Path, labels: str = "grid") -> tuple[list[Scene], list[Scene]]:
    """Whole fields as published, to be judged on, and tiles to train on."""
    scenes = bavaria(data)
    learned = scenes if labels == "grid" else bavaria(data, "cleaned")
    return scenes, [tile for scene in learned for tile in tiles(scene, TILE_PX, 0.0) if tile.labelled]


def _judged(mapper: Callable[[Scene], Any], scenes: Sequence[Scene], fields: set[int]) -> dict[str, Any]:
    """Predictions at every published yield of some fields."""
    held_out = [scene for scene in scenes if int(scene.points.field[0]) in fields]
    said = [mapper(scene)[scene.points.row, scene.points.column] for scene in held_out]
    return {
        "yields": np.concatenate([scene.points.yields for scene in held_out]).round(4).tolist(),
        "predicted": np.concatenate(said).round(4).tolist(),
        "field": np.concatenate([scene.points.field for scene in held_out]).tolist(),
        "crop": np.concatenate([scene.points.crop for scene in held_out]).tolist(),
    }


def _selected(scenes: Sequence[Scene], bands: Sequence[int]) -> list[Scene]:
    return [replace(scene, images=scene.images[:, list(bands)]) for scene in scenes]


def _by_field(
    data: Path, candidate: Candidate, fold: int, trials: int, labels: str = "grid", bands: Sequence[int] | None = None
) -> dict[str, Any]:
    began = time.process_time()
    scenes, cut = _bavarian_tiles(data, labels)
    if bands is not None:
        scenes, cut = _selected(scenes, bands), _selected(cut, bands)
    division = list(by_field(cut, FOLDS, 0))[fold]
    parameters = tune(candidate, division.train, trials, INNER, seed=0)
    mapper = candidate.fit_members(division.train, parameters, 0)
    fields = {int(number) for tile in division.test for number in np.unique(tile.points.field)}
    found = _judged(mapper, scenes, fields)
    return found | {"parameters": dict(parameters), "cpu_s": round(time.process_time() - began, 1)}


def _share(data: Path, candidate: Candidate, share: float, seed: int) -> dict[str, Any]:
    """Seven tenths of the fields to learn from, of whose yields a share is known, three tenths to judge on."""
    scenes, cut = _bavarian_tiles(data)
    fields = np.random.default_rng(seed).permutation(len(scenes))
    test = fields[: round(0.3 * len(fields))]
    learned = [tile for tile in (one.without(test) for one in cut) if tile.labelled]
    mapper = candidate.fit(share_of_points(learned, share, seed), candidate.default, seed)
    return _judged(mapper, scenes, set(test.tolist()))


def _bavaria_jobs(data: Path) -> Iterator[Job]:
    for candidate in [*networks(), *tree_candidates()]:
        for fold in range(FOLDS):
            yield Job("bavaria", candidate.name, str(fold), partial(_by_field, data, candidate, fold, TRIALS))


def _label_jobs(data: Path) -> Iterator[Job]:
    for candidate in [networks()[1], *tree_candidates()]:
        one = replace(candidate, members=1)
        for fold in range(FOLDS):
            yield Job("cleaned", candidate.name, str(fold), partial(_by_field, data, one, fold, 1, "cleaned"))


def _ablation_jobs(data: Path) -> Iterator[Job]:
    for candidate in ablations():
        for fold in range(FOLDS):
            yield Job("ablation", candidate.name, str(fold), partial(_by_field, data, candidate, fold, 1))


def _band_jobs(data: Path) -> Iterator[Job]:
    for title, bands in BAND_SETS.items():
        small = replace(_SMALL, bands=len(bands))
        ours = network_candidate(OURS, BAVARIAN_CROPS, small, _TRAINING, 1)
        single = network_candidate(CY_UNET, BAVARIAN_CROPS, replace(small, form="cy-unet"), _TRAINING, 1)
        for candidate in (ours, single, *tree_candidates()):
            for fold in range(FOLDS):
                run = partial(_by_field, data, candidate, fold, 1, "grid", bands)
                yield Job("bands", f"{candidate.name} / {title}", str(fold), run)


def _share_jobs(data: Path) -> Iterator[Job]:
    for seed in range(SEEDS):
        for share in SHARES:
            for candidate in [replace(one, members=1) for one in (*networks(), *tree_candidates())]:
                yield Job(
                    "shares", f"{candidate.name} / {share:g}", str(seed), partial(_share, data, candidate, share, seed)
                )


def _crop_jobs(table: str, data: Path) -> Iterator[Job]:
    for name, part, run in CROP_RUNS[table]():
        yield Job(table, name, part, partial(run, data))


TABLES: Mapping[str, Callable[[Path], Iterator[Job]]] = {
    "bavaria": _bavaria_jobs,
    "cleaned": _label_jobs,
    "ablation": _ablation_jobs,
    "bands": _band_jobs,
    "shares": _share_jobs,
    **{table: partial(_crop_jobs, table) for table in CROP_RUNS},
    "speed": lambda data: iter([Job("speed", "all", "0", partial(measure_speed, data))]),
}


def _run(job: Job, runs: Path) -> None:
    torch.set_num_threads(1)
    keep(job.file(runs), {"name": job.name, **job.run()})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="tables to run; none: only write the page")
    parser.add_argument("--runs", type=Path, default=Path("runs/mt-cyp-net"), help="folder of what is done")
    parser.add_argument("--jobs", type=int, default=1, help="fits at a time")
    parser.add_argument("--only", action="append", help="rows whose name begins so")
    options = parser.parse_args(arguments)
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder that holds the sets")
    data = Path(os.environ["POMONA_DATA"])
    for table in options.tables:
        wanted = [job for job in TABLES[table](data) if not options.only or job.name.startswith(tuple(options.only))]
        todo = [job for job in wanted if not job.file(options.runs).is_file()]
        if options.jobs == 1:
            for job in todo:
                began = time.perf_counter()
                if not job.file(options.runs).is_file():  # another process may have done it meanwhile
                    _run(job, options.runs)
                    print(f"{table}: {job.name} {job.part} in {time.perf_counter() - began:.0f} s", flush=True)
        else:
            _run_together(todo, options.runs, options.jobs)
    write_page(options.runs, OUT)
    print(OUT)


def _run_together(todo: Sequence[Job], runs: Path, jobs: int) -> None:
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(_run, job, runs): job for job in todo}
        for done in as_completed(running):
            done.result()
            print(f"{running[done].table}: {running[done].name} {running[done].part}", flush=True)


if __name__ == "__main__":
    main()
