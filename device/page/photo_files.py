"""``/photos/…``: the photos themselves, their previews and thumbnails."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from device.page.context import Context, OpenedStore
from device.page.failures import unknown_is_404
from device.page.pictures import media_type_of
from device.photo_views import PhotoView, get_photo
from device.store import Store
from export.runtime.errors import MissingPartError, PhotoError

# a photo never changes under its name, its SHA-256
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}

router = APIRouter(prefix="/photos/{sha256}")


@router.get("")
def photo_file(sha256: str, store: OpenedStore, context: Context) -> FileResponse:
    """The photo as it came; HEIC, which few browsers show, as JPEG."""
    photo = _existing(store, sha256)
    media_type = media_type_of(photo)
    if media_type is None:
        return preview(sha256, store, context)
    return _file(photo.path, media_type)


@router.get("/preview")
def preview(sha256: str, store: OpenedStore, context: Context) -> FileResponse:
    """The photo at the size of a screen."""
    photo = _existing(store, sha256)
    try:
        return _file(context.pictures.preview(photo), "image/jpeg")
    except (PhotoError, MissingPartError, OSError) as error:
        raise _unreadable(photo, error) from error


@router.get("/thumbnail")
def thumbnail(sha256: str, store: OpenedStore, context: Context) -> FileResponse:
    """The photo at the size of a stamp."""
    photo = _existing(store, sha256)
    try:
        return _file(context.pictures.thumbnail(photo), "image/jpeg")
    except (PhotoError, MissingPartError, OSError) as error:
        raise _unreadable(photo, error) from error


def _existing(store: Store, sha256: str) -> PhotoView:
    with unknown_is_404():
        photo = get_photo(store, sha256)
    if not photo.path.is_file():
        raise HTTPException(404, f"the file of photo {sha256} is gone from this device; restore it from a backup")
    return photo


def _unreadable(photo: PhotoView, error: Exception) -> HTTPException:
    return HTTPException(
        500, f"photo {photo.file_name} of tree {photo.tree} cannot be shown ({error}); restore it from a backup"
    )


def _file(path: Path, media_type: str) -> FileResponse:
    return FileResponse(path, media_type=media_type, headers=_FOR_EVER)
