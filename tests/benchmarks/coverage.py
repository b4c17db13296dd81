"""How often intervals hold the yield they promise, on drawn orchards and on real ones harvested tree by tree.

    POMONA_DATA=data python -m tests.benchmarks.coverage

Some minutes on one core; writes docs/results/correction.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from calibration.bootstrap import Block, draw_again
from calibration.fruit_weight import given_weight
from calibration.observed import SampledTrees
from calibration.sampling import SimpleRandom
from calibration.shared_factors import detector_factor
from calibration.siting import DEFAULT_BETWEEN_AREAS, SITINGS, area_factor
from calibration.yields import Predicted
from tests.calibration.harvested_orchards import GRIDS, read_apples, read_grid, spread_of_patches
from tests.calibration.sampled_harvests import cover
from tests.calibration.sampled_orchards import DESIGNS, ORCHARDS_OF_A_FARM, SIZES, Outcome, visit_farm

OUT = Path("docs/results/correction.md")
FARMS = 340
DRAWS = 500
REAL_DRAWS = 5000
SEED = 20

HEAD = """# Intervals of the corrected yield

How often a 90 % interval holds the yield *of the orchard*, not of the sampled trees. Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.coverage
```
"""

DRAWN = """
## Drawn orchards

{orchards:,} orchards of {farms:,} farms. Fruit follows the rows, grows in patches and differs between neighbours; a
photo hides some, shows some of the neighbours' and each side part of the other's; the detector is off in each
orchard as a whole; fruit is weighed in a sample; the satellite sees part of what differs between areas and errs on
the rest. How much of each is drawn anew for each farm. What the camera misses is learned on eight trees counted by
hand, or piece by piece (visibility, both sides, neighbours, the detector's manifest).

Trees stand *scattered* over the whole orchard, in *one area* of sixteen, or in the best-looking of three to seven
areas (*hand-picked*). The satellite's error between areas is *learned* from eight earlier areas of the farm, whose
harvests are known, or the *default*. Each cell: share of intervals that hold the orchard's yield, and their mean
width in per cent of it. A share is known to about ± {error:.1f} points (standard error).

"""

BOUNDS = """
Rows of the default are what an interval says before anything was learned on the farm: on the safe side. In the others
between {low:.1f} and {high:.1f} % of the intervals hold the yield.
"""

METHODS = """
Drawn again {draws} times (bootstrap) instead of by the delta method, and the plain ratio of the paper with an
interval from the differences between its trees, simple random samples:

"""

REAL = """
## Real orchards

Apple orchards whose trees were harvested one by one (Batchelor and Reed 1918, {sizes[0]} trees; Strickland 1935,
{sizes[1]}; Archbold, Brown and Cornelius 1987, {sizes[2]}; by way of the R package agridat). {draws:,} samples
each; the share of 90 % intervals that hold the known mean of all trees, and their mean width. Of a systematic
sample there are only as many as the step is long, so that its share is coarse.

"""

AREAS = """
## The error between areas before anything was learned

Standard deviation of log(mean of about 30 neighbouring trees / mean of the orchard), sampling variance taken off:
what a satellite model errs that sees no difference inside the orchard. The root mean square is {blind:.2f}; a model
that sees a third of the variance is left with {third:.2f}, and the default is {default:.2f}.

"""

SPEED = """
## Time

1000 blocks of 30 trees with bootstrap intervals of 1000 draws took {seconds:.2f} s of one core of the machine that
wrote this page.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)) + "\n"


def cell(outcomes: Sequence[Outcome]) -> str:
    """Share that hold, and mean width."""
    held = np.mean([outcome.covered for outcome in outcomes])
    width = np.mean([outcome.high - outcome.low for outcome in outcomes])
    return f"{100 * held:.1f} ({100 * width:.0f})"


def drawn_section(farms: int) -> str:
    """Coverage on drawn orchards."""
    random = np.random.default_rng(SEED)
    outcomes = []
    for number in range(farms):
        outcomes += visit_farm(random, draws=DRAWS)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number + 1} of {farms} farms")
    orchards = farms * ORCHARDS_OF_A_FARM
    head = ("trees stand", "error between areas", "chosen", *(f"{size} trees" for size in SIZES))
    text = DRAWN.format(orchards=orchards, farms=farms, error=100 * np.sqrt(0.09 / orchards))
    text += table(head, _rows(outcomes, "delta")) + _bounds(outcomes)
    return text + METHODS.format(draws=DRAWS) + table(("", *head[:2], *head[3:]), _methods(outcomes))


def _rows(outcomes: Sequence[Outcome], method: str) -> Iterable[Sequence[str]]:
    for siting in SITINGS:
        for learned in (True, False):
            for design in DESIGNS:
                found = [
                    outcome
                    for outcome in outcomes
                    if (outcome.method, outcome.siting, outcome.learned, outcome.design)
                    == (method, siting, learned, design)
                ]
                if found:
                    yield siting, _source(siting, learned=learned), design, *_by_size(found)


def _bounds(outcomes: Sequence[Outcome]) -> str:
    """The least and the greatest share of a cell whose error between areas is not the default."""
    cells: defaultdict[tuple[str, str, int], list[bool]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.method == "delta" and (outcome.learned or outcome.siting == "scattered"):
            cells[outcome.siting, outcome.design, outcome.trees].append(outcome.covered)
    held = [100 * float(np.mean(found)) for found in cells.values()]
    return BOUNDS.format(low=min(held), high=max(held))


def _methods(outcomes: Sequence[Outcome]) -> Iterable[Sequence[str]]:
    for method in ("bootstrap", "trees only"):
        for siting in SITINGS:
            found = [outcome for outcome in outcomes if (outcome.method, outcome.siting) == (method, siting)]
            source = "–" if method == "trees only" else _source(siting, learned=True)
            yield method, siting, source, *_by_size(found)


def _source(siting: str, *, learned: bool) -> str:
    if siting == "scattered":
        return "none"
    return "learned" if learned else "default"


def _by_size(outcomes: Sequence[Outcome]) -> list[str]:
    return [cell([outcome for outcome in outcomes if outcome.trees == size]) for size in SIZES]


def real_section(data: Path, draws: int) -> str:
    """Coverage on real trees."""
    orchards = read_apples(data)
    rows = []
    for orchard in orchards:
        for design in DESIGNS:
            found = [cover(orchard, design, size, draws, np.random.default_rng(SEED)) for size in SIZES]
            cells = (f"{100 * each.held:.1f} ({100 * each.width:.0f})" for each in found)
            rows.append((orchard.name.capitalize(), design, *cells))
    text = REAL.format(sizes=[len(orchard.yields) for orchard in orchards], draws=draws)
    return text + table(("orchard", "chosen", *(f"{size} trees" for size in SIZES)), rows)


def areas_section(data: Path) -> str:
    """The default error between areas."""
    found = {name: spread_of_patches(read_grid(data, name)) for name in GRIDS}
    blind = float(np.sqrt(np.mean([spread**2 for spread, _ in found.values()])))
    text = AREAS.format(blind=blind, third=blind * np.sqrt(2 / 3), default=DEFAULT_BETWEEN_AREAS.standard_error)
    rows = ((name.replace(".", ", "), str(patches), f"{spread:.2f}") for name, (spread, patches) in found.items())
    return text + table(("orchard", "patches", "standard deviation"), rows)


def timed(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    started = time.process_time()
    work()
    return time.process_time() - started


def speed_section() -> str:
    """Bootstrap intervals of many blocks."""
    random = np.random.default_rng(SEED)
    detector, area = detector_factor(0.0, 0.007, 27, 5), area_factor("one area")
    blocks = [
        Block(
            SampledTrees(random.gamma(6, 20, 30), SimpleRandom(1500), 300, (given_weight(weight), detector)),
            Predicted(random.lognormal(10, 0.1, 30), 25_000),
            area,
        )
        for weight in random.uniform(150, 250, 1000)
    ]
    return SPEED.format(seconds=timed(lambda: draw_again(blocks, 1000, random).intervals(0.9)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--farms", type=int, default=FARMS, help="farms of nine orchards to draw")
    parser.add_argument("--draws", type=int, default=REAL_DRAWS, help="samples of each real orchard")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if "POMONA_DATA" not in os.environ:
        parser.error("set POMONA_DATA to the folder of real data")
    data = Path(os.environ["POMONA_DATA"])
    sections = (drawn_section(options.farms), real_section(data, options.draws), areas_section(data), speed_section())
    options.out.write_text(HEAD + "".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
