"""APYieldNet beside the models it is compared with, on public yields, each year predicted from the others.

    POMONA_DATA=data python -m tests.benchmarks.yields illinois illinois-forward

About twenty minutes for Illinois on two idle cores; any set can be run alone. What is done is kept in a folder
(--runs) and not done again; docs/results/yields.md is written from all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from models.yields.augmentation import AugmentationSettings, augment
from models.yields.candidates import (
    Candidate,
    apyieldnet,
    linear_candidates,
    recurrent_candidates,
    sceptical_candidates,
    wide_alone,
    wide_and_deep,
)
from models.yields.comparison import Outcome, run_on_splits
from models.yields.importers import (
    CORN_BUSHELS_PER_ACRE,
    SOYBEAN_BUSHELS_PER_ACRE,
    china_wheat,
    departures_from_year,
    illinois_soybean,
    iowa,
    state_apples,
)
from models.yields.samples import Samples
from models.yields.splits import Split, hold_out_years, leave_year_out
from models.yields.table import YieldTable
from tests.benchmarks.kept import keep
from tests.benchmarks.yields_page import (
    ABLATIONS,
    AUGMENTATIONS,
    OURS,
    WIDE_ALONE,
    WIDE_AND_DEEP,
    SetResult,
    write_page,
)

OUT = Path("docs/results/yields.md")
MEMBERS = 4
# of a network and of ours; more of what takes no time, so that no rival loses for want of a search
TRIALS, LINEAR_TRIALS = 8, 40
LINEAR = ("Lasso", "Ridge", "Multiple linear", "PLSR", "County effects")


@dataclass(frozen=True)
class RealSet:
    """A public set and how it is tested.

    Attributes:
        title: of its section.
        read: makes the table from the folder of all sets.
        unit: in which errors are shown.
        kg_per_ha: of one such unit.
        splits: which rows are tested on.
        anomaly: whether yields are departures from the year's mean, of which no percentage can be taken.
        ablation: whether switches and augmentation are compared too.
        note: what a reader has to know of the set.
    """

    title: str
    read: Callable[[Path], YieldTable]
    unit: str
    kg_per_ha: float
    splits: Callable[[YieldTable], list[Split]]
    anomaly: bool = False
    ablation: bool = False
    note: str = ""


def _years(table: YieldTable) -> list[Split]:
    return list(leave_year_out(table))


def _forward(table: YieldTable) -> list[Split]:
    return [hold_out_years(table, 2019)]


def _illinois_anomaly(folder: Path, *, indices: bool) -> YieldTable:
    return departures_from_year(illinois_soybean(folder / "illinois_soy_county", indices=indices))


_ILLINOIS = (
    "96 counties. Yields and features are departures from the mean of all counties in the same year, so what is "
    "predicted is how a county stands among the others, not how the year is; the features of all counties of a test "
    "year are used, their yields are not. The departure published with the set has the counties Lake and LaSalle the "
    "wrong way round; it is computed anew here."
)
SETS: Mapping[str, RealSet] = {
    "illinois": RealSet(
        "Illinois soybean, departure from the year's mean, 2018 to 2022, each year left out",
        partial(_illinois_anomaly, indices=True),
        "bu/ac",
        SOYBEAN_BUSHELS_PER_ACRE,
        _years,
        anomaly=True,
        ablation=True,
        note=f"{_ILLINOIS} Six weather and soil features and seven satellite indices, in seven steps of a season.",
    ),
    "illinois-forward": RealSet(
        "Illinois soybean, departure from the year's mean, 2019 to 2022 from 2015 to 2018",
        partial(_illinois_anomaly, indices=False),
        "bu/ac",
        SOYBEAN_BUSHELS_PER_ACRE,
        _forward,
        anomaly=True,
        note=(
            f"{_ILLINOIS} Weather and soil moisture alone: the indices begin in 2018. The test years are those of the "
            "set's own test file. A published graph network reports R² 0.50 and RMSE 4.81 bu/ac on this departure; "
            "which years it was tested on is not told with the set."
        ),
    ),
    "iowa-corn": RealSet(
        "Iowa corn, 2017 to 2022, each year left out",
        lambda folder: iowa(folder / "iowa_county_hrrr", "corn"),
        "bu/ac",
        CORN_BUSHELS_PER_ACRE,
        _years,
    ),
    "iowa-soybean": RealSet(
        "Iowa soybean, 2017 to 2022, each year left out",
        lambda folder: iowa(folder / "iowa_county_hrrr", "soybean"),
        "bu/ac",
        SOYBEAN_BUSHELS_PER_ACRE,
        _years,
    ),
    "china-wheat": RealSet(
        "Winter wheat in China, 2011 to 2014, each year left out",
        lambda folder: china_wheat(folder / "china_county_wheat"),
        "kg/ha",
        1.0,
        _years,
    ),
    "state-apples": RealSet(
        "Apples of four states of the USA, 2007 to 2023, each year left out",
        lambda folder: state_apples(folder / "apple_state_yield_weather"),
        "kg/mu",
        15.0,
        _years,
        note=(
            "Temperatures of Washington and Michigan stay near 45 °F at their highest all year, so they are not of the "
            "months they stand in."
        ),
    ),
}


def candidates_of(table: YieldTable) -> list[Candidate]:
    """All models, ours last."""
    ours = apyieldnet(table, MEMBERS, OURS)
    return [
        *linear_candidates(),
        *recurrent_candidates(table, MEMBERS),
        *sceptical_candidates(),
        ours,
        wide_alone(WIDE_ALONE),
        wide_and_deep(ours, WIDE_AND_DEEP),
    ]


def variants_of(table: YieldTable) -> list[Candidate]:
    """The network with a switch changed, and wide and deep with rows added, for settings found without."""
    variants = [apyieldnet(table, MEMBERS, name, **switches) for name, switches in ABLATIONS.items()]
    for name, (noise, mixup, tvae) in AUGMENTATIONS.items():
        settings = AugmentationSettings(noise_copies=noise, mixup_rows=mixup, tvae_rows=tvae)
        network = apyieldnet(table, MEMBERS, name, partial(_augmented, settings))
        variants.append(wide_and_deep(network, name))
    return variants


def _augmented(settings: AugmentationSettings, rows: Samples, random: np.random.Generator) -> Samples:
    return augment(rows, settings, random)


def _run(data: Path, runs: Path, set_name: str, name: str) -> float:
    """One model on one set, kept in a file; the seconds it took."""
    torch.set_num_threads(1)
    threadpool_limits(1)  # the trees' threads; processes share the cores
    began, began_processor = time.perf_counter(), time.process_time()
    real = SETS[set_name]
    table = real.read(data / "satellite")
    splits = real.splits(table)
    found = {candidate.name: candidate for candidate in candidates_of(table)}
    if name in found:
        outcome = run_on_splits(found[name], table, splits, LINEAR_TRIALS if name in LINEAR else TRIALS)
    else:
        variant = next(candidate for candidate in variants_of(table) if candidate.name == name)
        chosen = _read(_file(runs, set_name, OURS if name in ABLATIONS else WIDE_AND_DEEP)).parameters
        outcome = run_on_splits(variant, table, splits, 1, chosen=chosen, intervals=False)
    seconds, processor = time.perf_counter() - began, time.process_time() - began_processor
    kept = outcome.as_dict() | {"seconds": seconds, "processor_seconds": processor}
    keep(_file(runs, set_name, name), kept)
    return seconds


def _file(runs: Path, set_name: str, name: str) -> Path:
    return runs / set_name / f"{name.replace(' ', '-').replace('+', 'and')}.json"


def _read(file: Path) -> Outcome:
    return Outcome.from_dict(json.loads(file.read_text(encoding="utf-8")))


def _processor_seconds(file: Path) -> float | None:
    seconds: float | None = json.loads(file.read_text(encoding="utf-8")).get("processor_seconds")
    return seconds


def _results(data: Path, runs: Path) -> list[SetResult]:
    results = []
    for set_name, real in SETS.items():
        if not (runs / set_name).is_dir():
            continue
        table = real.read(data / "satellite")
        names = [candidate.name for candidate in candidates_of(table)]
        names += [candidate.name for candidate in variants_of(table)] if real.ablation else []
        outcomes = {name: _read(_file(runs, set_name, name)) for name in names if _file(runs, set_name, name).is_file()}
        missing = [name for name in names if name not in outcomes]
        seconds = [_processor_seconds(_file(runs, set_name, name)) for name in outcomes]
        yields = table.yield_kg_per_ha / real.kg_per_ha
        scaled = {
            name: replace(o, predicted=o.predicted / real.kg_per_ha, half_widths=o.half_widths / real.kg_per_ha)
            for name, o in outcomes.items()
        }
        results.append(
            SetResult(
                real.title,
                real.unit,
                yields,
                table.year,
                scaled,
                real.note,
                missing,
                anomaly=real.anomaly,
                processor_seconds=None if missing or None in seconds else sum(filter(None, seconds)),
            )
        )
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], help="sets to run; none: only write the page")
    parser.add_argument("--runs", type=Path, default=Path("runs/yields"), help="folder of what is done")
    parser.add_argument("--jobs", type=int, default=2, help="models at a time")
    parser.add_argument("--only", action="append", help="name of a model")
    options = parser.parse_args(arguments)
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder that holds the sets")
    data = Path(os.environ["POMONA_DATA"])
    for set_name in options.sets:
        table = SETS[set_name].read(data / "satellite")
        rounds = [candidates_of(table), variants_of(table) if SETS[set_name].ablation else []]
        for candidates in rounds:  # variants take the settings that the first round finds
            names = [c.name for c in candidates if not options.only or c.name in options.only]
            todo = [name for name in names if not _file(options.runs, set_name, name).is_file()]
            with ProcessPoolExecutor(options.jobs) as pool:
                # the last take longest: begun first, they do not run alone at the end
                running = {pool.submit(_run, data, options.runs, set_name, name): name for name in reversed(todo)}
                for done in as_completed(running):
                    print(f"{set_name}: {running[done]} in {done.result():.0f} s", flush=True)
    write_page(_results(data, options.runs), list(SETS), (TRIALS, LINEAR_TRIALS), MEMBERS, OUT)
    print(OUT)


if __name__ == "__main__":
    main()
