"""``/api/…``: what the pages show, as JSON for other programs. ``/api/openapi.json`` describes it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import StringConstraints

from cloud_sync.messages.fields import Name
from cloud_sync.server.database import DeadLetter, Record
from cloud_sync.server.fleet.answers import (
    BlockAnswer,
    DeadLetterAnswer,
    DeadLetterPage,
    DeviceAnswer,
    Problem,
    RecordAnswer,
    RecordPage,
    SampleAnswer,
    WholeDeadLetterAnswer,
)
from cloud_sync.server.fleet.context import Context, OpenedSession
from cloud_sync.server.fleet.devices import arrange, choose, get_device, list_devices
from cloud_sync.server.fleet.history import read_samples
from cloud_sync.server.fleet.records import (
    MOST_ON_PAGE,
    PlaceError,
    RecordFilter,
    list_dead_letters,
    list_records,
)
from cloud_sync.topics import DEVICE_NAME_PATTERN

router = APIRouter(prefix="/api", responses={404: {"model": Problem}, 422: {"model": Problem}})

# what cannot be a name, some databases cannot be asked for
Kind = Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$")]
DeviceName = Annotated[str, StringConstraints(pattern=DEVICE_NAME_PATTERN)]
RecordId = Annotated[str, StringConstraints(pattern="^[0-9a-f-]{36}$")]
Limit = Annotated[int, Query(ge=1, le=MOST_ON_PAGE, description="how many on a page")]
Show = Annotated[Literal["all", "trouble", "bad", "online", "offline"], Query(description="which devices")]
Sort = Annotated[
    Literal["trouble", "name", "seen", "waiting", "disk", "temperature", "clock", "version"],
    Query(description="what comes first"),
]
Search = Annotated[str, Query(description="words in the name, the versions or the troubles", max_length=200)]
Days = Annotated[int, Query(ge=1, le=30, description="how far back")]
_MOST_ID = 2**63 - 1


@router.get("/devices")
def devices(
    session: OpenedSession, show: Show = "all", sort: Sort = "trouble", search: Search = ""
) -> list[DeviceAnswer]:
    """The devices, those with the worst troubles first."""
    return [DeviceAnswer.of(device) for device in arrange(choose(list_devices(session), show, search), sort)]


@router.get("/devices/{name}")
def device(name: str, session: OpenedSession) -> DeviceAnswer:
    """One device."""
    found = get_device(session, name)
    if found is None:
        raise HTTPException(404, f"no device {name[:80]!r} was ever heard of; /api/devices lists them")
    return DeviceAnswer.of(found)


@router.get("/devices/{name}/health")
def health(name: DeviceName, session: OpenedSession, days: Days = 1) -> list[SampleAnswer]:
    """What a device said of itself in the last days, in order."""
    return [SampleAnswer.of(sample) for sample in read_samples(session, name, days)]


@router.get("/blocks")
def blocks(session: OpenedSession, context: Context) -> list[BlockAnswer]:
    """The blocks with their counts and latest estimates, at most ten seconds old."""
    held = context.blocks.get(lambda: context.reader.read(session))
    return [BlockAnswer.model_validate(block, from_attributes=True) for block in held]


@router.get("/records")
def records(
    session: OpenedSession,
    type: Annotated[Kind | None, Query(description="type of the records")] = None,  # noqa: A002
    device: Annotated[DeviceName | None, Query(description="the device that sent them")] = None,
    orchard: Annotated[Name | None, Query(description="name of the orchard")] = None,
    block: Annotated[Name | None, Query(description="name of the block")] = None,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Limit = 100,
) -> RecordPage:
    """Records, a page at a time; neither skipped nor repeated while others are stored."""
    try:
        found, following = list_records(session, RecordFilter(type, device, orchard, block), after, limit)
    except PlaceError as error:
        raise HTTPException(422, str(error)) from error
    return RecordPage(records=[RecordAnswer.of(record) for record in found], next=following)


@router.get("/records/{device}/{record}")
def record(device: DeviceName, record: RecordId, session: OpenedSession) -> RecordAnswer:
    """One record."""
    found = session.get(Record, (device, record))
    if found is None:
        raise HTTPException(404, f"no record {record!r} of {device!r} is held")
    return RecordAnswer.of(found)


@router.get("/dead-letters")
def dead_letters(
    session: OpenedSession,
    device: Annotated[DeviceName | None, Query(description="the device whose topic they came by")] = None,
    after: Annotated[int | None, Query(ge=0, le=_MOST_ID, description="`next` of the page before")] = None,
    limit: Limit = 100,
) -> DeadLetterPage:
    """Messages that were refused, the newest first, a page at a time."""
    found, following = list_dead_letters(session, device, after, limit)
    return DeadLetterPage(dead_letters=[DeadLetterAnswer.of(letter) for letter in found], next=following)


@router.get("/dead-letters/{number}")
def dead_letter(number: int, session: OpenedSession) -> WholeDeadLetterAnswer:
    """A message that was refused, with what it held."""
    found = session.get(DeadLetter, number) if 0 <= number <= _MOST_ID else None
    if found is None:
        raise HTTPException(404, f"there is no dead letter {number}, or it has been stored since")
    return WholeDeadLetterAnswer.of(found)
