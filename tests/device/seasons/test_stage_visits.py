"""Visits of a season, as forecasts need them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from device.orchards import Block, BlockSettings, register_block
from device.seasons.stage_visits import season_visits, seasons_visited
from device.store import Store
from export.runtime.bundle import Bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from tests.device.planning.counted import count
from tests.device.visiting import bring_in, photograph
from tests.disc_bundle import make_disc_bundle


def test_a_visit_is_the_mean_of_its_trees_with_its_variance(store: Store, followed: Block) -> None:
    found = season_visits(store, followed, 2025)
    assert [visit.seen.stage for visit in found.visits] == ["flowering", "young_fruit", "fruit_expansion", "ripening"]
    assert [visit.seen.fruit_per_tree for visit in found.visits] == pytest.approx([1000, 240, 110, 100])
    flowers = found.visits[0]
    assert (flowers.label, flowers.trees, flowers.counted_per_tree) == ("apple_flower", 3, 1000)
    assert flowers.seen.day == date(2025, 5, 2)
    assert flowers.seen.tree_variance == pytest.approx(0.25 / 3 * (1 - 3 / 1650))
    assert flowers.seen.degrees_of_freedom == 2
    assert found.seen == [visit.seen for visit in found.visits]
    assert all("fruit that no photo shows" in note or "count bias" in note for note in found.notes)
    assert [note.split(":")[0] for note in found.notes] == ["all visits"] * len(found.notes)


def test_reviewed_counts_stand(store: Store, followed: Block) -> None:
    store.db.execute("UPDATE tree_count SET reviewed = 200 WHERE machine = 150")
    (*_, ripening) = season_visits(store, followed, 2025).visits
    assert ripening.seen.fruit_per_tree == pytest.approx((50 + 100 + 200) / 3)


def test_trees_counted_by_hand_tell_what_photos_do_not_show(
    store: Store, block: Block, shipped_counter: Counter
) -> None:
    """The detector's bias is in that, and is not taken off again."""
    count(store, block, "2025-09-20", {f"T{number}": 90 + 10 * number for number in range(6)})
    store.db.execute("UPDATE tree_count SET by_hand = 1.5 * machine, model = ?", [shipped_counter.bundle.identity])
    (visit,) = season_visits(store, block, 2025).visits
    assert visit.counted_per_tree == 115
    assert visit.seen.fruit_per_tree == pytest.approx(1.5 * 115)


def test_the_detectors_bias_is_taken_off_and_its_error_is_the_stages(
    store: Store, block: Block, tmp_path: Path
) -> None:
    stages = {"ripening": {"bias": 0.25, "variance": 0.01, "trees": 27, "rows": 5}}
    bundle = make_disc_bundle(
        tmp_path / "biased",
        counting={"apple": {"threshold": 0.6, "stages": stages}, "apple_flower": {"threshold": 0.6}},
    )
    counter = Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=1)))
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5), photograph(tmp_path, "T02", 15))
    (visit,) = season_visits(store, block, 2025, bundle=bundle.folder).visits
    assert visit.seen.fruit_per_tree == pytest.approx(10 / 1.25)
    assert visit.seen.stage_variance == pytest.approx(0.01 * (1 + 1 / 5) / 1.25**2)
    (unknown,) = season_visits(store, block, 2025).visits
    assert unknown.seen.fruit_per_tree == 10


def test_the_same_trees_are_one_sampling_area(store: Store, block: Block) -> None:
    first = {f"T{number}": 10 + number for number in range(6)}
    count(store, block, "2025-08-01", first, "fruit_expansion")
    count(store, block, "2025-08-10", {f"U{number}": 10 + number for number in range(6)}, "fruit_expansion")
    count(store, block, "2025-09-20", {**dict(list(first.items())[:3]), "V1": 8, "V2": 9, "V3": 7})
    count(store, block, "2025-09-25", {"V1": 8, "V2": 9, "V3": 7})
    areas = [visit.seen.sampling_area for visit in season_visits(store, block, 2025).visits]
    assert areas[0] == areas[2] == areas[3]
    assert areas[1] != areas[0]


def test_visits_of_other_seasons_and_blocks_are_not_in_it(store: Store, followed: Block) -> None:
    other = register_block(store, "B2", "North farm", BlockSettings())
    count(store, other, "2025-09-20", {"T1": 5, "T2": 6})
    count(store, followed, "2023-09-20", {"T1": 5, "T2": 6})
    assert len(season_visits(store, followed, 2025).visits) == 4
    assert len(season_visits(store, followed, 2024).visits) == 0
    assert seasons_visited(store, followed) == [2023, 2025]


def test_a_visit_that_tells_nothing_of_the_harvest_is_left_out_and_said(store: Store, block: Block) -> None:
    count(store, block, "2025-05-02", {"T1": 100}, "flowering")
    count(store, block, "2025-06-20", {"T1": 0, "T2": 0}, "young_fruit")
    store.db.table("visit").insert({"id": "v", "block": block.id, "day": "2025-08-01", "stage": "fruit_expansion"})
    count(store, block, "2025-09-20", {"T1": 100, "T2": 110})
    count(store, block, "2025-09-23", {"T1": 40, "T2": 50})
    found = season_visits(store, block, 2025, first_picking=date(2025, 9, 20))
    assert [visit.seen.day for visit in found.visits] == [date(2025, 9, 20)]
    left_out = [note for note in found.notes if "left out" in note]
    assert left_out[0].startswith("the visit of 2025-05-02, flowering, is left out: count of a tree: 1 given, at least")
    assert left_out[1].startswith(
        "the visit of 2025-06-20, young fruit, is left out: fruit_per_tree at young_fruit is 0"
    )
    assert left_out[2].startswith("the visit of 2025-08-01, fruit expansion, is left out: the visit of block B1 on")
    assert left_out[3:] == [
        "the visit of 2025-09-23, ripening, came after the first picking on 2025-09-20 and is left out"
    ]


def test_a_bundle_that_comes_with_pomona_needs_no_naming(
    store: Store, block: Block, shipped_counter: Counter, disc_bundle: Bundle
) -> None:
    """Its manifest says the bias; another's is not asked."""
    count(store, block, "2025-09-20", {"T1": 100, "T2": 110})
    store.db.execute("UPDATE tree_count SET model = ?", [shipped_counter.bundle.identity])
    (visit,) = season_visits(store, block, 2025, bundle=disc_bundle.folder).visits
    bias = shipped_counter.bundle.manifest.counting["apple"].stages["ripening"].bias
    assert visit.seen.fruit_per_tree == pytest.approx(105 / (1 + bias))
