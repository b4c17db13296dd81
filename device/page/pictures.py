"""Smaller pictures of the photos, made when they are first asked for and kept beside the store."""

from __future__ import annotations

import contextlib
import io
import secrets
import threading
from pathlib import Path

from PIL import Image, ImageOps

from device.disk import remedy_for
from device.errors import StoreError
from device.photo_views import PhotoView
from export.runtime.photos import open_image, read_photo

THUMBNAIL_PX, PREVIEW_PX = 480, 2048
_MEDIA_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


def media_type_of(photo: PhotoView) -> str | None:
    """Media type of a photo's file; None where browsers cannot show it and its preview stands in."""
    return _MEDIA_TYPES.get(photo.path.suffix)


class Pictures:
    """Thumbnails and previews, as upright JPEG.

    Args:
        folder: where they are kept; may be deleted at any time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # a decoded photo takes up to 150 MB, and a visit's page asks for sixty thumbnails at once
        self._one_at_a_time = threading.Lock()

    def thumbnail(self, photo: PhotoView) -> Path:
        """A small picture for lists; errors as :meth:`preview`."""
        return self._picture(photo, THUMBNAIL_PX)

    def preview(self, photo: PhotoView) -> Path:
        """A picture that fills a screen.

        Raises:
            PhotoError: the photo's file is gone or broken.
            MissingPartError: a HEIC photo without the library that reads it.
            StoreError: it cannot be written.
        """
        return self._picture(photo, PREVIEW_PX)

    def _picture(self, photo: PhotoView, longest_side_px: int) -> Path:
        target = self._folder / photo.sha256[:2] / f"{photo.sha256}-{longest_side_px}.jpg"
        if target.exists():
            return target
        with self._one_at_a_time:
            if not target.exists():
                _save(_shrink(photo.path, longest_side_px), target)
        return target


def _shrink(path: Path, longest_side_px: int) -> Image.Image:
    box = (longest_side_px, longest_side_px)
    if path.suffix in (".jpg", ".jpeg"):
        with path.open("rb") as file, open_image(file, str(path)) as image:
            image.draft("RGB", box)  # decodes at a half, a quarter or an eighth where that is enough
            upright = ImageOps.exif_transpose(image).convert("RGB")
    else:
        upright = Image.fromarray(read_photo(path).pixels)
    upright.thumbnail(box)
    return upright


def _save(picture: Image.Image, target: Path) -> None:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=82, progressive=True)  # to a file it would not say why a write failed
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content.getvalue())
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StoreError(f"{target} cannot be written: {error.strerror}; {remedy_for(error)}") from error
