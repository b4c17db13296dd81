"""Training crops: the boxes follow the pixels, the draw follows the seed, the grid covers the photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from models.detection.crops import CropSettings, GridCrops, OnwardSampler, RandomCrops
from models.labelled_photos import read_labelled_photos
from tests.models.drawn_photos import Square, draw_photo

GREY = 114


def _random_crops(folder: Path, length: int = 30, seed: int = 0, **settings: Any) -> RandomCrops:
    """Crops as they are cut, unless a test asks for more."""
    return RandomCrops(read_labelled_photos(folder), CropSettings(**{"augment": False, **settings}), length, seed)


def _brightness(crop: dict[str, Any]) -> NDArray[np.float64]:
    """0 for black, 1 for the crop's brightest pixel."""
    pixels = crop["img"].numpy().max(0).astype(np.float64)
    return np.asarray(pixels / max(1.0, pixels.max()))


def _corners(crop: dict[str, Any]) -> NDArray[np.float64]:
    """The labels' corners in pixels of the crop."""
    side = crop["img"].shape[-1]
    boxes = crop["bboxes"].numpy().astype(np.float64) * side
    return np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), axis=1)


def _middle(brightness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of gravity as x, y, counted from the corner of the first pixel."""
    rows, columns = np.mgrid[: brightness.shape[0], : brightness.shape[1]] + 0.5
    weight = brightness.sum()
    return np.array([(columns * brightness).sum() / weight, (rows * brightness).sum() / weight])


@pytest.mark.parametrize("scale", [(0.4, 0.7), (0.9, 1.1), (1.6, 2.4)], ids=["shrunk", "at native scale", "enlarged"])
def test_a_whole_square_lies_exactly_where_its_box_says(tmp_path: Path, scale: tuple[float, float]) -> None:
    draw_photo(tmp_path, "trees", "a.png", (300, 260), [Square(131, 97, 24, 17)])
    whole = 0
    for crop in map(_random_crops(tmp_path, image_px=96, scale=scale, at_box=1.0).__getitem__, range(30)):
        for x1, y1, x2, y2 in _corners(crop):
            if min(x1, y1) < 2 or max(x2, y2) > 94:
                continue
            whole += 1
            light = _brightness(crop)
            assert _middle(light) == pytest.approx([(x1 + x2) / 2, (y1 + y2) / 2], abs=0.1)
            assert light.sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.06)
    assert whole > 5


def test_a_photo_narrower_than_the_crop_is_surrounded_by_grey_and_its_box_moves_along(tmp_path: Path) -> None:
    draw_photo(tmp_path, "trees", "a.png", (40, 50), [Square(10, 20, 8, 12)])
    for crop in map(_random_crops(tmp_path, image_px=64, scale=(0.5, 1.0), at_box=1.0).__getitem__, range(10)):
        red, green = crop["img"][0].numpy().astype(int), crop["img"][1].numpy()
        light = np.clip((red - green) / max(1, (red - green).max()), 0, 1)  # neither grey nor black
        ((x1, y1, x2, y2),) = _corners(crop)
        assert _middle(light) == pytest.approx([(x1 + x2) / 2, (y1 + y2) / 2], abs=0.15)
        assert (green > 40).any(), "grey beyond the photo"


def test_labels_keep_the_class_of_their_square(tmp_path: Path) -> None:
    squares = [Square(20, 20, 12, 12, label=0), Square(60, 70, 12, 12, label=1)]
    draw_photo(tmp_path, "trees", "a.png", (128, 128), squares)
    seen = set()
    for crop in map(_random_crops(tmp_path, image_px=64, scale=(0.8, 1.2)).__getitem__, range(20)):
        for (x1, y1, x2, y2), label in zip(_corners(crop), crop["cls"].flatten().tolist(), strict=True):
            red, green, _ = crop["img"][:, int((y1 + y2) / 2), int((x1 + x2) / 2)].tolist()
            assert red > 60, "colours are red, green, blue by now"
            assert (green > 0.9 * red) == (label == 1), "a flower is white"
            seen.add(label)
    assert seen == {0.0, 1.0}


def test_what_a_batch_is_made_of(tmp_path: Path) -> None:
    draw_photo(tmp_path, "trees", "a.png", (80, 80), [Square(30, 30, 10, 10)])
    draw_photo(tmp_path, "trees", "b.png", (80, 80), [])
    loader = DataLoader(_random_crops(tmp_path, length=6, image_px=64), 6, collate_fn=RandomCrops.collate_fn)
    (batch,) = loader
    assert batch["img"].shape == (6, 3, 64, 64)
    assert batch["img"].dtype == torch.uint8
    assert len(batch["bboxes"]) == len(batch["cls"]) == len(batch["batch_idx"])
    assert batch["bboxes"].shape[1] == 4
    assert float(batch["bboxes"].min()) >= 0
    assert float(batch["bboxes"].max()) <= 1


# --- drawing --------------------------------------------------------------------------------------------------------


def _pictures(dataset: RandomCrops, first: int = 0) -> Tensor:
    return torch.stack([dataset[i]["img"] for i in range(first, first + 8)])


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A data set of fruit and flowers on backgrounds that differ."""
    for number, kind in enumerate(("trees", "trees", "flowers")):
        squares = [Square(17 * i, 13 * i, 9, 9, label=int(kind == "flowers")) for i in range(8)]
        draw_photo(tmp_path, kind, f"{kind}{number}.png", (160, 120), squares, background=40 * number)
    return tmp_path


def test_the_same_seed_draws_the_same_crops_in_any_order(noise: Path) -> None:
    first, again, other = (_random_crops(noise, image_px=48, seed=seed, augment=True) for seed in (1, 1, 2))
    expected = _pictures(first)
    again[3]
    assert torch.equal(_pictures(again), expected)
    assert not torch.equal(_pictures(other), expected)


def test_an_epoch_is_not_repeated_in_the_next(noise: Path) -> None:
    dataset = _random_crops(noise, length=8, image_px=48)
    sampler = OnwardSampler(dataset)
    assert list(sampler) == list(sampler) == list(range(8)), "a pass that is begun twice is the same pass"
    sampler.epoch = 2
    assert list(sampler) == list(range(16, 24))
    assert not torch.equal(_pictures(dataset), _pictures(dataset, first=8))


@pytest.mark.parametrize("workers", [0, 2])
def test_whoever_loads_the_crops_of_an_epoch_are_the_same(noise: Path, workers: int) -> None:
    """ultralytics begins the loader's pass twice an epoch, and processes that load ahead must not notice."""
    dataset = _random_crops(noise, length=8, image_px=48, augment=True)
    sampler = OnwardSampler(dataset)
    loader = DataLoader(
        dataset,
        4,
        sampler=sampler,
        num_workers=workers,
        collate_fn=RandomCrops.collate_fn,
        persistent_workers=workers > 0,
    )
    for epoch in (1, 2):
        sampler.epoch = epoch
        enumerate(loader)
        drawn = torch.cat([batch["img"] for _, batch in enumerate(loader)])
        assert torch.equal(drawn, _pictures(dataset, first=8 * epoch))


@pytest.mark.parametrize(("share", "expected"), [(0.0, {"trees"}), (1.0, {"flowers"}), (0.5, {"trees", "flowers"})])
def test_flowering_photos_have_their_share(noise: Path, share: float, expected: set[str]) -> None:
    dataset = _random_crops(noise, image_px=48, flower_share=share)
    assert {Path(dataset[i]["im_file"]).parents[1].name for i in range(30)} == expected


def test_photos_of_one_kind_alone_make_up_all_crops(tmp_path: Path) -> None:
    draw_photo(tmp_path, "flowers", "a.png", (80, 80), [Square(30, 30, 10, 10, label=1)])
    dataset = _random_crops(tmp_path, length=5, image_px=48, flower_share=0.0)
    assert [Path(dataset[i]["im_file"]).name for i in range(len(dataset))] == ["a.png"] * 5


def test_crops_at_boxes_show_a_box_and_others_lie_anywhere(tmp_path: Path) -> None:
    draw_photo(tmp_path, "trees", "a.png", (1000, 1000), [Square(480, 480, 20, 20)])
    at_box, anywhere = (
        sum(len(crop["cls"]) for crop in map(_random_crops(tmp_path, image_px=64, at_box=share).__getitem__, range(30)))
        for share in (1.0, 0.0)
    )
    assert at_box > 20
    assert anywhere < 5


def test_large_photos_are_drawn_more_often_than_small_ones(tmp_path: Path) -> None:
    draw_photo(tmp_path, "trees", "small.png", (64, 64), [])
    draw_photo(tmp_path, "trees", "large.png", (2560, 640), [])
    dataset = _random_crops(tmp_path, image_px=32)
    drawn = [Path(dataset[i]["im_file"]).stem for i in range(60)]
    assert drawn.count("large") > 2 * drawn.count("small") > 0


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    path = draw_photo(tmp_path, "trees", "a.png", (8, 8), [])
    path.write_bytes(b"nothing like a picture")
    with pytest.raises(ValueError, match=r"a\.png cannot be decoded; remove it or replace it"):
        GridCrops(read_labelled_photos(tmp_path), 64)


# --- the grid -------------------------------------------------------------------------------------------------------


def _grid(folder: Path, image_px: int = 64) -> GridCrops:
    return GridCrops(read_labelled_photos(folder), image_px)


@pytest.mark.parametrize(
    ("size", "columns", "rows"),
    [((128, 64), 2, 1), ((150, 100), 2, 2), ((161, 95), 3, 1), ((160, 97), 2, 2), ((20, 30), 1, 1)],
    ids=str,
)
def test_grid_covers_the_photo_but_for_strips_narrower_than_half_a_square(
    tmp_path: Path, size: tuple[int, int], columns: int, rows: int
) -> None:
    width, height = size
    path = draw_photo(tmp_path, "trees", "a.png", size, [])
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)
    dataset = _grid(tmp_path)
    assert len(dataset) == columns * rows
    joined = np.full((rows * 64, columns * 64, 3), 0, dtype=np.uint8)
    for number in range(len(dataset)):
        row, column = divmod(number, columns)
        picture = dataset[number]["img"].permute(1, 2, 0).numpy()[..., ::-1]
        joined[row * 64 : (row + 1) * 64, column * 64 : (column + 1) * 64] = picture
    assert np.array_equal(joined[:height, :width], pixels[: rows * 64, : columns * 64])
    assert (joined[height:] == GREY).all()
    assert (joined[:, width:] == GREY).all()
    assert width - columns * 64 <= 32
    assert height - rows * 64 <= 32


def test_grid_shows_photos_at_the_scale_that_was_asked_for(tmp_path: Path) -> None:
    for kind, label in (("trees", 0), ("flowers", 1)):
        draw_photo(tmp_path, kind, f"{kind}.png", (256, 128), [Square(20, 30, 40, 20, label=label)])
    dataset = GridCrops(read_labelled_photos(tmp_path), 64, zoom=0.5, flower_zoom=0.25)
    corners = {
        Path(crop["im_file"]).stem: _corners(crop)
        for crop in map(dataset.__getitem__, range(len(dataset)))
        if len(crop["cls"])
    }
    assert len(dataset) == 2 * 1 + 1, "flowering photos shrink more"
    assert corners["trees"][0] == pytest.approx([10, 15, 30, 25], abs=1e-3)
    assert corners["flowers"][0] == pytest.approx([5, 7.5, 15, 12.5], abs=1e-3)


def test_grid_knows_the_photo_of_each_square(tmp_path: Path) -> None:
    for name, size in (("a.png", (128, 64)), ("b.png", (64, 64))):
        draw_photo(tmp_path, "trees", name, size, [])
    dataset = _grid(tmp_path)
    assert [Path(name).name for name in dataset.im_files] == ["a.png", "a.png", "b.png"]
    assert [Path(dataset[i]["im_file"]).name for i in range(3)] == ["a.png", "a.png", "b.png"]


@pytest.mark.parametrize(
    ("left", "right", "labelled"),
    [(10, 30, [False, True]), (20, 20, [True, True]), (11, 29, [False, True]), (13, 27, [True, True])],
    ids=["a quarter", "half", "27 %", "32 %"],
)
def test_a_cut_box_stays_a_label_while_three_tenths_of_it_show(
    tmp_path: Path, left: int, right: int, labelled: list[bool]
) -> None:
    draw_photo(tmp_path, "trees", "a.png", (128, 64), [Square(64 - left, 20, left + right, 10)])
    squares = [_grid(tmp_path)[i] for i in range(2)]
    assert [len(square["cls"]) == 1 for square in squares] == labelled
    for square, visible, x in zip(squares, ((64 - left, 64), (0, right)), labelled, strict=True):
        if x:
            assert _corners(square)[0] == pytest.approx([visible[0], 20, visible[1], 30], abs=1e-3)
