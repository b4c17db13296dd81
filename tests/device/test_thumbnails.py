"""Thumbnails: small, upright, sent once and only where they are wanted."""

from __future__ import annotations

import base64
import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cloud_sync.messages import MOST_JPEG_BYTES, ThumbnailBody, decode_body, decode_envelope
from cloud_sync.outbox import new_id
from device.orchards import Block
from device.store import Store
from device.thumbnails import make_thumbnail, remake_thumbnail, thumbnails_wanted, want_thumbnails
from export.runtime.counter import Counter
from export.runtime.photos import Photo, read_photo
from tests.device.visiting import bring_in, photograph, queued, table
from tests.drawing import exif


def opened(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg))
    assert picture.format == "JPEG"
    return picture


def photo_of(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Photo:
    return Photo(pixels, None, None, None)


def test_a_thumbnail_is_sent_with_each_photo_behind_its_records(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    """SYNC-072."""
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5))
    last = decode_body(decode_envelope(store.outbox.waiting("jetson-1", 0, 100)[-1].payload))
    assert isinstance(last, ThumbnailBody)
    (row,) = table(store, "photo")
    assert last.photo == row["sha256"]
    assert opened(base64.b64decode(last.jpeg)).size == (320, 240)


def test_a_thumbnail_is_sent_once_whatever_is_imported_again(
    store: Store, block: Block, counter: Counter, newer_counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T01", 5)
    for again in (counter, counter, newer_counter):
        bring_in(store, again, block, photo)
    assert len(queued(store, "detections")) == 2
    assert len(queued(store, "thumbnail")) == 1


def test_where_they_are_not_wanted_none_is_made(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    assert thumbnails_wanted(store)
    want_thumbnails(store, wanted=False)
    assert not thumbnails_wanted(store)
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5))
    assert queued(store, "thumbnail") == []
    want_thumbnails(store, wanted=True)
    bring_in(store, counter, block, photograph(tmp_path, "T02", 5))
    assert queued(store, "thumbnail") == ["thumbnail"]


def test_a_photo_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    """SYNC-072."""
    lying = photograph(tmp_path, "T01", 5, said=exif(orientation=6))
    assert opened(make_thumbnail(read_photo(lying.path, 640))).size == (240, 320)


def test_it_shows_the_photo() -> None:
    pixels = np.zeros((900, 1800, 3), np.uint8)
    pixels[:, 900:, 0] = 255
    picture = np.asarray(opened(make_thumbnail(photo_of(pixels)))).astype(int)
    assert picture.shape == (160, 320, 3)
    assert picture[:, :150].max() < 16
    assert abs(picture[:, 170:] - (255, 0, 0)).max() < 16


@pytest.mark.parametrize("shape", [(1800, 1800), (4000, 200), (700, 600)])
def test_the_hardest_picture_fits_as_well(shape: tuple[int, int]) -> None:
    """SYNC-072."""
    noise = np.random.default_rng(1).integers(0, 2, (*shape, 3), np.uint8) * 255
    jpeg = make_thumbnail(photo_of(noise))
    assert len(jpeg) <= MOST_JPEG_BYTES
    assert max(opened(jpeg).size) == 320


def test_a_plain_picture_is_as_good_as_it_can_be() -> None:
    assert len(make_thumbnail(photo_of(np.full((600, 800, 3), 90, np.uint8)))) < 2000


def test_a_thumbnail_that_was_stored_is_made_again_from_its_photo(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    """SYNC-107: the picture is not kept in the store, and the server may have lost it."""
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5))
    store.outbox.remake = partial(remake_thumbnail, store)
    before = store.outbox.waiting("jetson-1", 0, 100)
    store.outbox.stored([item.message for item in before])
    store.outbox.sent.queue_again(item.sequence for item in before)
    *others, picture = store.outbox.waiting("jetson-1", 0, 100)
    assert others == before[:-1]
    first, again = (decode_body(decode_envelope(item.payload)) for item in (before[-1], picture))
    assert isinstance(first, ThumbnailBody)
    assert isinstance(again, ThumbnailBody)
    assert again.photo == first.photo
    pixels = [np.asarray(opened(base64.b64decode(body.jpeg))).astype(int) for body in (first, again)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 3  # decoded at another size, so not to the last bit
    (photo,) = table(store, "photo")
    store.photos.path(photo["sha256"], photo["suffix"]).unlink()
    assert store.outbox.waiting("jetson-1", 0, 100)[-1].payload == b""


def test_only_thumbnails_are_made_again(store: Store) -> None:
    assert remake_thumbnail(store, "thumbnail", new_id()) is None
    assert remake_thumbnail(store, "count", new_id()) is None
