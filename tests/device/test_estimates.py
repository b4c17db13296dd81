"""The estimate of a visit, from the counts in the store to the corrected yield of the orchard."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import pytest

from calibration.errors import CalibrationError
from calibration.units import yield_to_kg_per_ha
from cloud_sync.messages import EstimateBody, decode_body, decode_envelope
from device.errors import InputError
from device.estimates import Choices, estimate
from device.orchards import Block, BlockSettings, register_block
from device.predictions import TablePredictions
from device.recording import Visit
from device.sampled_visits import find_visit
from device.season_cells import SCHEMA
from device.season_file import parse_season_file
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
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS).orchard
    assert result.observed_kg_per_ha.value == pytest.approx(20 * 0.2 * 825)
    assert result.factor.value == pytest.approx(3300 / 25_000)
    assert result.corrected_kg_per_ha.value == pytest.approx(20_000 * 3300 / 25_000)


def test_the_papers_example_comes_out_of_the_store(store: Store, visited: Block) -> None:
    """P9: the fruit weight is chosen so that 1500 kg/mu are observed."""
    mu = yield_to_kg_per_ha(1, "kg/mu")
    predictions = TablePredictions("paper.csv", {"orchard": 1346.87 * mu, "sampling_area": 1302.08 * mu})
    weight_g = 1500 * mu / (20 * 825) * 1000
    result = estimate(store, visited, find_visit(store, visited), predictions, Choices(weight_g)).orchard
    assert round(result.factor.value, 2) == 1.15
    assert result.corrected_kg_per_ha.value / mu == pytest.approx(1551.60, abs=0.1)


def test_the_estimate_is_recorded_and_sent_with_all_it_was_made_of(store: Store, visited: Block) -> None:
    found = estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    result, body = found.orchard, last_message(store)
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
    ends = (body.corrected_low_kg_per_ha, body.corrected_high_kg_per_ha)
    assert ends == result.corrected_kg_per_ha.positive_interval(0.95)
    assert (body.correction_factor_low, body.correction_factor_high) == result.factor.positive_interval(0.95)
    assert body.block_kg_per_ha == found.block_kg_per_ha.value
    assert (body.block_low_kg_per_ha, body.block_high_kg_per_ha) == found.block_kg_per_ha.positive_interval(0.95)
    assert body.siting == "block"
    assert [component.name for component in body.components] == [
        *("differences between trees", "fruit weight", "detector", "visibility", "both sides", "background fruit"),
        "satellite error between areas",
    ]
    assert sum(component.relative_sd**2 for component in body.components) == pytest.approx(
        result.corrected_kg_per_ha.relative_variance
    )
    assert (body.warnings, body.prediction_source) == (result.warnings, "predictions.csv")


def test_a_reviewed_count_replaces_the_machines(store: Store, visited: Block) -> None:
    store.db.execute("UPDATE tree_count SET reviewed = 40 WHERE machine = 10")
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS).orchard
    assert result.observed_kg_per_ha.value == pytest.approx((40 + 20 + 30) / 3 * 0.2 * 825)


def test_a_measured_area_goes_before_the_planting_density(
    store: Store, visited: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, f"T0{number}", 10 * number) for number in (1, 2, 3)]
    import_photos(store, counter, Visit(visited, DAY, "ripening", area_m2=50.0), photos)
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS).orchard
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
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS).orchard
    assert result.observed_kg_per_ha.value == pytest.approx(120 * 0.2 / 75 * 10_000)


def test_the_given_weight_goes_before_the_blocks(store: Store, visited: Block) -> None:
    result = estimate(store, visited, find_visit(store, visited), PREDICTIONS, Choices(fruit_weight_g=100)).orchard
    assert result.observed_kg_per_ha.value == pytest.approx(3300 / 2)


@pytest.mark.parametrize("weight", [0, -5, float("nan")])
def test_a_given_weight_that_is_none_is_refused_and_not_passed_over(
    store: Store, visited: Block, weight: float
) -> None:
    with pytest.raises(CalibrationError, match=r"single fruit weight in g is .*; it must be a number above 0"):
        estimate(store, visited, find_visit(store, visited), PREDICTIONS, Choices(weight))
    assert queued(store, "estimate") == []


def test_without_a_weight_one_is_assumed_and_said(store: Store, counter: Counter, block: Block, tmp_path: Path) -> None:
    plain = register_block(store, "B2", "North farm", BlockSettings(trees_per_ha=825))
    bring_in(store, counter, plain, photograph(tmp_path, "T01", 10), photograph(tmp_path, "T02", 12))
    result = estimate(store, plain, find_visit(store, plain), PREDICTIONS).orchard
    assert "no fruit weight is known: 200 g was assumed; weigh a few fruit" in result.warnings
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
    estimate(store, visited, find_visit(store, visited), PREDICTIONS, Choices(fruit_weight_g=100))
    (row,) = table(store, "estimate")
    assert (row["id"], row["revision"]) == (before[0]["id"], 2)
    assert queued(store, "estimate") == ["estimate", "estimate"]


def test_a_source_with_a_long_path_keeps_its_end(store: Store, visited: Block) -> None:
    deep = TablePredictions("/deep" * 60 + "/predictions.csv", PREDICTIONS.values)
    estimate(store, visited, find_visit(store, visited), deep)
    source = last_message(store).prediction_source
    assert len(source) == 200
    assert source.endswith("/deep/predictions.csv")


def test_one_tree_is_refused_with_the_remedy(store: Store, counter: Counter, block: Block, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", 10))
    with pytest.raises(CalibrationError, match="1 given, at least 2 needed: photograph at least two trees"):
        estimate(store, block, find_visit(store, block), PREDICTIONS)
    assert queued(store, "estimate") == []


def relative_sd(store: Store, name: str) -> float:
    """The size of one error of the estimate made last."""
    (found,) = (component for component in last_message(store).components if component.name == name)
    return found.relative_sd


@pytest.mark.parametrize(
    ("siting", "between_areas", "of_block"),
    [("orchard", 0.0, 0.0), ("block", 0.15, 0.0), ("area", 0.15, 0.15), ("hand-picked", 0.145, 0.145)],
)
def test_where_trees_were_taken_from_decides_what_they_say_of_block_and_orchard(
    store: Store, visited: Block, siting: str, between_areas: float, of_block: float
) -> None:
    found = estimate(store, visited, find_visit(store, visited), PREDICTIONS, Choices(siting=siting))
    assert relative_sd(store, "satellite error between areas") == pytest.approx(between_areas, abs=0.001)
    added = found.block_kg_per_ha.relative_variance - found.orchard.observed_kg_per_ha.relative_variance
    assert sqrt(max(0.0, added)) == pytest.approx(of_block, abs=0.001)
    picked = any("picked by hand" in warning for warning in found.orchard.warnings)
    assert picked == (siting == "hand-picked")


def test_a_tree_that_carries_the_estimate_is_named_by_its_code(
    store: Store, counter: Counter, block: Block, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, f"T{number:02}", 5 + number % 2) for number in range(11)]
    bring_in(store, counter, block, *photos, photograph(tmp_path, "T77", 60))
    result = estimate(store, block, find_visit(store, block), PREDICTIONS).orchard
    assert any(warning.startswith("tree T77 alone moves the estimate by") for warning in result.warnings)


def test_what_is_not_known_is_said(store: Store, visited: Block) -> None:
    said = " ".join(estimate(store, visited, find_visit(store, visited), PREDICTIONS).orchard.warnings)
    for part in (
        "count bias at this growth stage is not known",
        "fruit that no photo shows is not counted",
        "fruit of neighbouring trees in a photo counts too",
        "only 3 trees were sampled",
    ):
        assert part in said


def test_an_unknown_siting_is_refused(store: Store, visited: Block) -> None:
    with pytest.raises(InputError, match="siting 'x' is unknown; known are orchard, block, area, hand-picked"):
        estimate(store, visited, find_visit(store, visited), PREDICTIONS, Choices(siting="x"))


def test_a_prediction_for_each_tree_s_cell_is_used_and_an_area_unlike_the_orchard_is_told(
    store: Store, counter: Counter, block: Block, tmp_path: Path
) -> None:
    """Two cells with 20 and 40 t/ha; trees in the second bear twice as much, so that the cells explain them."""
    grid = {"north": 56.5, "west": 24.0, "cell_height_deg": 0.001, "cell_width_deg": 0.002}
    yields = {"unit": "t/ha", "values": [[20, 40], [20, 40]]}
    season = parse_season_file({"schema": SCHEMA, "grid": grid, "variables": {"predicted_yield": yields}}, "s.json")
    places = [(56.4995, 24.001), (56.4995, 24.003), (56.4985, 24.001), (56.4985, 24.003)]
    photos = [
        photograph(tmp_path, f"T{number}", apples, said=exif(place=place))
        for number, (apples, place) in enumerate(zip((10, 20, 11, 22), places, strict=True))
    ]
    bring_in(store, counter, block, *photos)
    result = estimate(store, block, find_visit(store, block), season).orchard
    assert result.predicted_area_kg_per_ha == pytest.approx(30_000, rel=1e-6)
    assert relative_sd(store, "differences between trees") < 0.05
    assert not any("satellite sees another orchard" in warning for warning in result.warnings)
    other = register_block(store, "B9", "North farm", BlockSettings(trees_per_ha=825, fruit_weight_g=200))
    bring_in(
        store, counter, other, *(photograph(tmp_path / "B9", f"T{n}", 5, said=exif(place=places[1])) for n in (1, 2))
    )
    said = estimate(store, other, find_visit(store, other), season).orchard.warnings
    assert any("another orchard (predicted yield by +1.0 standard deviations)" in warning for warning in said)
