"""The pages: the fleet, a device, dead letters, blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response
from sqlalchemy import func, select

from cloud_sync.server.database import DeadLetter, Record
from cloud_sync.server.fleet.context import Context, OpenedSession
from cloud_sync.server.fleet.devices import SHOWS, SORTS, DeviceView, arrange, choose, get_device, list_devices
from cloud_sync.server.fleet.history import draw_charts, read_samples
from cloud_sync.server.fleet.records import group_dead_letters
from cloud_sync.server.ingest_metrics import read_processes

router = APIRouter(include_in_schema=False)

DEVICES_ON_PAGE = 100
_DAYS = (1, 7, 30)


@dataclass(frozen=True)
class FleetTotals:
    """How the fleet fares as a whole.

    Attributes:
        devices: devices that were heard of.
        online: of these connected.
        bad: devices that need somebody now.
        trouble: devices with any trouble.
        waiting: records that wait on all of them.
        dead_letters: messages that were refused.
    """

    devices: int
    online: int
    bad: int
    trouble: int
    waiting: int
    dead_letters: int

    @classmethod
    def of(cls, devices: list[DeviceView], dead_letters: int) -> FleetTotals:
        """Add devices up."""
        return cls(
            devices=len(devices),
            online=sum(device.status == "online" for device in devices),
            bad=sum(device.level == "bad" for device in devices),
            trouble=sum(bool(device.troubles) for device in devices),
            waiting=sum(device.health.waiting for device in devices if device.health),
            dead_letters=dead_letters,
        )


@router.get("/")
def fleet(
    session: OpenedSession,
    context: Context,
    show: str = "all",
    sort: str = "trouble",
    search: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Every device, those that need somebody first."""
    show, sort = show if show in SHOWS else "all", sort if sort in SORTS else "trouble"
    everyone = list_devices(session)
    chosen = arrange(choose(everyone, show, search), sort)
    pages = max(1, -(-len(chosen) // DEVICES_ON_PAGE))
    page = min(page, pages)

    def link(**changes: object) -> str:
        asked = {"show": show, "sort": sort, "search": search, "page": 1, **changes}
        plain = {"show": "all", "sort": "trouble", "search": "", "page": 1}
        return f"/?{urlencode({name: value for name, value in asked.items() if value != plain[name]})}".rstrip("?")

    return context.templates.page(
        "fleet",
        devices=chosen[(page - 1) * DEVICES_ON_PAGE : page * DEVICES_ON_PAGE],
        chosen=len(chosen),
        totals=FleetTotals.of(everyone, session.scalars(select(func.count()).select_from(DeadLetter)).one()),
        receives=_receives(context),
        show=show,
        sort=sort,
        search=search,
        page=page,
        pages=pages,
        link=link,
    )


@router.get("/devices/{name}")
def device(name: str, session: OpenedSession, context: Context, days: int = 1) -> Response:
    """A device: how it fares, how that went, and what of it was refused."""
    found = get_device(session, name)
    if found is None:
        raise HTTPException(404, f"No device {name[:80]!r} was ever heard of")
    days = days if days in _DAYS else _DAYS[0]
    kinds = select(Record.type, func.count()).where(Record.device == name).group_by(Record.type).order_by(Record.type)
    return context.templates.page(
        "device",
        device=found,
        charts=draw_charts(read_samples(session, name, days), days),
        days=days,
        choices=_DAYS,
        refusals=group_dead_letters(session, name),
        records=session.execute(kinds).all(),
    )


@router.get("/dead-letters")
def dead_letters(session: OpenedSession, context: Context) -> Response:
    """Messages that were refused, by their reasons."""
    return context.templates.page("dead-letters", refusals=group_dead_letters(session))


@router.get("/blocks")
def blocks(session: OpenedSession, context: Context) -> Response:
    """The blocks with their counts and latest estimates."""
    return context.templates.page("blocks", blocks=context.blocks.get(lambda: context.reader.read(session)))


def _receives(context: Context) -> bool | None:
    """Whether an ingest process of this server folder is connected to the broker; None where none ever ran here."""
    if not context.processes.is_dir():
        return None
    return any("\npomona_ingest_connected 1" in figures for _, figures in read_processes(context.processes))
