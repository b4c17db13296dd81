"""Small pictures of the photos for whoever looks at the records elsewhere, and whether this device sends them."""

from __future__ import annotations

import base64
import io

from PIL import Image

from cloud_sync.messages import MOST_JPEG_BYTES, ThumbnailBody
from device.store import Store
from export.runtime.errors import MissingPartError, PhotoError
from export.runtime.photos import Photo, read_photo

LONGER_SIDE_PX = 320
# leaves are as hard to compress as anything; noise, which is harder, still fits at the last
_QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10)
_SETTING = "thumbnails"


def make_thumbnail(photo: Photo) -> bytes:
    """A JPEG with a longer side of :data:`LONGER_SIDE_PX`, as good as its bound in bytes allows."""
    picture = Image.fromarray(photo.scaled(LONGER_SIDE_PX))
    for quality in _QUALITIES:
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality, optimize=True)
        if content.tell() <= MOST_JPEG_BYTES:
            break
    return content.getvalue()


def thumbnail_body(sha256: str, jpeg: bytes) -> ThumbnailBody:
    """What is sent of a photo's thumbnail."""
    return ThumbnailBody(photo=sha256, jpeg=base64.b64encode(jpeg).decode("ascii"))


def remake_thumbnail(store: Store, kind: str, record: str) -> ThumbnailBody | None:
    """Make a thumbnail again that was sent before.

    Args:
        store: the store.
        kind: type of the record.
        record: its id.

    Returns:
        The thumbnail; None where the record is none, or its photo cannot be read any more.
    """
    row = store.one(
        "SELECT sha256, suffix FROM thumbnail JOIN photo ON photo.id = thumbnail.photo WHERE thumbnail.id = ?", [record]
    )
    if kind != ThumbnailBody.TYPE or row is None:
        return None
    try:
        photo = read_photo(store.photos.path(row["sha256"], row["suffix"]), LONGER_SIDE_PX)
    except (PhotoError, MissingPartError):
        return None
    return thumbnail_body(row["sha256"], make_thumbnail(photo))


def thumbnails_wanted(store: Store) -> bool:
    """Whether photos that are imported from now on get a thumbnail; they do until somebody says otherwise."""
    row = store.one("SELECT value FROM device_setting WHERE name = ?", [_SETTING])
    return row is None or row["value"] == "on"


def want_thumbnails(store: Store, *, wanted: bool) -> None:
    """Say whether photos that are imported from now on get a thumbnail.

    Raises:
        StoreError: the store cannot be written.
    """
    with store.change() as db:
        db.table("device_setting").upsert({"name": _SETTING, "value": "on" if wanted else "off"}, pk="name")
