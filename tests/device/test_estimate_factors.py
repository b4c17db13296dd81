"""What counts are multiplied by, from the store and from bundles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calibration.estimate import exact
from calibration.shared_factors import SharedFactor, unknown_detector
from calibration.visibility import unknown_visibility
from device.by_hand import HandCounted, record_hand_counts
from device.count_bias import detector_of
from device.estimate_factors import counts_and_factors, fruit_weight
from device.orchards import Block, BlockSettings, register_block
from device.sampled_visits import find_visit
from device.store import Store
from export.runtime.bundle import BUNDLES, Bundle, open_any_bundle, open_bundle
from export.runtime.counter import Counter
from export.runtime.manifest import MANIFEST
from tests.device.visiting import bring_in, photograph
from tests.disc_bundle import make_disc_bundle

APPLES = (10, 20, 30, 40, 50, 24)
STAGES = {"ripening": {"bias": 0.25, "variance": 0.01, "trees": 27, "rows": 5}}


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> Block:
    """Six trees."""
    bring_in(store, counter, block, *(photograph(tmp_path, f"T0{i}", n) for i, n in enumerate(APPLES)))
    return block


@pytest.fixture
def biased(tmp_path: Path) -> Bundle:
    """The bundle that counts discs, with a count bias."""
    counting = {"apple": {"threshold": 0.6, "stages": STAGES}, "apple_flower": {"threshold": 0.6}}
    return make_disc_bundle(tmp_path / "biased", counting=counting)


def by_name(factors: tuple[SharedFactor, ...]) -> dict[str, SharedFactor]:
    return {factor.name: factor for factor in factors}


def test_the_bias_is_that_of_the_bundle_which_counted(biased: Bundle) -> None:
    found = detector_of([biased.identity], "ripening", "apple", biased.folder)
    assert found.factor.value == pytest.approx(0.8)
    assert detector_of([biased.identity], "young_fruit", "apple", biased.folder) == unknown_detector()
    assert detector_of(["another"], "ripening", "apple", biased.folder) == unknown_detector()
    assert detector_of([biased.identity, "another"], "ripening", "apple", biased.folder) == unknown_detector()


def test_bundles_that_come_with_pomona_are_known() -> None:
    shipped = open_bundle()
    bias = shipped.manifest.counting["apple"].stages["ripening"]
    found = detector_of([shipped.identity], "ripening", "apple")
    assert found.factor.value == pytest.approx(1 / (1 + bias.bias))
    bundles = [open_any_bundle(path.parent) for path in BUNDLES.glob(f"*/{MANIFEST}")]
    for identity in (bundle.identity for bundle in bundles if isinstance(bundle, Bundle)):
        assert detector_of([identity], "ripening", "apple") != unknown_detector()


def test_without_hand_counts_the_detectors_bias_is_taken_off(store: Store, visited: Block, biased: Bundle) -> None:
    counts, factors = counts_and_factors(store, visited, find_visit(store, visited), biased.folder)
    assert counts == pytest.approx([0.8 * apples for apples in APPLES])
    assert by_name(factors)["detector"].factor.value == 1
    assert by_name(factors)["visibility"] == unknown_visibility()
    assert by_name(factors)["background fruit"].warnings
    assert by_name(factors)["both sides"].choice == "the larger side"


def test_hand_counts_hold_the_detectors_bias_and_counts_stay_as_they_are(
    store: Store, visited: Block, biased: Bundle
) -> None:
    told = {f"T0{i}": HandCounted(round(1.5 * apples), None) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, find_visit(store, visited), told)
    counts, factors = counts_and_factors(store, visited, find_visit(store, visited), biased.folder)
    assert counts.tolist() == list(APPLES)
    visibility = by_name(factors)["visibility"]
    assert visibility.factor.value == pytest.approx(1.5)
    assert "detector" in visibility.includes


def test_reviewed_counts_are_held_against_reviewed_ones(store: Store, visited: Block, biased: Bundle) -> None:
    told = {f"T0{i}": HandCounted(2 * apples, None) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, find_visit(store, visited), told)
    store.db.execute("UPDATE tree_count SET reviewed = machine + 10 WHERE machine != 24")
    counts, factors = counts_and_factors(store, visited, find_visit(store, visited), biased.folder)
    assert counts == pytest.approx([20, 30, 40, 50, 60, 0.8 * 24])
    visibility = by_name(factors)["visibility"]
    assert visibility.factor.value == pytest.approx(2 * 150 / 200)
    assert "detector" not in visibility.includes


def test_hand_counts_of_another_model_teach_nothing_of_this_one(store: Store, visited: Block) -> None:
    told = {f"T0{i}": HandCounted(2 * apples, None) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, find_visit(store, visited), told)
    store.db.execute("UPDATE tree_count SET model = 'older' WHERE machine != 10")
    store.db.execute("UPDATE tree_count SET by_hand = NULL WHERE machine = 10")
    _, factors = counts_and_factors(store, visited, find_visit(store, visited))
    assert by_name(factors)["visibility"] == unknown_visibility()


def test_hand_counts_of_another_orchard_are_used_with_its_difference(
    store: Store, visited: Block, counter: Counter, tmp_path: Path
) -> None:
    told = {f"T0{i}": HandCounted(2 * apples, None) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, find_visit(store, visited), told)
    far = register_block(store, "F1", "Far farm", BlockSettings(trees_per_ha=825))
    bring_in(store, counter, far, *(photograph(tmp_path / "far", f"T{i}", 7) for i in range(2)))
    _, factors = counts_and_factors(store, far, find_visit(store, far))
    visibility = by_name(factors)["visibility"]
    assert visibility.factor.value == pytest.approx(2)
    assert "in 1 other orchard(s) counted by hand" in visibility.choice
    assert visibility.factor.relative_variance > 0.1**2


@pytest.mark.parametrize(
    ("settings", "alike"),
    [
        (BlockSettings(variety="Fuji", training_system="spindle"), "same variety, training, stage"),
        (BlockSettings(variety="Gala", training_system="spindle"), "same training, stage"),
        (BlockSettings(variety="Fuji", training_system="vase"), "same stage"),
        (BlockSettings(variety="Fuji"), "same stage"),
    ],
)
def test_hand_counts_teach_trees_of_the_same_variety_and_training_first(
    store: Store, visited: Block, counter: Counter, tmp_path: Path, settings: BlockSettings, alike: str
) -> None:
    register_block(store, "B1", "North farm", BlockSettings(variety="Fuji", training_system="spindle"))
    told = {f"T0{i}": HandCounted(2 * apples, None) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, find_visit(store, visited), told)
    far = register_block(store, "F1", "Far farm", settings)
    bring_in(store, counter, far, photograph(tmp_path / "far", "T1", 7))
    choice = by_name(counts_and_factors(store, far, find_visit(store, far))[1])["visibility"].choice
    assert choice.endswith(f"counted by hand, {alike}; against machine")


def test_blocks_of_one_orchard_that_are_trained_otherwise_do_not_stand_for_it(
    store: Store, visited: Block, counter: Counter, tmp_path: Path
) -> None:
    told = {f"T0{i}": HandCounted(2 * apples, None) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, find_visit(store, visited), told)
    other = register_block(store, "B2", "North farm", BlockSettings())
    bring_in(store, counter, other, photograph(tmp_path / "other", "T1", 7))
    alike = by_name(counts_and_factors(store, other, find_visit(store, other))[1])["visibility"]
    assert "same orchard, variety, training, stage" in alike.choice
    trellis = register_block(store, "B2", "North farm", BlockSettings(training_system="trellis"))
    unlike = by_name(counts_and_factors(store, trellis, find_visit(store, trellis))[1])["visibility"]
    assert "same stage" in unlike.choice
    assert unlike.factor.relative_variance > alike.factor.relative_variance
    far = register_block(store, "F1", "Far farm", BlockSettings(training_system="trellis"))
    bring_in(store, counter, far, *(photograph(tmp_path / "far", f"T0{i}", n) for i, n in enumerate(APPLES)))
    record_hand_counts(store, far, find_visit(store, far), told)
    alike = by_name(counts_and_factors(store, trellis, find_visit(store, trellis))[1])["visibility"]
    assert "in 1 other orchard(s) counted by hand, same variety, training, stage" in alike.choice


def test_own_fruit_told_on_five_trees_takes_neighbours_fruit_off(store: Store, visited: Block) -> None:
    visit = find_visit(store, visited)
    told = {f"T0{i}": HandCounted(None, round(0.9 * apples)) for i, apples in enumerate(APPLES)}
    record_hand_counts(store, visited, visit, dict(list(told.items())[:4]))
    assert by_name(counts_and_factors(store, visited, visit)[1])["background fruit"].warnings
    record_hand_counts(store, visited, visit, told)
    background = by_name(counts_and_factors(store, visited, visit)[1])["background fruit"]
    assert background.factor.value == pytest.approx(0.9, abs=0.01)
    assert background.warnings == ()


def test_fruit_told_apart_at_the_count_needs_no_share(store: Store, visited: Block) -> None:
    store.db.execute("UPDATE tree_count SET attribution = 'target tree'")
    background = by_name(counts_and_factors(store, visited, find_visit(store, visited))[1])["background fruit"]
    assert (background.factor, background.warnings) == (exact(1.0), ())


def test_a_weight_on_the_scale_goes_before_a_given_one_and_that_before_the_blocks(
    block: Block, store: Store, tmp_path: Path
) -> None:
    weighed = tmp_path / "fruit.csv"
    weighed.write_text("weight_g\n170\n190\n")
    assert fruit_weight(block).factor.value == 200
    assert fruit_weight(block, 150.0).factor.value == 150
    assert fruit_weight(block, 150.0, weighed).factor.value == 180
    nobody_said = register_block(store, "B2", "North farm", BlockSettings())
    assert fruit_weight(nobody_said).warnings


def test_the_manifest_says_what_the_bundle_counts_too_many(biased: Bundle) -> None:
    """The bundle of these tests is read as those that ship."""
    content = json.loads((biased.folder / MANIFEST).read_text())
    assert content["counting"]["apple"]["stages"] == STAGES
