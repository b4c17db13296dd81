"""What every request works with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from cloud_sync.pages.access import Attempts, PassPhrase
from cloud_sync.server.database import Database
from cloud_sync.server.fleet.keeping import Kept
from cloud_sync.server.fleet.settings import FleetSettings
from cloud_sync.server.fleet.templating import Templates
from cloud_sync.server.holdings import BlockHoldings, BlockReader


@dataclass(frozen=True)
class FleetContext:
    """The parts of one running page.

    Attributes:
        database: the server's database, read only.
        settings: how the pages are served.
        processes: folder with what ingest processes count of themselves.
        pass_phrase: who may see the pages; None lets in whoever reaches the port.
        attempts: who tried to sign in.
        templates: turns values into HTML.
        blocks: what is held of each block.
        reader: reads them.
        records: number of records by type.
    """

    database: Database
    settings: FleetSettings
    processes: Path
    pass_phrase: PassPhrase | None
    attempts: Attempts = field(default_factory=Attempts)
    templates: Templates = field(default_factory=Templates)
    blocks: Kept[tuple[BlockHoldings, ...]] = field(default_factory=lambda: Kept(10.0))
    reader: BlockReader = field(default_factory=BlockReader)
    records: Kept[dict[str, int]] = field(default_factory=lambda: Kept(60.0))


def fleet_context(request: Request) -> FleetContext:
    """The context of the application that serves a request."""
    return cast("FleetContext", request.app.state.context)


def opened_session(request: Request) -> Iterator[Session]:
    """A view of the database of the request's own."""
    with fleet_context(request).database.read() as session:
        yield session


Context = Annotated[FleetContext, Depends(fleet_context)]
OpenedSession = Annotated[Session, Depends(opened_session)]
