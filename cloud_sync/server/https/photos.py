"""Routes for full photos: what is asked of a device, and what it sends of that, a chunk at a time."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi import Path as PathPart
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from cloud_sync.photos import ABSENT, MOST_PHOTO_BYTES, OFFSET, PHOTOS, AbsentPhoto, AskedPhoto, AskedPhotos
from cloud_sync.server import photo_requests
from cloud_sync.server.errors import FullDiskError, OffsetError, WrongPhotoError
from cloud_sync.server.https.context import Caller, CallingDevice, HttpsSite, site_of
from cloud_sync.server.photo_files import PhotoFiles
from cloud_sync.server.photo_requests import ARRIVED, ASKED, PhotoRequest, first_asked, settle

_Sha256 = Annotated[str, PathPart(pattern="^[0-9a-f]{64}$")]
_Offset = Annotated[int, Header(alias="Upload-Offset", ge=0, lt=MOST_PHOTO_BYTES)]
_Length = Annotated[int, Header(alias="Upload-Length", ge=1, le=MOST_PHOTO_BYTES)]

router = APIRouter()
_log = logging.getLogger(__name__)


@router.get(PHOTOS)
def asked(request: Request, caller: Caller) -> AskedPhotos:
    """What is asked of this device."""
    with site_of(request).database.read() as session:
        rows = first_asked(session, caller.device)
        return AskedPhotos(photos=[AskedPhoto(photo=row.photo, metered=row.metered) for row in rows])


@router.get(f"{PHOTOS}/{{photo}}")
def progress(request: Request, caller: Caller, photo: _Sha256) -> Response:
    """How much of a photo has come."""
    site = site_of(request)
    wanted = _wanted(site, caller, photo)
    files = PhotoFiles(site.folder.photos)
    with site.folder.explained():
        if not files.has(photo, wanted.suffix) and files.is_complete(caller.device, photo, wanted.size_bytes):
            try:
                files.finish(caller.device, photo, wanted.suffix)
            except WrongPhotoError as error:
                _log.error("%s", error)  # it is sent again, from its first byte on
        if files.has(photo, wanted.suffix):
            return _confirmed(_arrived(site, caller, files, wanted))
        return _confirmed(files.offset(caller.device, photo))


@router.patch(f"{PHOTOS}/{{photo}}")
async def append(request: Request, caller: Caller, photo: _Sha256, offset: _Offset, length: _Length) -> Response:
    """Take a chunk of a photo; the last one completes it."""
    try:
        chunk = await request.body()
    except ClientDisconnect:
        return Response(status_code=400)  # to nobody: the device goes on from what it heard to be confirmed
    return await run_in_threadpool(_append, site_of(request), caller, photo, chunk, (offset, length))


@router.post(f"{PHOTOS}/{{photo}}/{ABSENT}")
def absent(request: Request, caller: Caller, photo: _Sha256, said: AbsentPhoto) -> AbsentPhoto:
    """Note that a device cannot send a photo."""
    site = site_of(request)
    wanted = _wanted(site, caller, photo)
    settle(site.database, wanted, photo_requests.ABSENT, said.reason)
    with site.folder.explained():
        PhotoFiles(site.folder.photos).forget(caller.device, photo)
    _log.warning("%s cannot send photo %s", caller.device, photo)
    return said


def _append(site: HttpsSite, caller: CallingDevice, photo: str, chunk: bytes, place: tuple[int, int]) -> Response:
    offset, length = place
    wanted = _wanted(site, caller, photo)
    files = PhotoFiles(site.folder.photos)
    if not chunk:
        raise HTTPException(422, "a chunk has at least a byte")
    if wanted.size_bytes not in {None, length}:
        raise HTTPException(422, f"the record of this photo says that it has {wanted.size_bytes} bytes")
    try:
        with site.folder.explained():
            if files.has(photo, wanted.suffix):
                return _confirmed(_arrived(site, caller, files, wanted))
            there = files.append(caller.device, photo, offset, chunk, length)
            if there == length:
                files.finish(caller.device, photo, wanted.suffix)
                _arrived(site, caller, files, wanted)
    except OffsetError as error:
        return _confirmed(error.there, 409)
    except FullDiskError as error:
        _log.error("%s cannot send photo %s: %s; free some space", caller.device, photo, error)
        raise HTTPException(507, "the server's disk is full", {"Retry-After": "300"}) from error
    except WrongPhotoError as error:
        _log.error("%s", error)
        raise HTTPException(422, "what was sent has another SHA-256; it was thrown away") from error
    return _confirmed(there)


def _wanted(site: HttpsSite, caller: CallingDevice, photo: str) -> PhotoRequest:
    with site.database.read() as session:
        request = session.get(PhotoRequest, (caller.device, photo))
    if request is None or request.state not in {ASKED, ARRIVED}:
        raise HTTPException(404, "this photo is not asked of this device")
    return request


def _arrived(site: HttpsSite, caller: CallingDevice, files: PhotoFiles, wanted: PhotoRequest) -> int:
    """Note that a photo is there, also where that was not done before. Returns its length."""
    if wanted.state != ARRIVED:
        settle(site.database, wanted, ARRIVED)
        _log.info("photo %s of %s has arrived", wanted.photo, caller.device)
    return files.path(wanted.photo, wanted.suffix).stat().st_size


def _confirmed(offset: int, status: int = 204) -> Response:
    return Response(status_code=status, headers={OFFSET: str(offset)})
