"""Partial pooling of the correction factor."""

from __future__ import annotations

import json
from dataclasses import replace
from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from calibration.pooling import BlockFactor, FactorPrior, apply_prior, fit_prior, prior_from_document

REGIONS, YEARS, VARIETIES = ("Luochuan", "Yantai"), (2023, 2024, 2025), ("Fuji", "Gala")
HERE = ("Luochuan", 2024, "Fuji")
OWN = BlockFactor(0.0, 0.01, 5, 6, *HERE)


@st.composite
def block_factors(draw: st.DrawFn) -> BlockFactor:
    trees = draw(st.integers(1, 60))
    return BlockFactor(
        log_factor=draw(st.floats(-1, 1)),
        variance=draw(st.floats(0.02, 0.3)) / trees,
        degrees_of_freedom=trees - 1,
        trees=trees,
        region=draw(st.sampled_from(REGIONS)),
        year=draw(st.sampled_from(YEARS)),
        variety=draw(st.sampled_from(VARIETIES)),
        other_variance=draw(st.floats(0, 0.01)),
    )


block_lists = st.lists(block_factors(), min_size=1, max_size=12)


def measured(seed: int = 0, blocks: int = 60, between: float = 0.15, trees: int = 6) -> list[BlockFactor]:
    """Blocks of two regions, three years and two varieties; the regions' mean factors are 0.8 and 1.25."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(blocks):
        region, year, variety = (int(rng.integers(n)) for n in (2, 3, 2))
        truth = (-0.22, 0.22)[region] + rng.normal(0, between)
        yields = np.exp(truth) * rng.gamma(10, 0.1, trees)
        variance = float(yields.var(ddof=1) / yields.mean() ** 2 / trees)
        where = (REGIONS[region], YEARS[year], VARIETIES[variety])
        found.append(BlockFactor(log(yields.mean()), variance, trees - 1, trees, *where))
    return found


@given(block_lists, block_factors())
def test_the_pooled_factor_lies_between_the_trees_and_the_prior(blocks: list[BlockFactor], own: BlockFactor) -> None:
    prior = fit_prior(blocks)
    pooled = apply_prior(prior, own)
    expected = prior.expect(own.region, own.year, own.variety).value
    low, high = sorted([own.log_factor, expected])
    assert low - 1e-9 <= pooled.log_factor.value <= high + 1e-9
    assert 0 < pooled.own_weight < 1
    assert pooled.factor.value == pytest.approx(exp(pooled.log_factor.value))


@given(block_lists, block_factors(), st.floats(0.1, 10))
def test_a_factor_common_to_all_predictions_comes_out_again(
    blocks: list[BlockFactor], own: BlockFactor, factor: float
) -> None:
    def scaled(block: BlockFactor) -> BlockFactor:
        return replace(block, log_factor=block.log_factor + log(factor))

    base = apply_prior(fit_prior(blocks), own)
    moved = apply_prior(fit_prior([scaled(block) for block in blocks]), scaled(own))
    assert moved.factor.value == pytest.approx(factor * base.factor.value, rel=1e-4)
    for end, moved_end in zip(base.factor.positive_interval(0.9), moved.factor.positive_interval(0.9), strict=True):
        assert moved_end == pytest.approx(factor * end, rel=1e-3)


@given(block_lists.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_the_order_of_the_blocks_does_not_matter(orders: tuple[list[BlockFactor], ...]) -> None:
    first, second = (fit_prior(order).expect(*HERE) for order in orders)
    assert second.value == pytest.approx(first.value, abs=1e-5)
    assert second.variance == pytest.approx(first.variance, rel=1e-4)


@given(block_lists, block_factors())
def test_where_everything_was_predicted_as_observed_nothing_is_corrected(
    blocks: list[BlockFactor], own: BlockFactor
) -> None:
    prior = fit_prior([replace(block, log_factor=0.0) for block in blocks])
    assert apply_prior(prior, replace(own, log_factor=0.0)).factor.value == pytest.approx(1)


@given(block_lists, block_factors(), st.floats(0.01, 1))
def test_a_block_that_observed_more_is_corrected_upwards(
    blocks: list[BlockFactor], own: BlockFactor, more: float
) -> None:
    prior = fit_prior(blocks)
    fuller = replace(own, log_factor=own.log_factor + more)
    assert apply_prior(prior, fuller).factor.value > apply_prior(prior, own).factor.value


@given(block_lists, st.integers(2, 30), st.integers(1, 30))
def test_more_trees_speak_louder_and_narrow_the_result(blocks: list[BlockFactor], trees: int, more: int) -> None:
    prior = fit_prior(blocks)
    at = prior.expect(*HERE).value  # no conflict, which has a variance of its own
    few, many = (apply_prior(prior, BlockFactor(at, 0.1 / n, n - 1, n, *HERE)) for n in (trees, trees + more))
    assert many.own_weight > few.own_weight
    assert many.log_factor.variance < few.log_factor.variance
    assert few.log_factor.variance < prior.expect(*HERE).variance


@given(block_lists, block_factors())
def test_a_prior_survives_as_a_document(blocks: list[BlockFactor], own: BlockFactor) -> None:
    prior = fit_prior(blocks)
    received = prior_from_document(json.loads(json.dumps(prior.to_document(), allow_nan=False)))
    assert received == prior
    assert apply_prior(received, own) == apply_prior(prior, own)


@given(block_lists, block_factors())
def test_a_regions_part_of_the_prior_says_the_same_there(blocks: list[BlockFactor], own: BlockFactor) -> None:
    prior = fit_prior(blocks)
    part = prior.only([own.region], [own.year])
    assert len(part.levels) <= len(prior.levels)
    assert {level for effect, level in part.levels if effect == "region"} <= {own.region}
    assert apply_prior(part, own).log_factor.value == pytest.approx(apply_prior(prior, own).log_factor.value)
    assert apply_prior(part, own).log_factor.variance == pytest.approx(apply_prior(prior, own).log_factor.variance)


def test_regions_are_told_apart() -> None:
    prior = fit_prior(measured())
    assert exp(prior.expect("Luochuan", 2024, "Fuji").value) == pytest.approx(0.8, rel=0.1)
    assert exp(prior.expect("Yantai", 2024, "Fuji").value) == pytest.approx(1.25, rel=0.1)


def test_a_place_never_seen_is_expected_like_the_others_but_less_surely() -> None:
    prior = fit_prior(measured())
    known, new = prior.expect("Yantai", 2024, "Fuji"), prior.expect("Shangri-La", 2024, "Fuji")
    assert exp(new.value) == pytest.approx(1, rel=0.15)
    assert new.variance > known.variance + 0.5 * prior.spread["region"].variance
    assert prior.expect("Yantai", 2031, "Fuji").variance > known.variance


def test_what_is_not_known_of_a_place_adds_up() -> None:
    prior = fit_prior(measured())
    rows = [0, *(1 + prior.levels.index(level) for level in [("region", "Yantai"), ("variety", "Fuji")])]
    learned = sum(prior.covariance[i][j] for i in rows for j in rows)
    unseen = sum(prior.spread[effect].variance for effect in ("year", "season", "block"))
    new_year = prior.expect("Yantai", 2031, "Fuji")
    assert new_year.variance == pytest.approx(learned + unseen)
    assert new_year.value == pytest.approx(sum(prior.effects[i] for i in rows))
    assert 1 < new_year.degrees_of_freedom < sum(spread.degrees_of_freedom for spread in prior.spread.values())


@given(block_lists, block_factors())
def test_a_result_is_known_as_well_as_its_parts_let_it(blocks: list[BlockFactor], own: BlockFactor) -> None:
    prior = fit_prior(blocks)
    parts = (
        prior.expect(own.region, own.year, own.variety).degrees_of_freedom,
        prior.trees.degrees_of_freedom + own.degrees_of_freedom,
    )
    degrees = apply_prior(prior, own).log_factor.degrees_of_freedom
    assert min(parts) * (1 - 1e-9) <= degrees <= sum(parts) * (1 + 1e-9)


def test_a_years_weather_is_learned_for_the_region_it_struck() -> None:
    blocks = [
        replace(block, log_factor=block.log_factor - 0.4) if (block.region, block.year) == ("Yantai", 2025) else block
        for block in measured(blocks=200)
    ]
    prior = fit_prior(blocks)
    frost, spared = (prior.expect(region, 2025, "Fuji").value for region in ("Yantai", "Luochuan"))
    before, spared_before = (prior.expect(region, 2024, "Fuji").value for region in ("Yantai", "Luochuan"))
    assert frost - before == pytest.approx(-0.4, abs=0.1)
    assert spared - spared_before == pytest.approx(0, abs=0.1)


def test_blocks_that_differ_much_lend_each_other_little() -> None:
    alike, apart = (fit_prior(measured(between=between)) for between in (0.03, 0.6))
    assert apply_prior(alike, OWN).own_weight < 0.5
    assert apply_prior(apart, OWN).own_weight > 0.9


def test_the_weight_is_that_of_the_inverse_variances() -> None:
    prior = fit_prior(measured())
    expected = prior.expect(*HERE)
    own = replace(OWN, log_factor=expected.value + 0.1, degrees_of_freedom=float("inf"), other_variance=0.005)
    pooled = apply_prior(prior, own)
    assert pooled.own_weight == pytest.approx(expected.variance / (expected.variance + 0.015))
    assert pooled.log_factor.value == pytest.approx(expected.value + 0.1 * pooled.own_weight)


def test_one_tree_is_worth_something() -> None:
    prior = fit_prior(measured())
    pooled = apply_prior(prior, BlockFactor(0.4, 0.0, 0, 1, *HERE))
    assert 0.05 < pooled.own_weight < 0.5
    assert pooled.log_factor.variance < prior.expect(*HERE).variance


def test_three_alike_trees_are_not_taken_for_certain() -> None:
    alike = replace(OWN, variance=0.0, degrees_of_freedom=2, trees=3)
    assert apply_prior(fit_prior(measured(trees=3)), alike).own_weight < 0.75


def test_trees_that_contradict_all_that_is_known_are_warned_of() -> None:
    prior = fit_prior(measured())
    assert apply_prior(prior, replace(OWN, log_factor=-0.2)).warnings == ()
    odd = apply_prior(prior, replace(OWN, log_factor=1.5))
    assert "factor of 4.48 where blocks like this one had 0.8" in odd.warnings[0]
    assert "check the fruit weight" in odd.warnings[0]
    agreeing = apply_prior(prior, replace(OWN, log_factor=prior.expect(*HERE).value))
    assert odd.log_factor.variance > 1.5 * agreeing.log_factor.variance


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Over simulated servers of 30 blocks with 5 trees each, priors fitted from nothing but these."""
    hits = []
    for seed in range(300):
        rng = np.random.default_rng(1000 + seed)
        truth = 0.1 + rng.normal(0, 0.15, 3)[rng.integers(3, size=30)] + rng.normal(0, 0.15, 30)
        trees = np.exp(truth)[:, None] * rng.gamma(9, 1 / 9, (30, 5))
        mean = trees.mean(axis=1)
        blocks = [
            BlockFactor(log(m), v, 4, 5, "Luochuan", 2024, "Fuji")
            for m, v in zip(mean.tolist(), (trees.var(axis=1, ddof=1) / mean**2 / 5).tolist(), strict=True)
        ]
        for i in (0, 1):
            low, high = apply_prior(fit_prior(blocks[:i] + blocks[i + 1 :]), blocks[i]).factor.positive_interval(0.9)
            hits.append(low <= exp(truth[i]) <= high)
    assert 0.87 <= np.mean(hits) <= 0.94


WRONG = [
    ("log_factor", float("nan"), r"log_factor is nan; .* observed and predicted yield must both be above 0"),
    ("log_factor", float("-inf"), r"log_factor is -inf; .* must both be above 0"),
    ("variance", -0.1, r"variance is -0.1; .*: give the variance of log α"),
    ("variance", float("nan"), r"variance is nan; .*: give the variance of log α"),
    ("other_variance", -1.0, r"other_variance is -1; .*: give the variance of log α"),
    ("degrees_of_freedom", -1.0, r"degrees_of_freedom is -1; it must be 0 or more: trees less one"),
    ("degrees_of_freedom", float("nan"), r"degrees_of_freedom is nan"),
    ("trees", 0, r"trees is 0; it must be 1 or more: photograph at least one tree"),
    ("trees", float("inf"), r"trees is inf"),
    ("region", "", r"region is empty; name it for the block"),
    ("variety", "", r"variety is empty; name it for the block"),
]


@pytest.mark.parametrize(("field", "value", "said"), WRONG)
def test_a_wrong_block_is_refused_by_name(field: str, value: object, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        replace(OWN, **{field: value})  # type: ignore[arg-type]  # wrong on purpose


def test_nothing_can_be_learned_from_no_block() -> None:
    with pytest.raises(CalibrationError, match="blocks is empty; a prior needs at least one block"):
        fit_prior([])


def without(document: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != field}


def test_a_broken_document_is_refused() -> None:
    document = fit_prior(measured()).to_document()
    spread = dict(document["spread"])
    broken: list[tuple[dict[str, Any], str]] = [(without(document, field), field) for field in document]
    broken += [
        (document | {"effects": document["effects"][:-1]}, "levels with"),
        (document | {"effects": [float("nan")] * len(document["effects"])}, "no number"),
        (document | {"covariance": document["covariance"][:-1]}, "levels with"),
        (document | {"levels": 3}, "of another kind"),
        (document | {"blocks": -6}, "-6 blocks"),
        (document | {"spread": without(spread, "block")}, "no spread of block"),
        (document | {"spread": spread | {"year": {"variance": -1.0, "degrees_of_freedom": 3.0}}}, "a spread of -1"),
        (document | {"spread": spread | {"year": {"variance": 1.0}}}, "degrees_of_freedom"),
        (document | {"blocks": "many"}, "of another kind"),
    ]
    for values, said in broken:
        with pytest.raises(CalibrationError, match=rf"prior .*{said}.*; fetch it again or fit it anew"):
            prior_from_document(values)


def test_a_prior_is_a_value() -> None:
    prior = fit_prior(measured())
    assert isinstance(prior, FactorPrior)
    assert prior == fit_prior(measured())
    assert prior.blocks == 60
