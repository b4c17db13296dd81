"""Telling devices which documents they should have, and that photos are asked of them.

They are told when they come online, and when something was published or asked for since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone

from sqlalchemy import select

from cloud_sync import topics
from cloud_sync.server.database import Database, Device
from cloud_sync.server.documents import catalogue, newest_id
from cloud_sync.server.photo_requests import last_asked
from cloud_sync.server.tree_codes import TreeCodes

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


class Announcer:
    """Publishes catalogues, and keeps the codes of trees as the latest registries have them.

    Every ingest process has one, in the thread that stores: what it stored under older codes it then mends itself.

    Args:
        database: what is published and asked for.
        publish: sends a payload to a topic.
    """

    def __init__(self, database: Database, publish: Callable[[str, bytes], None]) -> None:
        self._database = database
        self._publish = publish
        self._asked: dict[str, datetime] = {}
        with database.read() as session:
            self._newest = newest_id(session)
            self.codes = TreeCodes(session)

    def greet(self, devices: Iterable[str]) -> None:
        """Tell devices that have just come online."""
        now = datetime.now(timezone.utc)
        with self._database.read() as session:
            told = {device: catalogue(session, device, now) for device in devices}
        for device, documents in told.items():
            self._publish(topics.documents(device), documents.model_dump_json().encode())

    def look(self) -> None:
        """Tell the devices that are online, as far as something was published, withdrawn or asked for since.

        Raises:
            SQLAlchemyError: the database does not take the codes of trees now; the next look tries again.
        """
        with self._database.read() as session:
            newest = newest_id(session)
            online = list(session.scalars(select(Device.name).where(Device.online)))
            asked = last_asked(session, online)
        if newest == self._newest:
            more = {device: moment for device, moment in asked.items() if moment > self._asked.get(device, _NEVER)}
            self.greet(more)
            self._asked |= more
            return
        with self._database.write() as session:
            self.codes = TreeCodes(session)
            self.codes.apply(session)
        self.greet(online)
        self._newest = newest
        self._asked |= asked
