"""A block's correction factor with what other blocks let expect."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import log
from pathlib import Path
from typing import Any

import pytest

from calibration.pooling import BlockFactor, apply_prior
from cloud_sync.messages import EstimateBody, EstimateComponent
from device.errors import InputError
from device.estimates import Choices, estimate
from device.factor_prior import FactorPriorDocument, keep_prior
from device.orchards import Block, BlockSettings, register_block
from device.pooled_factor import PooledBlock, pool, pool_visit, pooled_lines
from device.predictions import TablePredictions
from device.sampled_visits import find_visit
from device.store import Store
from tests.device.fitted_prior import write_prior
from tests.device.planning.counted import count

PREDICTIONS = TablePredictions("predictions.csv", {"orchard": 20_000.0, "sampling_area": 16_500.0})


@pytest.fixture
def document(home: Path, tmp_path: Path) -> FactorPriorDocument:
    return keep_prior(home, write_prior(tmp_path / "prior.json"))


@pytest.fixture
def fuji(store: Store, block: Block) -> Block:
    return register_block(store, "B1", "North farm", BlockSettings(variety="Fuji"))


def part(name: str, sd: float, degrees_of_freedom: float | None = None) -> EstimateComponent:
    return EstimateComponent(name=name, relative_sd=sd, degrees_of_freedom=degrees_of_freedom, choice="told")


def body(**changes: Any) -> EstimateBody:
    """An estimate of six trees that bear 0.9 of what was predicted."""
    told: dict[str, Any] = {
        "orchard": "North farm",
        "block": "B1",
        "day": date(2024, 9, 20),
        "stage": "ripening",
        "label": "apple",
        "trees": 6,
        "fruit": 600,
        "fruit_weight_g": 200.0,
        "area_m2": 72.0,
        "observed_kg_per_ha": 9000.0,
        "predicted_area_kg_per_ha": 10_000.0,
        "predicted_orchard_kg_per_ha": 12_000.0,
        "correction_factor": 0.9,
        "corrected_kg_per_ha": 10_800.0,
        "block_kg_per_ha": 9000.0,
        "siting": "block",
        "components": (
            part("differences between trees", 0.12, 5.0),
            part("fruit weight", 0.06),
            part("detector", 0.08, 26.0),
            part("satellite error between areas", 0.15, 6.0),
        ),
        "prediction_source": "told",
    }
    return EstimateBody(**{**told, **changes})


def pooled(document: FactorPriorDocument, block: Block, told: EstimateBody) -> PooledBlock:
    found = pool(document, block, told)
    assert found is not None
    return found


def test_the_blocks_own_trees_are_weighed_against_blocks_like_it(document: FactorPriorDocument, fuji: Block) -> None:
    found = pooled(document, fuji, body())
    own = BlockFactor(log(0.9), 0.12**2, 5, 6 / (1 - 6 / 1650), "Zhaoyuan", 2024, "Fuji", 0.06**2 + 0.08**2)
    assert found.pooled == apply_prior(document.prior, own)
    assert 0.9 < found.pooled.factor.value < 1.4
    assert found.kg_per_ha.value == pytest.approx(found.pooled.factor.value * 10_000)
    assert (found.blocks, found.notes) == (24, found.pooled.warnings)


def test_few_trees_borrow_more(document: FactorPriorDocument, fuji: Block) -> None:
    few, many = (
        pooled(document, fuji, body(components=(part("differences between trees", sd, 29.0),))) for sd in (0.2, 0.02)
    )
    assert few.pooled.own_weight < many.pooled.own_weight
    assert many.pooled.factor.value < few.pooled.factor.value


def test_one_area_may_differ_from_the_rest_of_its_block(document: FactorPriorDocument, fuji: Block) -> None:
    """So its trees weigh less, and they are no sample of the block's."""
    told = body(siting="area")
    found = pooled(document, fuji, told)
    own = BlockFactor(log(0.9), 0.12**2, 5, 6, "Zhaoyuan", 2024, "Fuji", 0.06**2 + 0.08**2 + 0.15**2)
    assert found.pooled == apply_prior(document.prior, own)
    assert found.pooled.own_weight < pooled(document, fuji, body()).pooled.own_weight


def test_trees_picked_by_hand_count_by_what_they_say_of_the_block(document: FactorPriorDocument, fuji: Block) -> None:
    found = pooled(document, fuji, body(siting="hand-picked", block_kg_per_ha=8100.0))
    own = BlockFactor(log(0.81), 0.12**2, 5, 6, "Zhaoyuan", 2024, "Fuji", 0.06**2 + 0.08**2 + 0.15**2)
    assert found.pooled == apply_prior(document.prior, own)


def test_a_block_all_of_whose_trees_were_photographed_errs_in_what_they_share(
    document: FactorPriorDocument, fuji: Block
) -> None:
    told = body(trees=1650, components=(part("differences between trees", 0.0), part("fruit weight", 0.01)))
    found = pooled(document, fuji, told)
    assert found.pooled.own_weight > 0.97
    assert found.pooled.factor.value == pytest.approx(0.9, rel=0.02)


def test_the_season_of_flowers_in_october_is_the_next_year(document: FactorPriorDocument, fuji: Block) -> None:
    late = pooled(document, fuji, body(day=date(2023, 12, 20), stage="fruit_expansion"))
    assert late.pooled == pooled(document, fuji, body()).pooled


@pytest.mark.parametrize(
    ("regions", "variety", "said"),
    [
        ({}, "Fuji", "other blocks say less of block B1: the prior does not say where North farm lies"),
        ({"North farm": "Penglai"}, "Fuji", "other blocks say less of block B1: none of them lies in Penglai"),
        (None, "Jonagold", "other blocks say less of block B1: none of them bears Jonagold"),
        (None, None, "other blocks say less of block B1, whose variety is not known; set it: pomona block add B1"),
    ],
)
def test_what_is_not_known_of_a_block_makes_other_blocks_say_less(
    document: FactorPriorDocument, fuji: Block, regions: dict[str, str] | None, variety: str | None, said: str
) -> None:
    told = document if regions is None else replace(document, regions=regions)
    found = pooled(told, replace(fuji, variety=variety), body())
    assert [note[: len(said)] for note in found.notes] == [said]
    assert found.pooled.own_weight > pooled(document, fuji, body()).pooled.own_weight


def test_a_block_unlike_the_others_is_warned_of(document: FactorPriorDocument, fuji: Block) -> None:
    found = pooled(document, fuji, body(block_kg_per_ha=90_000.0))
    assert any("the sampled trees give a correction factor of 9.00" in note for note in found.notes)


@pytest.mark.parametrize("changes", [{"components": ()}, {"block_kg_per_ha": None}, {"block_kg_per_ha": 0.0}])
def test_an_estimate_that_says_nothing_of_its_block_is_not_pooled(
    document: FactorPriorDocument, fuji: Block, changes: dict[str, Any]
) -> None:
    assert pool(document, fuji, body(**changes)) is None


def test_a_visits_own_estimate_is_taken_from_the_store(
    store: Store, fuji: Block, document: FactorPriorDocument
) -> None:
    count(store, fuji, "2024-09-20", {"T1": 80, "T2": 90, "T3": 130})
    visit = find_visit(store, fuji)
    assert pool_visit(store, fuji, visit.id) is None
    own = estimate(store, fuji, visit, PREDICTIONS, Choices(siting="block"))
    found = pool_visit(store, fuji, visit.id)
    assert found is not None
    low, high = sorted((own.orchard.factor.value, 1.4))
    assert low < found.pooled.factor.value < high
    names = [name for name, _ in pooled_lines(fuji, found)]
    assert names == ["correction factor", "this block", "share of its own trees in this"]
    assert all(words.endswith("kg/mu") for name, words in pooled_lines(fuji, found) if name == "this block")


def test_without_a_prior_there_is_nothing_to_pool(store: Store, fuji: Block) -> None:
    count(store, fuji, "2024-09-20", {"T1": 80, "T2": 90, "T3": 130})
    visit = find_visit(store, fuji)
    estimate(store, fuji, visit, PREDICTIONS)
    assert pool_visit(store, fuji, visit.id) is None


def test_a_yield_of_a_tree_without_a_density_is_shown_by_area(document: FactorPriorDocument, fuji: Block) -> None:
    found = pooled(document, fuji, body())
    lines = dict(pooled_lines(replace(fuji, yield_unit="kg/tree", trees_per_ha=None), found))
    assert lines["this block"].endswith(" kg/ha")


def test_a_damaged_prior_is_named(store: Store, fuji: Block, document: FactorPriorDocument) -> None:
    (kept,) = (store.folder / "documents").iterdir()
    kept.write_text("{")
    with pytest.raises(InputError, match=r"factor-prior\.json is no JSON"):
        pool_visit(store, fuji, "v")
