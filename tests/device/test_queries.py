"""What pages and commands ask the store."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from calibration.errors import CalibrationError
from device.by_hand import HandCounted, record_hand_counts, remove_hand_counts
from device.errors import InputError
from device.estimates import Choices, estimate
from device.orchards import Block, BlockSettings, all_blocks, register_block
from device.photo_views import get_photo
from device.predictions import TablePredictions
from device.queries import get_visit, list_trees, list_visits, summaries_as_dict, summarise
from device.sampled_visits import find_visit
from device.store import Store
from export.runtime.counter import Counter
from tests.device.visiting import DAY, bring_in, photograph
from tests.drawing import TAKEN_AT, exif

PREDICTIONS = TablePredictions("predictions.csv", {"orchard": 15_000.0, "sampling_area": 30_000.0})


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> Block:
    """Two trees with 10 and 30 apples, the first from two sides."""
    photos = [photograph(tmp_path, "T02", 30), photograph(tmp_path, "T01", 10), photograph(tmp_path, "T01", 4, "b")]
    bring_in(store, counter, block, *photos)
    return block


def test_a_visit_at_a_glance(store: Store, visited: Block) -> None:
    (visit,) = list_visits(store, visited)
    assert (visit.orchard, visit.block, visit.day, visit.stage, visit.label) == (
        *("North farm", "B1", DAY, "ripening", "apple"),
    )
    assert (visit.trees, visit.photos, visit.fruit, visit.reviewed, visit.fruit_per_tree) == (2, 3, 40, 0, 20)
    assert visit.estimate is None
    assert get_visit(store, visit.id) == visit


def test_a_reviewed_count_stands_for_the_machines(store: Store, visited: Block) -> None:
    store.db.execute("UPDATE tree_count SET reviewed = 12 WHERE machine = 10")
    (visit,) = list_visits(store, visited)
    assert (visit.fruit, visit.reviewed) == (42, 1)
    assert [(tree.tree, tree.machine, tree.reviewed, tree.fruit) for tree in list_trees(store, visit)] == [
        *[("T01", 10, 12, 12), ("T02", 30, None, 30)]
    ]


def test_an_estimate_is_shown_in_the_orchards_unit(store: Store, visited: Block) -> None:
    estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    view = list_visits(store, visited)[0].estimate
    assert view is not None
    assert view.unit == "kg/mu"
    assert (view.trees, view.fruit, view.fruit_weight_g) == (2, 40, 200)
    assert view.observed == pytest.approx(20 * 0.2 * 825 / 15)
    assert view.predicted_orchard == pytest.approx(1000)
    assert view.predicted_area == pytest.approx(2000)
    assert view.corrected == pytest.approx(view.correction_factor * 1000)
    assert view.corrected_low is not None
    assert view.corrected_high is not None
    assert view.corrected_low <= view.corrected <= view.corrected_high


def changed(store: Store) -> list[bool]:
    """Whether hand counts tell something else than when the estimate was made, of each visit."""
    return [visit.hand_counts_changed for block in all_blocks(store) for visit in list_visits(store, block)]


def test_an_estimate_notices_when_hand_counts_would_change_it(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, *(photograph(tmp_path, f"T0{i}", 10) for i in range(6)))
    visit = find_visit(store, block)
    assert changed(store) == [False]  # there is none yet
    estimate(store, block, visit, PREDICTIONS)
    assert changed(store) == [False]
    record_hand_counts(store, block, visit, {f"T0{i}": HandCounted(15) for i in range(4)})
    assert changed(store) == [False]  # too few to learn from
    record_hand_counts(store, block, visit, {f"T0{i}": HandCounted(15) for i in range(5)})
    assert changed(store) == [True]
    estimate(store, block, visit, PREDICTIONS)
    assert changed(store) == [False]
    # all alike as before, and as many: only the factor differs
    record_hand_counts(store, block, visit, {f"T0{i}": HandCounted(20) for i in range(5)})
    assert changed(store) == [True]
    record_hand_counts(store, block, visit, {f"T0{i}": HandCounted(15) for i in range(5)})
    assert changed(store) == [False]
    remove_hand_counts(store, block, visit, ["T03"])
    assert changed(store) == [True]


def test_hand_counts_of_another_orchard_are_noticed_where_they_teach(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, *(photograph(tmp_path, f"T0{i}", 10) for i in range(2)))
    estimate(store, block, find_visit(store, block), PREDICTIONS)
    far = register_block(store, "F1", "Far farm", BlockSettings())
    photos = [photograph(tmp_path / "far", f"T0{i}", 10) for i in range(5)]
    bring_in(store, counter, far, *photos, stage="young_fruit")
    record_hand_counts(store, far, find_visit(store, far), {f"T0{i}": HandCounted(15) for i in range(5)})
    assert changed(store) == [False, False]
    later = [photograph(tmp_path / "later", f"T0{i}", 12) for i in range(5)]
    bring_in(store, counter, far, *later)
    record_hand_counts(
        store, far, find_visit(store, far, stage="ripening"), {f"T0{i}": HandCounted(15) for i in range(5)}
    )
    assert [visit.hand_counts_changed for visit in list_visits(store, block)] == [True]


def test_hand_counts_that_nothing_can_be_learned_from_do_not_spoil_what_is_shown(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, *(photograph(tmp_path, f"T0{i}", 10) for i in range(5)))
    estimate(store, block, find_visit(store, block), PREDICTIONS)
    store.db.execute("UPDATE tree_count SET by_hand = 5, machine = 0")
    assert changed(store) == [True]
    with pytest.raises(CalibrationError, match="visibility: there are not two trees with fruit"):
        estimate(store, block, find_visit(store, block), PREDICTIONS)


def test_an_estimate_of_an_older_pomona_does_not_know_of_hand_counts(store: Store, visited: Block) -> None:
    estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    store.db.execute("UPDATE estimate SET by_hand = NULL")
    assert changed(store) == [False]


def test_kg_a_tree_is_shown_by_the_planting_density_and_kg_per_ha_without_one(
    store: Store, counter: Counter, tmp_path: Path
) -> None:
    dense = register_block(store, "dense", "South farm", BlockSettings(trees_per_ha=1000), "kg/tree")
    bring_in(store, counter, dense, photograph(tmp_path, "T01", 10), photograph(tmp_path, "T02", 10))
    estimate(store, dense, find_visit(store, dense), PREDICTIONS, Choices(fruit_weight_g=200))
    view = list_visits(store, dense)[0].estimate
    assert view is not None
    assert (view.unit, view.predicted_orchard) == ("kg/tree", 15)
    assert view.observed == pytest.approx(2)
    store.db.execute("UPDATE block SET trees_per_ha = NULL")
    (summary,) = summarise(store)
    assert summary.latest is not None
    assert summary.latest.estimate is not None
    assert (summary.latest.estimate.unit, summary.latest.estimate.predicted_orchard) == ("kg/ha", 15_000)


def test_the_latest_visit_of_each_block_is_summarised(
    store: Store, visited: Block, counter: Counter, tmp_path: Path
) -> None:
    register_block(store, "A0", "North farm", BlockSettings())
    bring_in(store, counter, visited, photograph(tmp_path / "later", "T01", 7), day=date(2025, 10, 2))
    bring_in(store, counter, visited, photograph(tmp_path / "earlier", "T01", 3), day=date(2025, 8, 2))
    empty, full = summarise(store)
    assert (empty.block.name, empty.visits, empty.latest) == ("A0", 0, None)
    assert (full.block.name, full.visits) == ("B1", 3)
    assert full.latest is not None
    assert (full.latest.day, full.latest.fruit) == (date(2025, 10, 2), 7)
    assert [visit.day.month for visit in list_visits(store, visited)] == [10, 9, 8]


def test_a_tree_knows_its_photos_and_its_place(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    photos = [photograph(tmp_path, "T01", 1, side, said=exif(place=(56.5, 24.25))) for side in "ab"]
    bring_in(store, counter, block, *photos)
    (tree,) = list_trees(store, list_visits(store, block)[0])
    assert sorted(tree.photos) == sorted(store.photos.digest(photo.path.read_bytes()) for photo in photos)
    assert (tree.latitude, tree.longitude) == (56.5, 24.25)


def test_a_photo_comes_with_its_file_and_boxes(store: Store, visited: Block, counter: Counter, tmp_path: Path) -> None:
    content = (tmp_path / "T02" / "a.jpg").read_bytes()
    photo = get_photo(store, store.photos.digest(content))
    assert photo.path.read_bytes() == content
    assert (photo.tree, photo.side, photo.file_name, photo.taken_at) == ("T02", "a", "a.jpg", TAKEN_AT)
    assert (photo.width_px, photo.height_px) == (640, 480)
    assert (photo.model, photo.engine) == (counter.bundle.identity, counter.engine.name)
    assert photo.detections.count_by_label() == {"apple": 30, "apple_flower": 0}
    assert photo.visit == list_visits(store, visited)[0].id


def test_of_several_models_the_one_that_counted_last_is_shown(
    store: Store, visited: Block, newer_counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T02", 30)
    bring_in(store, newer_counter, visited, photo)
    # the clock was set back between the two, so that the later row has the earlier id
    store.db.execute(
        "UPDATE detections SET id = '00' || substr(id, 3) WHERE model = ?", [newer_counter.bundle.identity]
    )
    assert get_photo(store, store.photos.digest(photo.path.read_bytes())).model == newer_counter.bundle.identity


def test_what_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(InputError, match="visit 'v1' is unknown here"):
        get_visit(store, "v1")
    with pytest.raises(InputError, match="photo 'abc' is unknown here"):
        get_photo(store, "abc")


def test_the_summary_as_plain_values(store: Store, visited: Block) -> None:
    register_block(store, "A0", "North farm", BlockSettings())
    estimate(store, visited, find_visit(store, visited), PREDICTIONS)
    told = summaries_as_dict(summarise(store), [])
    empty, full = told["blocks"]
    assert told["orchards"] == []
    assert empty["latest_visit"] is None
    assert full["block"] == {
        "name": "B1",
        "orchard": "North farm",
        "yield_unit": "kg/mu",
        "area_m2": 20_000,
        "trees": 1650,
        "trees_per_ha": 825,
        "variety": None,
        "training_system": None,
        "fruit_weight_g": 200,
    }
    assert full["visits"] == 1
    latest = full["latest_visit"]
    counted = {"trees", "photos", "fruit", "reviewed", "sides", "fruit_per_tree"}
    assert set(latest) == {"id", "day", "stage", "label", "estimate", "hand_counts_changed"} | counted
    assert (latest["day"], latest["fruit_per_tree"], latest["estimate"]["unit"]) == (DAY.isoformat(), 20, "kg/mu")
