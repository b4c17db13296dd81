"""Telling devices which documents they should have: when one comes online, and when something was published."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone

from sqlalchemy import select

from cloud_sync.server.database import Database, Device
from cloud_sync.server.documents import catalogue, newest_id
from cloud_sync.server.tree_codes import TreeCodes


class Announcer:
    """Publishes catalogues, and keeps the codes of trees as the latest registries have them.

    Every ingest process has one, in the thread that stores: what it stored under older codes it then mends itself.

    Args:
        database: what is published.
        publish: sends a payload to a device's ``down/document``.
    """

    def __init__(self, database: Database, publish: Callable[[str, bytes], None]) -> None:
        self._database = database
        self._publish = publish
        with database.read() as session:
            self._newest = newest_id(session)
            self.codes = TreeCodes(session)

    def greet(self, devices: Iterable[str]) -> None:
        """Tell devices that have just come online."""
        now = datetime.now(timezone.utc)
        with self._database.read() as session:
            told = {device: catalogue(session, device, now) for device in devices}
        for device, documents in told.items():
            self._publish(device, documents.model_dump_json().encode())

    def look(self) -> None:
        """Tell all devices that are online, if something was published or withdrawn since the last look.

        Raises:
            SQLAlchemyError: the database does not take the codes of trees now; the next look tries again.
        """
        with self._database.read() as session:
            newest = newest_id(session)
            online = list(session.scalars(select(Device.name).where(Device.online)))
        if newest == self._newest:
            return
        with self._database.write() as session:
            self.codes = TreeCodes(session)
            self.codes.apply(session)
        self.greet(online)
        self._newest = newest
