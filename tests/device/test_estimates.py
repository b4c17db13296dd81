"""The estimate of a visit, from the counts in the store to the corrected yield of the orchard."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from calibration.errors import CalibrationError
from calibration.units import yield_to_kg_per_ha
from cloud_sync.messages import EstimateBody, decode_body, decode_envelope
from device.errors import InputError
from device.estimates import estimate, find_visit
from device.orchards import Block, BlockSettings, find_block, register_block
from device.predictions import TablePredictions
from device.recording import Visit
from device.store import Store
from device.visits import import_photos
from export.runtime.counter import Counter
from tests.device.visiting import DAY, bring_in, photograph, queued, table
from tests.drawing import exif

PREDICTIONS = TablePredictions("predictions.csv", {"orchard": 20_000.0, "sampling_area": 25_000.0})


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> Block:
    """Three trees with 10, 20 and 30 apples. At 825 trees a hectare and 200 g a fruit they bear 3300 kg/ha."""
    photos = [photograph(tmp_path, f"T0{number}", 10 * number) for number in (1, 2, 3)]
    bring_in(store, counter, block, *photos)
    return block


def last_message(store: Store) -> EstimateBody:
    body = decode_body(decode_envelope(store.outbox.waiting("jetson-1", 0, 1000)[-1].payload))
    assert isinstance(body, EstimateBody)
    return body


def test_counts_weight_and_density_give_the_observed_yield(store: Store, visited: Block) -> None:
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    assert result.observed_kg_per_ha.value == pytest.approx(20 * 0.2 * 825)
    assert result.factor.value == pytest.approx(3300 / 25_000)
    assert result.corrected_kg_per_ha.value == pytest.approx(20_000 * 3300 / 25_000)


def test_the_papers_example_comes_out_of_the_store(store: Store, visited: Block) -> None:
    """P9: the fruit weight is chosen so that 1500 kg/mu are observed."""
    mu = yield_to_kg_per_ha(1, "kg/mu")
    predictions = TablePredictions("paper.csv", {"orchard": 1346.87 * mu, "sampling_area": 1302.08 * mu})
    weight_g = 1500 * mu / (20 * 825) * 1000
    result = estimate(store, visited, find_visit(store, visited), predictions, weight_g)
    assert round(result.factor.value, 2) == 1.15
    assert result.corrected_kg_per_ha.value / mu == pytest.approx(1551.60, abs=0.1)


def test_the_estimate_is_recorded_and_sent_with_all_it_was_made_of(store: Store, visited: Block) -> None:
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    body = last_message(store)
    assert (body.orchard, body.block, body.day, body.stage, body.label) == (
        "North farm",
        "B1",
        DAY,
        "ripening",
        "apple",
    )
    assert (body.trees, body.fruit, body.fruit_weight_g) == (3, 60, 200)
    assert body.area_m2 == pytest.approx(3 / 825 * 10_000)
    assert body.corrected_kg_per_ha == result.corrected_kg_per_ha.value
    assert body.corrected_low_kg_per_ha == result.corrected_kg_per_ha.low
    assert body.corrected_high_kg_per_ha == result.corrected_kg_per_ha.high
    assert (body.warnings, body.prediction_source) == (result.warnings, "predictions.csv")


def test_a_reviewed_count_replaces_the_machines(store: Store, visited: Block) -> None:
    store.db.execute("UPDATE tree_count SET reviewed = 40 WHERE machine = 10")
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    assert result.observed_kg_per_ha.value == pytest.approx((40 + 20 + 30) / 3 * 0.2 * 825)


def test_a_measured_area_goes_before_the_planting_density(
    store: Store, visited: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, f"T0{number}", 10 * number) for number in (1, 2, 3)]
    import_photos(store, counter, Visit(visited, DAY, "ripening", area_m2=50.0), photos)
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    assert result.observed_kg_per_ha.value == pytest.approx(60 * 0.2 / 50 * 10_000)


def test_a_measured_area_holds_for_as_many_trees_as_it_was_given_for(
    store: Store, visited: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, f"T0{number}", 10 * number) for number in (1, 2, 3)]
    import_photos(store, counter, Visit(visited, DAY, "ripening", area_m2=50.0), photos)
    photos.append(photograph(tmp_path, "T04", 60))
    bring_in(store, counter, visited, photos[-1])
    said = (
        r"area of 50 m² was given for 3 trees, and the visit of .* has 4; .* import all .* again, with --sampled-area"
    )
    with pytest.raises(InputError, match=said):
        estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    assert queued(store, "estimate") == []
    import_photos(store, counter, Visit(visited, DAY, "ripening", area_m2=75.0), photos)
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    assert result.observed_kg_per_ha.value == pytest.approx(120 * 0.2 / 75 * 10_000)


def test_the_given_weight_goes_before_the_blocks(store: Store, visited: Block) -> None:
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS, fruit_weight_g=100)
    assert result.observed_kg_per_ha.value == pytest.approx(3300 / 2)


@pytest.mark.parametrize("weight", [0, -5, float("nan")])
def test_a_given_weight_that_is_none_is_refused_and_not_passed_over(
    store: Store, visited: Block, weight: float
) -> None:
    with pytest.raises(CalibrationError, match=r"single fruit weight in g is .*; it must be a number above 0"):
        estimate(store, visited, find_visit(store, visited), PREDICTIONS, weight)
    assert queued(store, "estimate") == []


def test_without_a_weight_one_is_assumed_and_said(store: Store, counter: Counter, block: Block, tmp_path: Path) -> None:
    plain = register_block(store, "B2", "North farm", BlockSettings(trees_per_ha=825))
    bring_in(store, counter, plain, photograph(tmp_path, "T01", 10))
    result = estimate(store, plain, find_visit(store, plain), PREDICTIONS)
    assert "no fruit weight is known for block B2: 200 g was assumed; weigh a few fruit" in result.warnings
    assert last_message(store).fruit_weight_g == 200


def test_without_area_and_density_the_remedy_is_named(
    store: Store, counter: Counter, block: Block, tmp_path: Path
) -> None:
    plain = register_block(store, "B2", "North farm", BlockSettings())
    bring_in(store, counter, plain, photograph(tmp_path, "T01", 10))
    said = r"area of the sampled trees of block B2 is unknown; .* pomona block add B2 --orchard 'North farm' --trees N"
    with pytest.raises(InputError, match=said):
        estimate(store, plain, find_visit(store, plain), PREDICTIONS)


def test_yield_is_not_estimated_from_flowers(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", blossoms=9), stage="flowering")
    with pytest.raises(InputError, match="counted flowers, and yield is estimated from fruit; choose a visit of an"):
        estimate(store, block, find_visit(store, block), PREDICTIONS)


def test_estimating_again_queues_nothing_unless_something_changed(store: Store, visited: Block) -> None:
    for _ in range(2):
        estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    before = table(store, "estimate")
    assert queued(store, "estimate") == ["estimate"]
    estimate(store, visited, find_visit(store, visited), PREDICTIONS, fruit_weight_g=100)
    (row,) = table(store, "estimate")
    assert (row["id"], row["revision"]) == (before[0]["id"], 2)
    assert queued(store, "estimate") == ["estimate", "estimate"]


def test_a_source_with_a_long_path_keeps_its_end(store: Store, visited: Block) -> None:
    deep = TablePredictions("/deep" * 60 + "/predictions.csv", PREDICTIONS.values)
    estimate(store, visited, find_visit(store, visited), deep)
    source = last_message(store).prediction_source
    assert len(source) == 200
    assert source.endswith("/deep/predictions.csv")


def test_places_of_the_trees_are_asked_of_the_predictions(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(
        store, counter, block, photograph(tmp_path, "T02", 1), photograph(tmp_path, "T01", 1, said=exif(place=(56, 24)))
    )
    assert find_visit(store, block).places == {"T01": (56.0, 24.0), "T02": (None, None)}


def test_the_latest_visit_is_found_and_others_by_day_and_stage(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    days = (date(2025, 9, 24), date(2025, 10, 1), date(2025, 5, 2))
    for day, stage in zip(days, ("fruit_expansion", "ripening", "flowering"), strict=True):
        photo = photograph(tmp_path / stage, "T01", 3, blossoms=2)
        bring_in(store, counter, block, photo, day=day, stage=stage)  # type: ignore[arg-type]
    assert find_visit(store, block).day == date(2025, 10, 1)
    assert find_visit(store, block, day=date(2025, 5, 2)).stage == "flowering"
    assert find_visit(store, block, stage="fruit_expansion").day == date(2025, 9, 24)
    with pytest.raises(InputError, match="block B1 has no visit of 2025-05-02 ripening; bring its photos in"):
        find_visit(store, block, date(2025, 5, 2), "ripening")


def test_a_block_without_visits_says_what_to_do(store: Store, block: Block) -> None:
    with pytest.raises(InputError, match="block B1 has no visit; bring its photos in: pomona visit import FOLDER"):
        find_visit(store, find_block(store, block.name))
