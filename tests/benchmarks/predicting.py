"""What a predicted yield costs a device: time on one core, and memory, in fresh processes.

    python -m tests.benchmarks.predicting [--bundle FOLDER] [--rounds N]

Without --bundle it makes one larger than any that is meant: five networks of width 32 on county effects, 18 features,
for whole seasons and three shorter ones, of drawn rows and hardly trained (time and memory do not depend on what was
learned). Time is the median of 200 predictions of one season, with the test of whether it is like the training; the
first prediction starts the graph and tries its parity sample. Memory is what the resident set and its peak grow by: in
a process that has all loaded that an estimate from a table needs, so that ONNX Runtime counts, and in one that has ONNX
Runtime too, since it counts fruit. It ends with 1 where a limit is not held.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from export.build.yields import YieldRecipe, build_yield_bundle
from models.yields.candidates import apyieldnet, on_county_effects
from models.yields.fitted import fit_season, fitted_model
from models.yields.table import Feature, YieldTable
from tests.models.yields.tables import drawn_table

MOST_MS, MOST_MB = 10.0, 60.0
_ESTIMATING = "import device.estimates, device.predictions, export.runtime.bundle"
_BEFORE = {
    "with ONNX Runtime itself": _ESTIMATING,
    "in a process that has it": f"{_ESTIMATING}, onnxruntime",
}
_WORK = """
import json, os, sys, time
import numpy as np
{before}

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

def peak_mb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith("VmHWM"))

resident, peak = resident_mb(), peak_mb()
started = time.perf_counter()
from pathlib import Path
from export.runtime.yield_model import open_yield_model
model = open_yield_model(Path(sys.argv[1]))
opened = time.perf_counter() - started
manifest = model.bundle.manifest
with np.load(model.bundle.folder / manifest.seasons[0].sample) as sample:
    season, year, area = (sample[name] for name in ("season", "year", "area_ha"))
county, took = next(iter(manifest.counties)), []
for number in range(201):
    row = number % len(season)
    started = time.perf_counter()
    model.predict(season[row : row + 1], [county], year[row : row + 1], area[row : row + 1])
    took.append(1000 * (time.perf_counter() - started))
assert "torch" not in sys.modules
print(json.dumps([sorted(took[1:])[100], took[0], opened, resident_mb() - resident, peak_mb() - peak]))
"""


def _table() -> YieldTable:
    """Drawn rows of 22 counties with as many features as a season file has."""
    table = drawn_table(22)
    groups = ["spectral"] * 5 + ["environmental"] * 11 + ["index"] * 2
    features = tuple(Feature(f"F{number:02}", group) for number, group in enumerate(groups))
    season = np.random.default_rng(0).normal(size=(len(table), len(table.months), len(features)))
    return replace(table, features=features, season=season)


def make_bundle(folder: Path) -> None:
    """Write the bundle that is measured."""
    table, seasons = _table(), []
    for some in (table, *(table.months_until(month) for month in (8, 7, 6))):
        candidate = replace(on_county_effects(apyieldnet(some, 5), "APYieldNet on county effects"), members=5)
        parameters = {**candidate.default, "width": 32, "epochs": 1}
        seasons.append(fit_season(candidate, some, parameters, half_width_kg_per_ha=1000, metrics={}))
    told: dict[str, Any] = {"licence": "AGPL-3.0-or-later", "attribution": (), "commit": "unknown"}
    fitted = fitted_model(table, seasons, training_data="drawn", simulated=True, **told)
    build_yield_bundle(fitted, folder, YieldRecipe("measured", "1.0.0"), lambda said: print(said, file=sys.stderr))


def measure(bundle: Path, before: str) -> list[float]:
    """Median and first prediction in ms, opening in s, growth of the resident set and of its peak in MB."""
    code = _WORK.format(before=before)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pinned = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    done = subprocess.run(
        [*pinned, sys.executable, "-c", code, str(bundle)], env=environment, check=True, capture_output=True, text=True
    )
    figures: list[float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    held = True
    with tempfile.TemporaryDirectory() as folder:
        bundle = arguments.bundle
        if bundle is None:
            bundle = Path(folder) / "bundle"
            make_bundle(bundle)
        size = sum(path.stat().st_size for path in bundle.iterdir()) / 1e6
        print(f"bundle of {size:.1f} MB, load {os.getloadavg()[0]:.1f}")
        for name, before in _BEFORE.items():
            runs = [measure(bundle, before) for _ in range(arguments.rounds)]
            ms, first, opened, resident, peak = (statistics.median(column) for column in zip(*runs, strict=True))
            print(
                f"{name:26} {ms:.2f} ms a prediction (first {first:.2f}), opened in {opened:.2f} s, "
                f"{resident:.0f} MB resident, peak {peak:.0f} MB"
            )
            held &= ms <= MOST_MS and max(resident, peak) <= MOST_MB
    print(f"limits of {MOST_MS:g} ms and {MOST_MB:g} MB: {'held' if held else 'not held'}")
    sys.exit(not held)


if __name__ == "__main__":
    main()
