"""Training crops at native scale, cut from whole-tree photos as they are needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info
from ultralytics.data.augment import Compose, Format, RandomFlip, RandomHSV
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils.instance import Instances

from models.labelled_photos import LabelledPhoto

# A box cut by the crop's border stays a label while this much of it shows.
_MIN_VISIBLE_SHARE = 0.3
# Grey beyond the photo's edge, as ultralytics pads.
_BORDER = (114, 114, 114)


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn.

    Attributes:
        image_px: side of a crop as the network sees it.
        scale: range of the random zoom of fruit photos, log-uniform; 1 is native scale.
        flower_scale: the same for flowering photos, whose objects are smaller.
        at_box: share of crops centred near a random box, the others anywhere in the photo.
        flower_share: share of crops that come from flowering photos, where there are any.
    """

    image_px: int = 320
    scale: tuple[float, float] = (0.6, 1.6)
    flower_scale: tuple[float, float] = (0.6, 1.6)
    at_box: float = 0.7
    flower_share: float = 0.2


@dataclass(frozen=True)
class _Loaded:
    photo: LabelledPhoto
    pixels: NDArray[np.uint8]
    corners: NDArray[np.float64]


def _load(photos: list[LabelledPhoto]) -> list[_Loaded]:
    loaded = []
    for photo in photos:
        pixels = cv2.imread(str(photo.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
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
    padded = cv2.copyMakeBorder(patch, above, below, before, behind, cv2.BORDER_CONSTANT, value=_BORDER)
    return np.asarray(padded, dtype=np.uint8)


def _cut(item: _Loaded, x: float, y: float, side: float, image_px: int) -> dict[str, Any]:
    """The square of ``side`` pixels at (x, y), resized to ``image_px``, with its boxes, in ultralytics' terms.

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
        image = cv2.warpAffine(
            item.pixels, transform, (image_px, image_px), flags=cv2.INTER_LINEAR, borderValue=_BORDER
        )
    corners = (item.corners - np.array([x, y, x, y])) * zoom
    clipped = corners.clip(0, image_px)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    visible = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
    kept = visible > _MIN_VISIBLE_SHARE * area
    return {
        "im_file": str(item.photo.path),
        "img": image,
        "cls": item.photo.classes[kept, None].astype(np.float32),
        "instances": Instances(
            bboxes=clipped[kept].astype(np.float32),
            segments=np.zeros((0, 0, 2), dtype=np.float32),
            bbox_format="xyxy",
            normalized=False,
        ),
        "ori_shape": (image_px, image_px),
        "resized_shape": (image_px, image_px),
        "ratio_pad": ((1.0, 1.0), (0.0, 0.0)),
    }


class RandomCrops(Dataset[dict[str, Any]]):
    """Random crops with colour and geometric augmentation; length and content depend on the settings, not the photos.

    Args:
        photos: training photos; decoded once and kept in memory (about 13 MB for 2688 x 1664 px).
        settings: how crops are drawn.
        length: crops an epoch.
        seed: the n-th crop drawn is the same in each run with the same seed and the same number of loader processes;
            its colours and flip come from the generators of ``random`` and NumPy.
    """

    collate_fn = staticmethod(YOLODataset.collate_fn)

    def __init__(self, photos: list[LabelledPhoto], settings: CropSettings, length: int, seed: int) -> None:
        self.items = _load(photos)
        self.settings = settings
        self.length = length
        self.seed = seed
        self.generator = np.random.default_rng(seed)
        self.process: int | None = None  # number of the loader process the generator belongs to
        self.labels = [{"cls": item.photo.classes[:, None]} for item in self.items]  # read by the trainer
        self.flowers = [i for i, item in enumerate(self.items) if item.photo.kind == "flowers"]
        self.others = [i for i in range(len(self.items)) if i not in set(self.flowers)]
        # a photo is drawn as often as it has content: area in units of one crop, at least one
        areas = np.array([max(1.0, item.pixels[..., 0].size / 640**2) for item in self.items])
        self.weights = areas / areas.sum()
        self.transforms = Compose(
            [
                RandomHSV(hgain=0.015, sgain=0.6, vgain=0.45),
                RandomFlip(direction="horizontal", p=0.5),
                Format(bbox_format="xywh", normalize=True, batch_idx=True),
            ]
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        del index  # each call draws anew
        labels: dict[str, Any] = self.transforms(self._draw())
        return labels

    def _own_generator(self) -> np.random.Generator:
        """The generator; each loader process gets its own stream, lest all of them draw the same crops."""
        loader = get_worker_info()
        if loader is not None and self.process != loader.id:
            self.process, self.generator = loader.id, np.random.default_rng((self.seed, loader.id))
        return self.generator

    def _draw(self) -> dict[str, Any]:
        random = self._own_generator()
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


class GridCrops(Dataset[dict[str, Any]]):
    """Every square of a regular grid over the photos, without augmentation; for validation while training.

    A strip at the right or lower edge that is narrower than half a square is left out; a wider one is padded.

    Args:
        photos: held-out photos.
        image_px: side of a square, at native scale.
    """

    collate_fn = staticmethod(YOLODataset.collate_fn)

    def __init__(self, photos: list[LabelledPhoto], image_px: int) -> None:
        self.items = _load(photos)
        self.image_px = image_px
        self.labels = [{"cls": item.photo.classes[:, None]} for item in self.items]
        self.places: list[tuple[int, int, int]] = []
        for number, item in enumerate(self.items):
            height, width = item.pixels.shape[:2]
            for y in range(0, max(1, height - image_px // 2), image_px):
                for x in range(0, max(1, width - image_px // 2), image_px):
                    self.places.append((number, x, y))
        self.im_files = [str(self.items[number].photo.path) for number, _, _ in self.places]
        self.transforms = Compose([Format(bbox_format="xywh", normalize=True, batch_idx=True)])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, x, y = self.places[index]
        labels: dict[str, Any] = self.transforms(_cut(self.items[number], x, y, self.image_px, self.image_px))
        return labels
