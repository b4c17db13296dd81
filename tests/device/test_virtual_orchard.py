"""Virtual orchards: the photos look the part, and what is written down about them is true."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device.virtual_orchard import OrchardSettings, OrchardSettingsError, OrchardTruth, draw_orchard
from device.virtual_orchard.canvas import Canvas, Shadow, Sprite, make_sprite
from device.virtual_orchard.hanging import hang_flowers, hang_fruit
from device.virtual_orchard.lights import LIGHTS
from device.virtual_orchard.photographing import Photographer
from device.virtual_orchard.planting import plan_visit, plant_block
from device.virtual_orchard.settings import STAGES
from device.virtual_orchard.structure import grow_tree
from device.virtual_orchard.visibility import DrawnFruit, FruitView, view_fruit
from device.virtual_orchard.writing import write_photo
from export.runtime.errors import MissingPartError
from export.runtime.photos import find_photos, read_photo

SMALL = OrchardSettings(trees=2, seed=7, width_px=896, height_px=560, mean_fruit=40, rows=3, trees_per_row=6)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> OrchardTruth:
    """A ripening orchard of two trees with labels; tests leave it as it is."""
    return draw_orchard(SMALL, tmp_path_factory.mktemp("orchard"), labels=True)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def labels_of(truth: OrchardTruth, tree: str) -> NDArray[np.float64]:
    """(n, 5) class, centre x, centre y, width and height in pixels."""
    text = (truth.folder / "labels" / f"{tree}_a.txt").read_text()
    shares = np.array([[float(value) for value in line.split()] for line in text.splitlines()]).reshape(-1, 5)
    width, height = truth.settings.width_px, truth.settings.height_px
    return shares * (1, width, height, width, height)


# what is written


def test_an_orchard_is_photos_a_truth_a_tree_and_a_description(drawn: OrchardTruth) -> None:
    codes = [tree.tree for tree in drawn.trees]
    assert sorted(content(drawn.folder)) == sorted(
        [f"photos/{code}/{code}_a.jpg" for code in codes]
        + [f"labels/{code}_a.txt" for code in codes]
        + ["truth.csv", "orchard.json"]
    )
    assert [path.stem for path in find_photos([drawn.folder])] == [f"{code}_a" for code in codes]


def test_truth_csv_holds_one_line_a_tree(drawn: OrchardTruth) -> None:
    with (drawn.folder / "truth.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "tree", "photo", "fruit_total", "fruit_visible", "occlusion", "light",
        "fruit_diameter_mm", "fruit_weight_g", "yield_kg",
    ]  # fmt: skip
    for line, tree in zip(lines, drawn.trees, strict=True):
        assert line["tree"] == tree.tree
        assert (drawn.folder / line["photo"]).is_file()
        assert int(line["fruit_total"]) == tree.fruit_total
        assert int(line["fruit_visible"]) == tree.fruit_visible
        assert float(line["yield_kg"]) == tree.yield_kg
        assert line["light"] in LIGHTS


def test_orchard_json_describes_the_block(drawn: OrchardTruth) -> None:
    description = json.loads((drawn.folder / "orchard.json").read_text())
    assert description["block"] == "B1"
    assert description["block_trees"] == 18
    assert description["block_area_m2"] == pytest.approx(18 * 4.0 * 1.8)
    assert description["sampled_area_m2"] == pytest.approx(2 * 4.0 * 1.8)
    assert description["fruit_total"] == sum(tree.fruit_total for tree in drawn.trees)
    assert description["single_fruit_weight_g"] == pytest.approx(drawn.single_fruit_weight_g, abs=0.01)
    assert description["true_yield_kg_per_ha"] == pytest.approx(drawn.block_yield_kg_per_ha, abs=0.1)


def test_photos_say_when_and_where_they_were_taken(drawn: OrchardTruth) -> None:
    shots = plan_visit(SMALL, plant_block(SMALL))
    moments = []
    for shot, tree in zip(shots, drawn.trees, strict=True):
        photo = read_photo(drawn.folder / tree.photo)
        assert (photo.width, photo.height) == (896, 560)
        assert photo.latitude == pytest.approx(shot.tree.latitude, abs=1e-7)  # about a centimetre
        assert photo.longitude == pytest.approx(shot.tree.longitude, abs=1e-7)
        moments.append(photo.taken_at)
    assert moments == [datetime(2025, 9, 24, hour, 30) for hour in (8, 18)]  # noqa: DTZ001


def test_photos_from_the_south_and_the_west_are_read_back_there(tmp_path: Path) -> None:
    path, moment = tmp_path / "R01-T01_a.jpg", datetime(2026, 3, 2, 9, 5, 7)  # noqa: DTZ001  (cameras know no zone)
    write_photo(path, np.full((560, 896, 3), 90, np.uint8), moment, latitude=-33.3501234, longitude=-70.9)
    photo = read_photo(path)
    assert photo.latitude == pytest.approx(-33.3501234, abs=1e-7)
    assert photo.longitude == pytest.approx(-70.9, abs=1e-7)
    assert photo.taken_at == moment


# truth and labels


def test_labels_are_the_visible_fruit(drawn: OrchardTruth) -> None:
    assert drawn.fruit_visible > 0
    for tree in drawn.trees:
        labels = labels_of(drawn, tree.tree)
        assert len(labels) == tree.fruit_visible <= tree.fruit_total
        assert set(labels[:, 0]) <= {0}
        assert labels[:, 3:].min(initial=14) >= 13.99
        corners = np.concatenate((labels[:, 1:3] - labels[:, 3:] / 2, labels[:, 1:3] + labels[:, 3:] / 2), axis=1)
        assert corners.min(initial=0) >= -0.01
        assert np.all(corners[:, [0, 2]] <= 896.01)
        assert np.all(corners[:, [1, 3]] <= 560.01)


def test_labelled_boxes_show_red_fruit_among_green(drawn: OrchardTruth) -> None:
    redness = []
    for tree in drawn.trees:
        pixels = read_photo(drawn.folder / tree.photo).pixels.astype(float)
        reds_over_greens = pixels[..., 0] - pixels[..., 1]
        for _, x, y, width, height in labels_of(drawn, tree.tree):
            rows = slice(round(y - height / 4), round(y + height / 4))
            columns = slice(round(x - width / 4), round(x + width / 4))
            redness.append(reds_over_greens[rows, columns].mean() - reds_over_greens.mean())
    assert np.mean(np.array(redness) > 20) > 0.8


def test_flower_clusters_have_a_class_of_their_own_and_no_diameter(tmp_path: Path) -> None:
    truth = draw_orchard(
        replace(SMALL, trees=1, stage="flowering", width_px=1400, height_px=866), tmp_path, labels=True
    )
    (tree,) = truth.trees
    labels = labels_of(truth, tree.tree)
    assert 0 < len(labels) == tree.fruit_visible <= tree.fruit_total
    assert set(labels[:, 0]) == {1}
    assert tree.fruit_diameter_mm is None
    assert tree.fruit_weight_g is not None  # the fruit that each is to become
    assert ",," in (tmp_path / "truth.csv").read_text()


def test_without_labels_no_labels_of_an_earlier_drawing_stay(tmp_path: Path) -> None:
    settings = replace(SMALL, trees=1, mean_fruit=10)
    (shot,) = plan_visit(settings, plant_block(settings))
    earlier = tmp_path / "labels" / f"{shot.tree.code}_a.txt"
    earlier.parent.mkdir()
    earlier.write_text("0 0.5 0.5 0.1 0.1\n")
    draw_orchard(settings, tmp_path)
    assert not earlier.exists()


def test_a_fruit_counts_from_30_percent_and_14_pixels() -> None:
    assert FruitView(0.30, (0, 0, 14, 14)).counted
    assert not FruitView(0.29, (0, 0, 40, 40)).counted
    assert not FruitView(0.90, (0, 0, 13, 40)).counted
    assert not FruitView(0.90, (0, 0, 40, 13)).counted
    assert not FruitView(0.0, None).counted


def test_what_is_seen_of_a_fruit_is_measured_on_the_canvas() -> None:
    owner = np.zeros((60, 80), np.uint16)
    owner[10:30, 20:30] = 1  # half of a 20 x 20 px fruit
    owner[40:60, 70:80] = 2  # a fruit in the corner, three quarters outside
    whole, corner, hidden = view_fruit(
        owner, [DrawnFruit(30, 20, 12, 400), DrawnFruit(80, 60, 22, 800), DrawnFruit(40, 40, 12, 400)]
    )
    assert whole == FruitView(0.5, (20, 10, 30, 30))
    assert corner == FruitView(0.25, (70, 40, 80, 60))
    assert hidden == FruitView(0.0, None)


def disc(shadow: Shadow | None = None) -> Sprite:
    y, x = np.mgrid[-15:16, -15:16]
    return make_sprite(np.full((31, 31, 3), 200.0), (np.hypot(x, y) < 8).astype(float), (15, 15), shadow)


def test_the_nearer_fruit_hides_the_farther_one() -> None:
    canvas = Canvas(64, 64)
    canvas.put(disc(), 28, 32, owner=1)
    canvas.put(disc(), 34, 32, owner=2)
    assert canvas.owner[32, 34] == 2
    assert canvas.owner[32, 23] == 1
    assert np.count_nonzero(canvas.owner == 2) > np.count_nonzero(canvas.owner == 1) > 0


def test_a_leaf_shades_the_fruit_behind_but_not_the_sky() -> None:
    sky = np.full((64, 64, 3), 230, np.uint8)
    shadow = Shadow(right_px=0, down_px=6, blur_px=1, darkness=0.5)
    leaf_alone, leaf_before_fruit = Canvas(64, 64), Canvas(64, 64)
    leaf_alone.put(disc(shadow), 32, 20)
    leaf_before_fruit.put(disc(), 32, 32, owner=1)
    leaf_before_fruit.put(disc(shadow), 32, 20)
    below_the_leaf = (30, 32)
    assert leaf_alone.over(sky)[below_the_leaf].tolist() == [230, 230, 230]
    assert leaf_before_fruit.over(sky)[below_the_leaf].max() < 150
    assert leaf_before_fruit.owner[below_the_leaf] == 1  # shaded, but seen


def test_sprites_are_cut_off_at_the_edge_and_left_out_beyond() -> None:
    canvas = Canvas(64, 64)
    canvas.put(disc(), 0, 0, owner=1)
    canvas.put(disc(), 500, -300, owner=2)
    assert canvas.owner[0, 0] == 1
    assert not np.any(canvas.owner == 2)


# the same settings, the same orchard


def test_the_same_settings_give_the_same_files(drawn: OrchardTruth, tmp_path: Path) -> None:
    draw_orchard(SMALL, tmp_path, labels=True)
    assert content(tmp_path) == content(drawn.folder)


def test_another_seed_gives_another_orchard(drawn: OrchardTruth) -> None:
    first, second = (plant_block(replace(SMALL, seed=seed)) for seed in (7, 8))
    assert [tree.fruit for tree in first] != [tree.fruit for tree in second]


def test_a_photo_does_not_depend_on_the_others(drawn: OrchardTruth) -> None:
    shot = plan_visit(SMALL, plant_block(SMALL))[-1]
    views = Photographer(SMALL).photograph(shot).views
    assert sum(view.counted for view in views) == drawn.trees[-1].fruit_visible
    assert 1 - np.mean([view.visible_share for view in views]) == pytest.approx(drawn.trees[-1].occlusion, abs=1e-4)


class KilledError(Exception):
    """Stands for the power cut."""


def test_a_drawing_that_was_broken_off_is_started_again(drawn: OrchardTruth, tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        raise KilledError

    for name in ("truth.csv", "orchard.json"):
        (tmp_path / name).write_text("of an earlier drawing")
    with pytest.raises(KilledError):
        draw_orchard(SMALL, tmp_path, labels=True, progress=kill)
    first = drawn.trees[0]
    assert set(content(tmp_path)) == {first.photo, f"labels/{first.tree}_a.txt"}  # and no truth that would not fit
    half_written = tmp_path / "photos" / first.tree / f".{first.tree}_a.jpg.new"
    half_written.write_bytes(b"\xff\xd8\xff")

    steps: list[tuple[int, int]] = []
    draw_orchard(SMALL, tmp_path, labels=True, progress=lambda *step: steps.append(step))
    assert content(tmp_path) == content(drawn.folder)
    assert steps == [(1, 2), (2, 2)]


def test_photos_of_other_trees_are_not_mixed_in(tmp_path: Path) -> None:
    stranger = tmp_path / "photos" / "R88-T01" / "R88-T01_a.jpg"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"")
    with pytest.raises(OrchardSettingsError, match=r"R88-T01_a\.jpg.*empty folder"):
        draw_orchard(SMALL, tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "orchard"
    file.write_text("")
    with pytest.raises(OrchardSettingsError, match="is a file; name a folder"):
        draw_orchard(SMALL, file)


def test_without_opencv_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPartError, match=r"pip install '\.\[opencv\]'") as caught:
        draw_orchard(SMALL, tmp_path)
    assert caught.value.exit_code == 1


# the block


@pytest.mark.parametrize("cv", [0.2, 0.35, 0.6])
def test_loads_have_the_mean_and_the_variation_asked_for(cv: float) -> None:
    settings = OrchardSettings(rows=60, trees_per_row=60, mean_fruit=110, fruit_cv=cv)
    loads = np.array([tree.fruit for tree in plant_block(settings)])
    standard_error = cv / math.sqrt(len(loads))
    assert loads.mean() == pytest.approx(110, rel=4 * standard_error)
    assert loads.std() / loads.mean() == pytest.approx(cv, rel=0.08)
    assert loads.min() >= 0


def test_without_variation_all_trees_bear_the_same() -> None:
    assert {tree.fruit for tree in plant_block(replace(SMALL, fruit_cv=0))} == {40}


def test_fruit_are_smaller_where_there_are_many() -> None:
    trees = plant_block(OrchardSettings(rows=40, trees_per_row=40))
    loads = np.array([tree.fruit for tree in trees])
    diameters_m = np.array([tree.diameters_m.mean() for tree in trees])
    assert 0.070 < diameters_m.mean() < 0.078
    assert np.corrcoef(loads, diameters_m)[0, 1] < -0.5


def test_weights_are_those_of_apples() -> None:
    trees = plant_block(OrchardSettings())
    weight_g = 1000 * sum(tree.yield_kg for tree in trees) / sum(tree.fruit for tree in trees)
    assert 140 < weight_g < 200


def test_trees_stand_at_their_spacing() -> None:
    settings = OrchardSettings(rows=2, trees_per_row=5, trees=1)
    block = plant_block(settings)
    assert [tree.code for tree in block[3:7]] == ["R01-T04", "R01-T05", "R02-T01", "R02-T02"]
    metres = 111_320.0
    east_m = (block[4].longitude - block[0].longitude) * metres * math.cos(math.radians(settings.latitude))
    assert east_m == pytest.approx(4 * 1.8, abs=0.01)
    assert (block[0].latitude - block[5].latitude) * metres == pytest.approx(4.0, abs=0.01)


def test_the_visit_is_spread_over_block_and_day_and_ends_in_the_evening() -> None:
    settings = OrchardSettings()
    shots = plan_visit(settings, plant_block(settings))
    numbers = [shot.tree.number for shot in shots]
    assert [number // 16 for number in numbers] == list(range(30))  # one out of each 16 of the 480 trees
    assert (
        len({number % 16 for number in numbers}) > 5
    )  # at no regular distance, which could fit a pattern in the field
    moments = [shot.taken_at for shot in shots]
    assert moments == sorted(moments)
    assert {moment.date() for moment in moments} == {settings.day}
    assert (moments[-1] - moments[0]).total_seconds() == 10 * 3600
    assert {shot.light for shot in shots} == set(LIGHTS)
    assert shots[-1].light == "evening"


def test_the_sum_of_the_trees_is_the_yield(drawn: OrchardTruth) -> None:
    kg = sum(tree.yield_kg for tree in drawn.trees)
    assert drawn.sampled_yield_kg_per_ha == pytest.approx(kg / drawn.sampled_area_m2 * 10_000, rel=1e-4)
    assert drawn.single_fruit_weight_g * drawn.fruit_total / 1000 == pytest.approx(kg, rel=1e-4)
    block_kg = sum(tree.yield_kg for tree in plant_block(SMALL))
    assert drawn.block_yield_kg_per_ha == pytest.approx(block_kg / drawn.block_area_m2 * 10_000)
    assert all(0 < tree.occlusion < 1 for tree in drawn.trees)


# trees


def test_a_tree_is_as_high_and_wide_as_asked_for() -> None:
    tree = grow_tree(np.random.default_rng(1), height_m=2.4, spread_m=0.9, leafiness=1.0)
    assert 2.0 < tree.leaves_m[:, 1].max() < 2.7
    assert 0.6 < np.abs(tree.leaves_m[:, 0]).max() < 1.6
    assert np.linalg.norm(tree.leaf_directions, axis=1) == pytest.approx(1, abs=1e-4)
    bare = grow_tree(np.random.default_rng(1), height_m=2.4, spread_m=0.9, leafiness=0.3)
    assert len(bare.leaves_m) < 0.5 * len(tree.leaves_m)


def test_fruit_hang_in_clusters_but_not_inside_one_another() -> None:
    rng = np.random.default_rng(2)
    tree = grow_tree(rng, height_m=2.4, spread_m=0.9, leafiness=1.0)
    diameters_m = rng.uniform(0.065, 0.08, 110)
    centres_m = hang_fruit(rng, tree, diameters_m)
    gaps_m = np.linalg.norm(centres_m[:, None] - centres_m[None], axis=2) + np.eye(110)
    touching = 0.5 * (diameters_m[:, None] + diameters_m[None])
    assert np.mean(gaps_m.min(axis=1) < 1.3 * 0.075) > 0.5  # most have a neighbour in their cluster
    assert np.mean(np.any(gaps_m < 0.9 * touching, axis=1)) < 0.05
    assert np.all(centres_m[:, 1] > 0)


def test_flower_clusters_take_a_spur_each_while_there_are_enough() -> None:
    rng = np.random.default_rng(3)
    tree = grow_tree(rng, height_m=2.4, spread_m=0.9, leafiness=0.5)
    spurs = len(tree.spurs_m)
    assert len(hang_flowers(rng, tree, 0)) == 0
    assert len(hang_flowers(rng, tree, spurs + 10)) == spurs + 10
    places_m = hang_flowers(rng, tree, 100)
    nearest = np.linalg.norm(places_m[:, None] - tree.spurs_m[None], axis=2).min(axis=1)
    assert nearest.max() < 0.12


# settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stage": "autumn"}, "stage is 'autumn'; choose one of flowering, young_fruit"),
        ({"trees": 0}, "trees is 0; choose 1 to 480"),
        ({"trees": 481}, "make the block larger"),
        ({"seed": -1}, "seed is -1; choose 0 or more"),
        ({"width_px": 320}, "width_px is 320; choose 800 to 8000"),
        ({"height_px": 100}, "height_px is 100; choose 1344 to 4032"),
        ({"mean_fruit": 0}, "mean_fruit is 0; choose 1 to 400"),
        ({"mean_fruit": math.nan}, "mean_fruit is nan"),
        ({"fruit_cv": 1.5}, "fruit_cv is 1.5; choose 0 to 1"),
        ({"rows": 0}, "rows is 0; choose 1 to 99"),
        ({"trees_per_row": 100}, "trees_per_row is 100"),
        ({"row_spacing_m": 0.5}, "row_spacing_m is 0.5; choose 2 to 10"),
        ({"tree_spacing_m": 20}, "tree_spacing_m is 20; choose 0.8 to 8"),
        ({"latitude": 91}, "latitude is 91; choose -85 to 85"),
        ({"longitude": 200}, "longitude is 200"),
        ({"block": ""}, "give the block a name"),
    ],
)
def test_settings_that_describe_no_orchard_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(OrchardSettingsError, match=message) as caught:
        OrchardSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"flowering", "ripening"}))  # which other tests draw
def test_every_stage_is_drawn(stage: str) -> None:
    settings = replace(SMALL, stage=stage, trees=1, mean_fruit=8)
    (shot,) = plan_visit(settings, plant_block(settings))
    photograph = Photographer(settings).photograph(shot)
    assert photograph.pixels.shape == (560, 896, 3)
    assert len(photograph.views) == shot.tree.fruit
    assert photograph.pixels.std() > 25
