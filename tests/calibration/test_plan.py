"""How many trees keep a promised precision."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chi2, t

from calibration.errors import CalibrationError
from calibration.guard_rails import FEW_TREES
from calibration.plan import (
    ASSURANCE,
    Population,
    Promise,
    allocate,
    known_spread,
    one_population,
    relative_half_width,
    seen_spread,
    trees_needed,
)
from calibration.sampling import SimpleRandom, Stratified, Systematic, mean_per_tree
from calibration.spread import TreeSpread

spreads = st.floats(0.05, 1.0)
precisions = st.floats(0.02, 0.5)
blocks = st.integers(20, 20_000)
freedoms = st.floats(2, 200) | st.just(inf)


@st.composite
def strata(draw: st.DrawFn) -> Population:
    sizes = np.array(draw(st.lists(st.integers(2, 2000), min_size=1, max_size=6)))
    assume(sizes.sum() >= 20)
    spread = draw(st.lists(st.floats(0, 1), min_size=len(sizes), max_size=len(sizes)))
    return Population(sizes, np.array(spread), draw(freedoms))


def needed(population: Population, promise: Promise) -> int:
    return int(trees_needed(population, promise).sum())


def test_the_textbook_number_for_a_spread_that_is_known() -> None:
    """t·s·√(χ²/ν)/√n is 0.1 at 95 % for s = 0.3 and no finite block: counted up by hand with SciPy's quantiles."""
    widths = {
        n: t.ppf(0.975, n - 1) * 0.3 / sqrt(n) * sqrt(chi2.ppf(0.9, (n - 1) / 1.18) / ((n - 1) / 1.18))
        for n in range(30, 70)
    }
    by_hand = min(n for n, width in widths.items() if width <= 0.1)
    assert needed(one_population(10**9, 0.09), Promise(0.1)) == by_hand == 48


def test_the_finite_population_correction_is_cochrans() -> None:
    """n₀ / (1 + n₀ / N), but for the degrees of freedom."""
    endless = needed(one_population(10**9, 0.09), Promise(0.1))
    assert needed(one_population(200, 0.09), Promise(0.1)) == pytest.approx(endless / (1 + endless / 200), abs=2)


@given(blocks, spreads, freedoms, precisions)
def test_the_number_keeps_the_promise_and_one_fewer_does_not(
    trees: int, cv: float, freedom: float, precision: float
) -> None:
    population, promise = one_population(trees, cv**2, freedom), Promise(precision)
    sample = trees_needed(population, promise)
    assert relative_half_width(population, sample, promise) <= precision
    if sample[0] > FEW_TREES:
        assert relative_half_width(population, sample - 1, promise) > precision


@given(strata(), precisions, st.booleans())
def test_strata_keep_the_promise_too(population: Population, precision: float, neyman: bool) -> None:
    promise = Promise(precision)
    sample = trees_needed(population, promise, neyman=neyman)
    assert relative_half_width(population, sample, promise) <= precision


@given(blocks, spreads, freedoms, precisions, st.booleans())
def test_more_is_asked_of_more_trees(trees: int, cv: float, freedom: float, precision: float, along_rows: bool) -> None:
    population = one_population(trees, cv**2, freedom, along_rows=along_rows)
    promise = Promise(precision)
    sample = needed(population, promise)
    assert needed(replace(population, variances=population.variances * 1.5), promise) >= sample
    assert needed(population, Promise(precision * 0.8)) >= sample
    assert needed(population, replace(promise, confidence=0.99)) >= sample
    assert needed(population, replace(promise, assurance=0.95)) >= sample
    assert needed(replace(population, sizes=population.sizes * 2), promise) >= sample
    assert needed(replace(population, degrees_of_freedom=freedom / 2), promise) >= sample


@given(blocks, spreads, freedoms, precisions)
def test_successive_differences_take_more_trees(trees: int, cv: float, freedom: float, precision: float) -> None:
    population, promise = one_population(trees, cv**2, freedom), Promise(precision)
    assert needed(replace(population, along_rows=True), promise) >= needed(population, promise)


@given(blocks, spreads, freedoms, precisions)
def test_all_trees_are_always_enough_and_ten_the_least(trees: int, cv: float, freedom: float, precision: float) -> None:
    population, promise = one_population(trees, cv**2, freedom), Promise(precision)
    assert relative_half_width(population, population.sizes, promise) == 0
    assert FEW_TREES <= needed(population, promise) <= trees


def test_a_block_of_few_trees_is_counted_whole() -> None:
    assert needed(one_population(7, 0.09), Promise(0.1)) == 7


def test_trees_that_are_all_alike_take_no_more_than_the_least() -> None:
    assert needed(one_population(1000, 0.0), Promise(0.1)) == FEW_TREES


@pytest.mark.parametrize(("cv", "seen"), [(0.25, 10), (0.4, 10), (0.4, 30), (0.8, 30)])
def test_the_promise_is_kept_in_most_draws_although_the_spread_is_estimated(cv: float, seen: int) -> None:
    """Skewed trees; each draw sees other trees first, plans by them, and samples anew."""
    rng = np.random.default_rng(seen)
    orchard = rng.gamma(cv**-2, cv**2, 2000)
    promise = Promise(0.15)
    kept = []
    for _ in range(200):
        variance, freedom = seen_spread([rng.choice(orchard, seen, replace=False)], seen)
        number = needed(one_population(2000, variance, freedom), promise)
        estimate = mean_per_tree(rng.choice(orchard, number, replace=False), SimpleRandom(2000))
        low, high = estimate.interval(0.95)
        kept.append((high - low) / 2 <= 0.15 * estimate.value)
    assert np.mean(kept) >= 0.85


def test_along_rows_the_promise_is_kept_with_the_variance_of_successive_differences() -> None:
    rng = np.random.default_rng(5)
    orchard = rng.gamma(0.4**-2, 0.4**2, 1000)
    variance = float(orchard.var(ddof=1) / orchard.mean() ** 2)
    number = needed(one_population(1000, variance, along_rows=True), Promise(0.15))
    kept = []
    for _ in range(400):
        estimate = mean_per_tree(rng.choice(orchard, number, replace=False), Systematic(1000))
        low, high = estimate.interval(0.95)
        kept.append((high - low) / 2 <= 0.15 * estimate.value)
    assert 0.85 <= np.mean(kept) <= 0.97


def test_in_strata_the_promise_is_kept_with_fewer_trees() -> None:
    rng = np.random.default_rng(6)
    means, cvs, sizes = np.array([0.5, 1.0, 1.6]), np.array([0.25, 0.2, 0.3]), np.array([400, 400, 200])
    orchard = [mean * rng.gamma(cv**-2, cv**2, size) for mean, cv, size in zip(means, cvs, sizes, strict=True)]
    everything = np.concatenate(orchard)
    squared = everything.mean() ** 2
    population = Population(sizes, np.array([part.var(ddof=1) for part in orchard]) / squared)
    one = one_population(1000, float(everything.var(ddof=1) / squared))
    promise = Promise(0.1)
    labels = [str(stratum) for stratum in range(3)]
    numbers = []
    for neyman in (False, True):
        sample = trees_needed(population, promise, neyman=neyman)
        numbers.append(sample.sum())
        design = Stratified(tuple(np.repeat(labels, sample)), dict(zip(labels, sizes.tolist(), strict=True)))
        kept = []
        for _ in range(300):
            drawn = [rng.choice(part, n, replace=False) for part, n in zip(orchard, sample.tolist(), strict=True)]
            estimate = mean_per_tree(np.concatenate(drawn), design)
            low, high = estimate.interval(0.95)
            kept.append((high - low) / 2 <= 0.1 * estimate.value)
        assert np.mean(kept) >= 0.85
    assert numbers[1] <= numbers[0] < 0.6 * needed(one, promise)


@given(strata(), st.data(), st.booleans())
def test_every_stratum_gets_its_share(population: Population, data: st.DataObject, neyman: bool) -> None:
    least, most = population.least_sample, population.sizes
    number = data.draw(st.integers(int(least.sum()), int(most.sum())))
    sample = allocate(number, population, neyman=neyman)
    assert sample.sum() == number
    assert (least <= sample).all()
    assert (sample <= most).all()


def test_in_proportion_is_by_size_and_neyman_by_size_and_spread() -> None:
    population = Population(np.array([600, 300, 100]), np.array([0.01, 0.04, 0.36]))
    assert allocate(100, population).tolist() == [60, 30, 10]
    assert allocate(90, population, neyman=True).tolist() == [30, 30, 30]
    assert allocate(400, population, neyman=True).tolist() == [150, 150, 100]  # the third has no more


@given(strata(), st.randoms(use_true_random=False))
def test_the_order_of_the_strata_does_not_matter(population: Population, chance: Random) -> None:
    assume(len(set(population.sizes.tolist())) == len(population.sizes))  # ties go to the stratum that comes first
    order = chance.sample(range(len(population.sizes)), len(population.sizes))
    turned = replace(population, sizes=population.sizes[order], variances=population.variances[order])
    promise = Promise(0.2)
    assert needed(turned, promise) == pytest.approx(needed(population, promise), abs=1)


def test_what_was_seen_is_the_variance_of_each_season_about_its_own_mean() -> None:
    first, second = np.arange(10.0, 40), np.arange(100.0, 700, 10)
    variances = [float(visit.var(ddof=1) / visit.mean() ** 2) for visit in (first, second)]
    assert seen_spread([first], 30) == pytest.approx((variances[0], 29 / (1 + 2 * variances[0])))
    pooled = (29 * variances[0] + 59 * variances[1]) / 88
    assert seen_spread([first, second], 90) == pytest.approx((pooled, 88 / (1 + 2 * pooled)))
    # thirty trees counted twice are thirty trees
    assert seen_spread([first, first], 30) == seen_spread([first], 30)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=30), st.floats(0.1, 100))
def test_a_spread_is_relative_to_the_mean(counts: list[int], factor: float) -> None:
    assume(len(set(counts)) > 1)
    assert seen_spread([np.array(counts) * factor], len(counts)) == pytest.approx(seen_spread([counts], len(counts)))


def test_few_trees_are_helped_out_by_other_orchards() -> None:
    prior = TreeSpread(0.09, 4)
    assert seen_spread([], 0, prior) == seen_spread([[5]], 1, prior) == seen_spread([[0, 0]], 2, prior) == (0.09, 4)
    variance, freedom = seen_spread([[10, 30, 50]], 3, prior)
    alone = 400 / 900
    assert 0.09 < variance < alone
    assert freedom == pytest.approx(4 + 2 / (1 + 2 * alone))


def test_a_given_spread_is_squared() -> None:
    assert known_spread(0.3) == pytest.approx(0.09)


@pytest.mark.parametrize("value", [0, -1, 1, 10, float("nan"), float("inf")])
def test_a_promise_is_made_of_shares(value: float) -> None:
    for field in ("precision", "confidence", "assurance"):
        with pytest.raises(CalibrationError, match=rf"{field} is .*; it must be a share above .* such as 0\.\d"):
            replace(Promise(0.1), **{field: value})


def test_a_confidence_of_a_half_or_less_is_none() -> None:
    with pytest.raises(CalibrationError, match=r"confidence is 0\.4; it must be a share above 0\.5"):
        Promise(0.1, confidence=0.4)
    assert Promise(0.1).assurance == ASSURANCE


@pytest.mark.parametrize("trees", [0, 1, -5])
def test_a_block_has_two_trees_or_more(trees: int) -> None:
    with pytest.raises(CalibrationError, match=rf"number of trees is \[{trees}\]; give each stratum one tree or more"):
        one_population(trees, 0.1)


@pytest.mark.parametrize("variance", [-0.1, float("nan"), float("inf")])
def test_a_spread_is_no_negative_number(variance: float) -> None:
    with pytest.raises(CalibrationError, match=r"variance between trees number 1 is .*: give"):
        one_population(100, variance)


@pytest.mark.parametrize("freedom", [0, -1, float("nan")])
def test_a_spread_that_nobody_saw_is_none(freedom: float) -> None:
    with pytest.raises(CalibrationError, match=r"degrees of freedom of the spread are .*; count at least two trees"):
        one_population(100, 0.1, freedom)


@pytest.mark.parametrize("cv", [0, -0.3, float("nan")])
def test_a_given_spread_is_above_zero(cv: float) -> None:
    with pytest.raises(CalibrationError, match=r"spread between trees is .*: give standard deviation / mean"):
        known_spread(cv)


def test_counts_that_cannot_be_are_named() -> None:
    with pytest.raises(CalibrationError, match=r"count of a tree number 2 is -3; .*: review the counts of this block"):
        seen_spread([[5, -3]], 2)


@pytest.mark.parametrize("number", [3, 101])
def test_no_more_trees_are_divided_than_there_are_and_two_a_stratum_at_least(number: int) -> None:
    population = Population(np.array([50, 50]), np.array([0.1, 0.1]))
    with pytest.raises(
        CalibrationError, match=f"photograph is {number}; with 2 strata and 100 trees it must be 4 to 100"
    ):
        allocate(number, population)
    with pytest.raises(CalibrationError, match="trees cannot be taken from strata of"):
        relative_half_width(population, np.array([1, 5]), Promise(0.1))


def test_the_table_of_the_how_to_page_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "plan-a-visit.md").read_text(encoding="utf-8")
    _, _, table = page.partition("| trees differ by |")
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    promises = [Promise(float(cell.strip("±% ")) / 100) for cell in head]
    prior = TreeSpread()
    assert len(rows) == 5
    for name, *numbers in rows:
        known = (float(name.strip(" %")) / 100) ** 2 if name.endswith("%") else None
        spread = (prior.variance, prior.degrees_of_freedom) if known is None else (known, inf)
        population = one_population(1650, *spread, along_rows=True)
        assert [needed(population, promise) for promise in promises] == [int(number) for number in numbers]
