"""``/upload``: photos from the phone into a visit.

The day of the visit is the day on which most of the photos were taken, by their EXIF. Photos without a believable
date, which messengers and screenshots leave, belong to today by the device's clock: unlike a card that is read weeks
later, an upload happens where the tree stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from starlette.requests import ClientDisconnect

from cloud_sync.messages import STAGES
from device.errors import InputError, StoreError
from device.orchards import all_blocks, find_block
from device.page.context import Context, OpenedStore, PageContext
from device.page.failures import unknown_is_404
from device.page.forms import read_choice, read_name
from device.page.receiving import MOST_PHOTO_BYTES, MOST_PHOTOS, FormReceiver, ReceivedForm
from device.page.stores import open_store
from device.page.uploads import Upload, UploadedPhoto
from device.queries import list_visits
from device.store import Store
from device.visits import day_of

SIDES = ("a", "b")

router = APIRouter()


@router.get("/upload")
def form(request: Request, store: OpenedStore, context: Context) -> Response:
    """The form; block, stage, tree and side may be given in the address."""
    return _form(store, context, request.query_params)


@router.post("/upload")
async def receive(request: Request, context: Context) -> Response:
    """Take photos in and have them counted."""
    try:
        upload = await _receive(request, context)
    except (InputError, StoreError) as error:
        status = 400 if isinstance(error, InputError) else 507
        return await run_in_threadpool(_failed, context, str(error), status)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    context.worker.submit(upload.id)
    return RedirectResponse(f"/uploads/{upload.id}", status_code=303)


@router.get("/uploads/{identifier}")
def result(identifier: str, context: Context, store: OpenedStore) -> Response:
    """What became of each photo of an upload."""
    is_due = context.worker.is_due(identifier)  # asked first: once it is not, what is read has no old problem
    with unknown_is_404():
        upload = context.uploads.read(identifier)
        block = find_block(store, upload.block)
    visit = next(
        (visit for visit in list_visits(store, block) if (visit.day, visit.stage) == (upload.day, upload.stage)), None
    )
    done = sum(photo.state != "waiting" for photo in upload.photos)
    return context.templates.page("upload_result", upload=upload, visit=visit, done=done, is_due=is_due)


@router.post("/uploads/{identifier}/retry")
def retry(identifier: str, context: Context) -> Response:
    """Count again what waits, once somebody has mended what stopped it."""
    with unknown_is_404():
        context.uploads.read(identifier)
    context.worker.submit(identifier)  # which alone writes to uploads that have arrived
    return RedirectResponse(f"/uploads/{identifier}", status_code=303)


async def _receive(request: Request, context: PageContext) -> Upload:
    identifier, folder = await run_in_threadpool(context.uploads.begin)
    receiver: FormReceiver | None = None
    try:
        receiver = FormReceiver(request.headers.get("content-type", ""), folder)
        async for chunk in request.stream():
            await run_in_threadpool(receiver.write, chunk)
        return await run_in_threadpool(_accept, context, identifier, receiver.finish())
    except (InputError, StoreError, ClientDisconnect, asyncio.CancelledError):
        if receiver is not None:
            receiver.close()
        context.uploads.discard(identifier)
        raise


def _accept(context: PageContext, identifier: str, form: ReceivedForm) -> Upload:
    """Check the form and write the upload down."""
    with open_store(context.folder) as store:
        block = find_block(store, form.fields.get("block", ""))
    stage = read_choice(form.fields, "stage", "the growth stage", STAGES)
    if not form.photos:
        raise InputError("no photo was chosen; take or choose one")
    photos = [
        UploadedPhoto(
            name=photo.name,
            number=None if photo.problem else number,
            state="failed" if photo.problem else "waiting",
            message=photo.problem,
        )
        for number, photo in enumerate(form.photos, start=1)
    ]
    upload = Upload(
        id=identifier,
        block=block.name,
        day=day_of_upload([photo.path for photo in form.photos if photo.path]),
        stage=next(known for known in STAGES if known == stage),
        tree=read_name(form.fields, "tree", "the tree's code"),
        side=read_choice(form.fields, "side", "the side of the tree", SIDES),
        photos=photos,
    )
    context.uploads.save(upload)
    return upload


def day_of_upload(photos: list[Path]) -> date:
    """The day most of the photos were taken on, else today: the day their files were written."""
    return day_of(photos) if photos else datetime.now().astimezone().date()


def _failed(context: PageContext, problem: str, status: int) -> Response:
    with open_store(context.folder) as store:
        return _form(store, context, {}, problem, status)


def _form(
    store: Store, context: PageContext, fields: Mapping[str, str], problem: str | None = None, status: int = 200
) -> Response:
    blocks = all_blocks(store)
    chosen = dict(fields)
    if len(blocks) == 1:
        chosen.setdefault("block", blocks[0].name)
    known = next((block for block in blocks if block.name == chosen.get("block")), None)
    if known is not None and (visits := list_visits(store, known)):
        chosen.setdefault("stage", visits[0].stage)
    return context.templates.page(
        "upload",
        status,
        blocks=blocks,
        stages=STAGES,
        sides=SIDES,
        fields=chosen,
        problem=problem,
        most_photos=MOST_PHOTOS,
        most_photo_bytes=MOST_PHOTO_BYTES,
    )
