"""Training crops at native scale, cut from whole-tree photos as they are needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler
from ultralytics.data.dataset import YOLODataset

from models.detection.augment import BORDER, MIN_VISIBLE_SHARE, CropAugmentation
from models.labelled_photos import LABELS, LabelledPhoto


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn.

    Attributes:
        image_px: side of a crop as the network sees it.
        scale: range of the random zoom of fruit photos, log-uniform; 1 is native scale.
        flower_scale: the same for flowering photos, whose objects are smaller.
        at_box: share of crops centred near a random box, the others anywhere in the photo.
        flower_share: share of crops that come from flowering photos, where there are any.
        augment: light, occlusion and geometry are changed at random.
    """

    image_px: int = 320
    scale: tuple[float, float] = (0.6, 1.6)
    flower_scale: tuple[float, float] = (0.6, 1.6)
    at_box: float = 0.7
    flower_share: float = 0.2
    augment: bool = True


@dataclass(frozen=True)
class _Loaded:
    photo: LabelledPhoto
    pixels: NDArray[np.uint8]
    corners: NDArray[np.float64]


def _load(photos: list[LabelledPhoto]) -> list[_Loaded]:
    loaded = []
    for photo in photos:
        pixels = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)  # upright, as photos are counted
        if pixels is None:
            raise ValueError(f"{photo.path} cannot be decoded; remove it or replace it by an intact copy")
        height, width = pixels.shape[:2]
        loaded.append(_Loaded(photo, np.asarray(pixels, dtype=np.uint8), photo.corners_px(width, height)))
    return loaded


def _window(pixels: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """A square of whole pixels; what lies beyond the photo is grey."""
    patch = pixels[max(0, top) : top + side, max(0, left) : left + side]
    above, before = max(0, -top), max(0, -left)
    below, behind = side - above - patch.shape[0], side - before - patch.shape[1]
    padded = cv2.copyMakeBorder(patch, above, below, before, behind, cv2.BORDER_CONSTANT, value=BORDER)
    return np.asarray(padded, dtype=np.uint8)


@dataclass(frozen=True)
class _Crop:
    """A square (side, side, 3) in red, green, blue with corners (N, 4) in its pixels and classes (N,)."""

    photo: LabelledPhoto
    image: NDArray[np.uint8]
    corners: NDArray[np.float64]
    classes: NDArray[np.int64]

    def as_sample(self) -> dict[str, Any]:
        """The crop in the terms of ultralytics' trainers and validators."""
        side = self.image.shape[0]
        centre, size = (self.corners[:, :2] + self.corners[:, 2:]) / 2, self.corners[:, 2:] - self.corners[:, :2]
        boxes = np.concatenate((centre, size), axis=1) / side
        return {
            "im_file": str(self.photo.path),
            "img": torch.from_numpy(np.ascontiguousarray(self.image.transpose(2, 0, 1))),
            "cls": torch.from_numpy(self.classes[:, None].astype(np.float32)),
            "bboxes": torch.from_numpy(boxes.astype(np.float32)),
            "batch_idx": torch.zeros(len(self.classes)),
            "ori_shape": (side, side),
            "resized_shape": (side, side),
            "ratio_pad": ((1.0, 1.0), (0.0, 0.0)),
        }


def _cut(item: _Loaded, x: float, y: float, side: float, image_px: int) -> _Crop:
    """The square of ``side`` pixels at (x, y) with its boxes, resized to ``image_px``.

    Coordinates count from the corner of the first pixel, as the labels do. A square that shrinks is moved to whole
    pixels, since its pixels are averaged.
    """
    if side >= image_px:
        x, y, side = math.floor(x), math.floor(y), round(side)
        patch = _window(item.pixels, x, y, side)
        image = cv2.resize(patch, (image_px, image_px), interpolation=cv2.INTER_AREA)
        zoom = image_px / side
    else:
        zoom = image_px / side
        centring = (zoom - 1) / 2  # OpenCV counts from the centre of the first pixel
        transform = np.array([[zoom, 0, centring - x * zoom], [0, zoom, centring - y * zoom]])
        image = cv2.warpAffine(item.pixels, transform, (image_px, image_px), flags=cv2.INTER_LINEAR, borderValue=BORDER)
    corners = (item.corners - np.array([x, y, x, y])) * zoom
    clipped = corners.clip(0, image_px)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    visible = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
    kept = visible > MIN_VISIBLE_SHARE * area
    rgb = np.asarray(image[..., ::-1], dtype=np.uint8)
    return _Crop(item.photo, np.ascontiguousarray(rgb), clipped[kept], item.photo.classes[kept])


class RandomCrops(Dataset[dict[str, Any]]):
    """Random crops with changes of light, occlusion and geometry; what is drawn depends on the settings and the seed.

    Args:
        photos: training photos; decoded once and kept in memory (about 13 MB for 2688 x 1664 px).
        settings: how crops are drawn.
        length: crops an epoch.
        seed: the n-th crop of a run, counted over its epochs, is the same in each run with the same seed.
    """

    collate_fn = staticmethod(YOLODataset.collate_fn)

    def __init__(self, photos: list[LabelledPhoto], settings: CropSettings, length: int, seed: int) -> None:
        self.items = _load(photos)
        self.settings = settings
        self.length = length
        self.seed = seed
        self.labels = [{"cls": item.photo.classes[:, None]} for item in self.items]  # read by the trainer
        self.flowers = [i for i, item in enumerate(self.items) if item.photo.kind == "flowers"]
        self.others = [i for i in range(len(self.items)) if i not in set(self.flowers)]
        # a photo is drawn as often as it has content: area in units of one crop, at least one
        areas = np.array([max(1.0, item.pixels[..., 0].size / 640**2) for item in self.items])
        self.weights = areas / areas.sum()
        self.augmentation = CropAugmentation(len(LABELS)) if settings.augment else None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The ``index``-th crop of the run; later epochs ask for numbers beyond the length."""
        generator = np.random.default_rng((self.seed, index))
        crop = self._draw(generator)
        if self.augmentation is not None:
            changed = self.augmentation(crop.image, crop.corners, crop.classes, generator)
            crop = replace(crop, image=changed[0], corners=changed[1], classes=changed[2])
        return crop.as_sample()

    def _draw(self, random: np.random.Generator) -> _Crop:
        pool = self.others
        if self.flowers and (not pool or random.random() < self.settings.flower_share):
            pool = self.flowers
        weights = self.weights[pool]
        item = self.items[int(random.choice(pool, p=weights / weights.sum()))]
        low, high = self.settings.flower_scale if item.photo.kind == "flowers" else self.settings.scale
        zoom = math.exp(random.uniform(math.log(low), math.log(high)))
        side = self.settings.image_px / zoom
        height, width = item.pixels.shape[:2]
        if len(item.corners) and random.random() < self.settings.at_box:
            box = item.corners[random.integers(len(item.corners))]
            centre = (box[:2] + box[2:]) / 2 + random.uniform(-0.45, 0.45, 2) * side
        else:
            centre = random.uniform((0, 0), (width, height))
        # keep the crop inside the photo where it fits
        x = float(np.clip(centre[0] - side / 2, min(0, width - side), max(0, width - side)))
        y = float(np.clip(centre[1] - side / 2, min(0, height - side), max(0, height - side)))
        return _cut(item, x, y, side, self.settings.image_px)


class OnwardSampler(Sampler[int]):
    """Numbers the crops of a run onwards over its epochs.

    Args:
        crops: what is sampled; its length is one epoch.

    Attributes:
        epoch: the epoch to draw. Whoever trains sets it: a loader starts a pass more often than once an epoch.
    """

    def __init__(self, crops: Sized) -> None:
        self.crops = crops
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.crops)

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * len(self)
        return iter(range(first, first + len(self)))


class GridCrops(Dataset[dict[str, Any]]):
    """Every square of a regular grid over the photos, without augmentation; for validation while training.

    A strip at the right or lower edge that is narrower than half a square is left out; a wider one is padded.

    Args:
        photos: held-out photos.
        image_px: side of a square as the network sees it.
        zoom: 1 is native scale.
        flower_zoom: the same for flowering photos.
    """

    collate_fn = staticmethod(YOLODataset.collate_fn)

    def __init__(self, photos: list[LabelledPhoto], image_px: int, zoom: float = 1.0, flower_zoom: float = 1.0) -> None:
        self.items = _load(photos)
        self.image_px = image_px
        self.labels = [{"cls": item.photo.classes[:, None]} for item in self.items]
        self.places: list[tuple[int, int, int, int]] = []
        for number, item in enumerate(self.items):
            height, width = item.pixels.shape[:2]
            side = round(image_px / (flower_zoom if item.photo.kind == "flowers" else zoom))
            for y in range(0, max(1, height - side // 2), side):
                for x in range(0, max(1, width - side // 2), side):
                    self.places.append((number, x, y, side))
        self.im_files = [str(self.items[number].photo.path) for number, *_ in self.places]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, x, y, side = self.places[index]
        return _cut(self.items[number], x, y, side, self.image_px).as_sample()
