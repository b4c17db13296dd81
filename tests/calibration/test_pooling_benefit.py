"""What partial pooling is for: fewer trees go further. The full figures are in docs/results/pooling.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.orchard_yields import read_apples, read_oranges
from tests.benchmarks.pooling import SIMULATED, Trial, World, paired_interval, real_trials, simulated_trials


def gain(trials: Iterable[Trial]) -> tuple[float, float]:
    """95 % interval of how much less partial pooling errs than the plain ratio, as a share of the yield."""
    listed = list(trials)
    low, high = paired_interval(
        np.array([trial.ratio - trial.pooled for trial in listed]), [trial.cluster for trial in listed]
    )
    return low, high


@pytest.mark.parametrize("trees", [3, 6])
def test_pooling_beats_the_ratio_in_real_apple_orchards(data: Path, trees: int) -> None:
    assert gain(real_trials(read_apples(data), trees, 20))[0] > 0


def test_ten_trees_of_a_small_real_block_are_no_worse_for_it(data: Path) -> None:
    assert gain(real_trials(read_apples(data), 10, 20))[0] > -0.01


def test_years_that_bore_a_fifth_of_others_do_not_mislead_it(data: Path) -> None:
    assert gain(real_trials([read_oranges(data)], 3, 5))[0] > 0


@pytest.mark.parametrize("world", SIMULATED, ids=lambda world: world.title)
def test_pooling_beats_the_ratio_in_simulated_regions_and_years(world: World) -> None:
    low, high = gain(simulated_trials(world, 3, 60))
    assert (low + high) / 2 > 0
    assert low > -0.005
