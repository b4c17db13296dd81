"""Partial pooling of the correction factor beside the plain ratio, for blocks with few sampled trees.

    POMONA_DATA=data python -m tests.benchmarks.pooling

On yields of single trees of real orchards and on simulated regions and years; about two minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.pooling import BlockFactor, apply_prior, fit_prior
from tests.benchmarks.orchard_yields import Orchard, read_apples, read_oranges

OUT = Path("docs/results/pooling.md")
TREES = (3, 6, 10)
CONFIDENCE = 0.9
DRAWS = 200
WORLDS = 200
REGIONAL_ERROR = 0.15  # standard deviation of log(predicted / true) between orchards


@dataclass(frozen=True)
class Trial:
    """One block that was left out.

    Attributes:
        cluster: what is independent of other clusters: the block, or the simulated world.
        ratio: absolute error of the plain ratio, as a share of the prediction's scale.
        prior: of what the other blocks alone let expect.
        pooled: of partial pooling.
        hit: whether partial pooling's 90 % interval held the truth.
    """

    cluster: str
    ratio: float
    prior: float
    pooled: float
    hit: bool


@dataclass(frozen=True)
class Sampled:
    """A block's sampled trees beside its true factor."""

    place: str
    group: str
    truth: float
    factor: BlockFactor


def sample_block(
    rng: np.random.Generator, yields: NDArray[np.float64], trees: int, predicted: float, where: tuple[str, int, str]
) -> BlockFactor:
    """A simple random sample of the block's trees against its prediction."""
    sample = rng.choice(yields, trees, replace=False)
    left = 1 - trees / len(yields)
    mean = float(sample.mean())
    variance = float(sample.var(ddof=1)) / mean**2 / trees * left
    return BlockFactor(log(mean / predicted), variance, trees - 1, trees / left, *where)


def try_block(own: Sampled, others: Sequence[Sampled], scale: float = 1.0) -> Trial:
    prior = fit_prior([other.factor for other in others])
    pooled = apply_prior(prior, own.factor)
    expected = prior.expect(own.factor.region, own.factor.year, own.factor.variety)
    low, high = pooled.factor.positive_interval(CONFIDENCE)

    def error(factor: float) -> float:
        return abs(factor - own.truth) * scale

    return Trial(
        cluster=own.group,
        ratio=error(exp(own.factor.log_factor)),
        prior=error(exp(expected.value)),
        pooled=error(pooled.factor.value),
        hit=low <= own.truth <= high,
    )


def real_trials(orchards: Sequence[Orchard], trees: int, draws: int) -> Iterator[Trial]:
    """Each block left out in turn, with all its years; the model predicts one figure for each orchard.

    That figure errs by orchard, anew in each draw, so that how an orchard is misjudged has to be learned from the
    samples of its other blocks. Errors are shares of the orchard's mean yield.
    """
    rng = np.random.default_rng(trees)
    for _ in range(draws):
        sampled: list[Sampled] = []
        scales: list[float] = []
        for orchard in orchards:
            mean, wrong = orchard.mean(), exp(rng.normal(0, REGIONAL_ERROR))
            for (place, year), yields in orchard.blocks.items():
                factor = sample_block(rng, yields, trees, mean * wrong, (orchard.name, int(year), orchard.name))
                name = f"{orchard.name} {place}"
                sampled.append(Sampled(name, name, float(yields.mean()) / mean / wrong, factor))
                scales.append(wrong)
        for own, scale in zip(sampled, scales, strict=True):
            yield try_block(own, [other for other in sampled if other.place != own.place], scale)


@dataclass(frozen=True)
class World:
    """How simulated blocks differ: standard deviations of log α.

    Attributes:
        title: what is tried, for the table.
        region: between regions.
        year: between years.
        season: between years of a region, beyond that.
        variety: between varieties.
        block: between blocks of one region, year and variety.
        tree: coefficient of variation between trees of a block.
        new_year: the prior knows earlier years only.
    """

    title: str
    region: float = 0.15
    year: float = 0.10
    season: float = 0.08
    variety: float = 0.08
    block: float = 0.15
    tree: float = 0.35
    new_year: bool = False


SIMULATED = (
    World("regions, years and blocks differ alike"),
    World("a year nobody has measured yet", new_year=True),
    World("one good model: nothing differs much", region=0.03, year=0.03, season=0.03, variety=0.03, block=0.05),
    World("blocks differ by 50 %: little to borrow", block=0.5),
    World("regions differ by 40 %", region=0.4),
)
REGIONS, YEARS, VARIETIES, BLOCKS = 4, 3, 2, 4


def simulated_trials(world: World, trees: int, worlds: int) -> Iterator[Trial]:
    """In each world the blocks of the last year are left out in turn."""
    for number in range(worlds):
        rng = np.random.default_rng((number, trees))
        region, year = rng.normal(0, world.region, REGIONS), rng.normal(0, world.year, YEARS)
        season, variety = rng.normal(0, world.season, (REGIONS, YEARS)), rng.normal(0, world.variety, VARIETIES)
        sampled = []
        for r, y in np.ndindex(REGIONS, YEARS):
            for b in range(BLOCKS):
                v = int(rng.integers(VARIETIES))
                truth = exp(region[r] + year[y] + season[r, y] + variety[v] + rng.normal(0, world.block))
                shape = 1 / world.tree**2
                yields = truth * rng.gamma(shape, 1 / shape, 400)
                factor = sample_block(rng, yields, trees, 1.0, (f"region {r}", y, f"variety {v}"))
                sampled.append(Sampled(f"{r} {y} {b}", str(number), float(yields.mean()), factor))
        last = [own for own in sampled if own.factor.year == YEARS - 1]
        earlier = [other for other in sampled if other.factor.year < YEARS - 1]
        for own in last[::BLOCKS]:  # one block of each region
            yield try_block(own, earlier if world.new_year else [other for other in sampled if other is not own])


def paired_interval(differences: NDArray[np.float64], clusters: Sequence[str]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean difference; whole clusters are drawn."""
    names, index = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(index, differences), np.bincount(index)
    drawn = np.random.default_rng(0).integers(len(names), size=(10_000, len(names)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def table_row(title: str, trees: int, trials: Sequence[Trial]) -> tuple[str, ...]:
    columns = {
        name: np.array([getattr(trial, name) for trial in trials]) for name in ("ratio", "prior", "pooled", "hit")
    }
    differences = columns["pooled"] - columns["ratio"]
    low, high = paired_interval(differences, [trial.cluster for trial in trials])
    means = {name: 100 * float(values.mean()) for name, values in columns.items()}
    return (
        title,
        str(trees),
        f"{means['ratio']:.1f}",
        f"{means['prior']:.1f}",
        f"{means['pooled']:.1f}",
        f"{means['pooled'] - means['ratio']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
        f"{means['hit']:.0f} %",
    )


HEAD = ("", "trees", "plain ratio", "other blocks alone", "partial pooling", "difference, 95 % interval", "held")


def table(rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *rows)) + "\n"


PAGE = """# Partial pooling beside the plain ratio

How far a correction factor is off that rests on few trees: the plain ratio of the block's own trees, what other blocks
alone let expect, and partial pooling of both. Mean absolute error in per cent of the yield; a difference below zero
means that partial pooling is better than the plain ratio. Its interval is paired and by bootstrap over blocks (real
orchards) or worlds (simulated). The last column counts how often the 90 % interval of partial pooling held the truth.

```sh
POMONA_DATA=data python -m tests.benchmarks.pooling
```

## Real orchards

Weights picked from single trees: Jonathan apples at Providence, Utah (Batchelor and Reed, Journal of Agricultural
Research 1918, 12, 245); apples in Victoria (Strickland, Journal of Agriculture, Victoria 1935, 33, 408); Delicious and
Golden Delicious on four stocks at three spacings in Kentucky (Archbold, Brown and Cornelius, Journal of the American
Society for Horticultural Science 1987, 112, 219); and, for its seven years, an orange grove at Riverside, California
(Parker and Batchelor, Hilgardia 1932, 7, 81). All come by way of the R package agridat (Kevin Wright).

Each is divided into blocks of neighbours ({blocks}).
In each of {draws} draws every block is sampled at random; then each is left out in turn, with all its years, and the
prior is fitted to the samples of the others. No satellite saw these orchards: the model is taken to predict one figure
for each, {error:.0f} % off at random, anew in each draw. So α differs between blocks as yield does, and how an orchard
is misjudged has to be learned from its other blocks.

{real}
## Simulated regions and years

{regions} regions x {years} years x {per_cell} blocks of two varieties; trees of a block differ by a coefficient of
variation of {tree:.0f} %. {worlds} worlds a row; in each, one block of each region in the last year is left out.
Standard deviations of log α: region {w.region:g}, year {w.year:g}, season of a region {w.season:g}, variety
{w.variety:g}, block {w.block:g}, unless the row says otherwise.

{simulated}
## How to read it

* Partial pooling should beat both columns that it weighs against each other. Where the other blocks alone are already
  better than the ratio (a good model, three trees), trust in them is what helps.
* Ten trees of a block of 16 to 28 are much of it; the ratio then leaves little to gain.
* The prior takes blocks to differ alike everywhere. Batchelor's differ more than Strickland's, so the intervals of the
  former hold less often than they say and those of the latter more often; over all of them they are about right.
"""


def page(data: Path, draws: int, worlds: int) -> str:
    apples, oranges = read_apples(data), read_oranges(data)
    real = []
    trials = {trees: list(real_trials(apples, trees, draws)) for trees in TREES}
    for orchard in apples:
        for trees in TREES:
            own = [trial for trial in trials[trees] if trial.cluster.startswith(orchard.name)]
            real.append(table_row(orchard.name, trees, own))
    real += [table_row("**three apple orchards**", trees, trials[trees]) for trees in TREES]
    years = max(1, draws // 8)  # seven times the blocks, each a fit
    real += [table_row("oranges, seven years", trees, list(real_trials([oranges], trees, years))) for trees in TREES]
    simulated = [
        table_row(world.title, trees, list(simulated_trials(world, trees, worlds)))
        for world in SIMULATED
        for trees in TREES
    ]
    return PAGE.format(
        blocks=", ".join(f"{orchard.name} {orchard.places()}" for orchard in [*apples, oranges]),
        draws=draws,
        error=100 * REGIONAL_ERROR,
        real=table(real),
        regions=REGIONS,
        years=YEARS,
        per_cell=BLOCKS,
        tree=100 * SIMULATED[0].tree,
        worlds=worlds,
        w=SIMULATED[0],
        simulated=table(simulated),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Partial pooling beside the plain ratio.")
    parser.add_argument("--draws", type=int, default=DRAWS, help="samples drawn from the real orchards")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="simulated worlds a row")
    parser.add_argument("--out", type=Path, default=OUT, help="page to write")
    given = parser.parse_args()
    if "POMONA_DATA" not in os.environ:
        sys.exit("set POMONA_DATA to the folder that holds the real data")
    given.out.write_text(page(Path(os.environ["POMONA_DATA"]), given.draws, given.worlds), encoding="utf-8")


if __name__ == "__main__":
    main()
