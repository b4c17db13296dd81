"""Full photos that devices were asked for, and what became of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import PurePosixPath

from sqlalchemy import BigInteger, Index, String, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from cloud_sync.photos import MOST_LISTED
from cloud_sync.server.database import Base, Database, Device, Record, UtcDateTime
from cloud_sync.server.errors import PhotoRequestError
from cloud_sync.server.tree_codes import TreeCodes

ASKED, ARRIVED, ABSENT = "asked", "arrived", "absent"
MOST_AT_ONCE = 1000
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


class PhotoRequest(Base):
    """A photo that a device was asked for."""

    __tablename__ = "photo_request"

    device: Mapped[str] = mapped_column(String(63), primary_key=True)
    photo: Mapped[str] = mapped_column(String(64), primary_key=True)
    suffix: Mapped[str] = mapped_column(String(9))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    metered: Mapped[bool]
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(200))
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("photo_request_by_state", "state", "device", "asked_at"),)


@dataclass(frozen=True)
class Wanted:
    """Which photos to ask for; what is None narrows nothing.

    Attributes:
        photos: SHA-256 of some.
        device: the one device to ask.
        orchard: those of an orchard.
        block: those of a block.
        tree: those of a tree, by the code it has or had.
        day: those of a visit's day.
        metered: whether devices shall send them over a metered link too.
    """

    photos: Collection[str] = ()
    device: str | None = None
    orchard: str | None = None
    block: str | None = None
    tree: str | None = None
    day: date | None = None
    metered: bool = False


def ask(database: Database, wanted: Wanted) -> list[PhotoRequest]:
    """Ask devices for photos; one that several devices hold is asked of the one that was seen last.

    A photo that has arrived, or is asked for already, is not asked for again; one that was absent is.

    Returns:
        What is asked for from now on, or was before, or has arrived.

    Raises:
        PhotoRequestError: no record of such a photo is held, or there are too many of them.
        SQLAlchemyError: the database does not take it.
    """
    with database.write() as session:
        found = _found(session, wanted)
        if wanted.device is not None:
            for photo in wanted.photos:  # its record may have been pruned
                found.setdefault(photo, (wanted.device, "", None))
        missing = [photo for photo in wanted.photos if photo not in found]
        if missing:
            raise PhotoRequestError(f"no device has sent a record of photo {missing[0]}; name one with --device")
        if not found:
            raise PhotoRequestError("no device has sent records of such photos; see `server holdings`")
        if len(found) > MOST_AT_ONCE:
            raise PhotoRequestError(
                f"{len(found)} photos are more than the {MOST_AT_ONCE} that can be asked for at once; narrow it down"
            )
        asked = [_ask(session, photo, *place, metered=wanted.metered) for photo, place in found.items()]
        session.flush()
        session.expunge_all()
        return asked


def withdraw(database: Database, device: str, photos: Collection[str] = ()) -> list[str]:
    """Ask a device no longer for photos that have not arrived: for some, or for all.

    Returns:
        The photos that were asked for.

    Raises:
        SQLAlchemyError: the database does not take it.
    """
    which = [PhotoRequest.device == device, PhotoRequest.state == ASKED]
    if photos:
        which.append(PhotoRequest.photo.in_(photos))
    with database.write() as session:
        return list(session.scalars(delete(PhotoRequest).where(*which).returning(PhotoRequest.photo)))


def all_requests(session: Session) -> list[PhotoRequest]:
    """Every photo that was asked for, the last first."""
    return list(session.scalars(select(PhotoRequest).order_by(PhotoRequest.asked_at.desc(), PhotoRequest.photo)))


def first_asked(session: Session, device: str) -> list[PhotoRequest]:
    """What a device is to send first."""
    which = PhotoRequest.device == device, PhotoRequest.state == ASKED
    order = PhotoRequest.asked_at, PhotoRequest.photo
    return list(session.scalars(select(PhotoRequest).where(*which).order_by(*order).limit(MOST_LISTED)))


def number_asked(session: Session, device: str) -> int:
    """How many photos a device is to send."""
    which = PhotoRequest.device == device, PhotoRequest.state == ASKED
    return session.scalars(select(func.count()).select_from(PhotoRequest).where(*which)).one()


def last_asked(session: Session, devices: Iterable[str]) -> dict[str, datetime]:
    """When devices that are to send photos were asked for the last of them."""
    which = PhotoRequest.state == ASKED, PhotoRequest.device.in_(list(devices))
    last = select(PhotoRequest.device, func.max(PhotoRequest.asked_at)).where(*which).group_by(PhotoRequest.device)
    return {row[0]: row[1] for row in session.execute(last)}


def settle(database: Database, request: PhotoRequest, state: str, reason: str = "") -> None:
    """Note what became of a photo, if it is still asked for.

    Raises:
        SQLAlchemyError: the database does not take it.
    """
    with database.write() as session:
        current = session.get(PhotoRequest, (request.device, request.photo))
        if current is not None:
            current.state, current.reason, current.settled_at = state, reason, datetime.now(timezone.utc)


def _found(session: Session, wanted: Wanted) -> dict[str, tuple[str, str, int | None]]:
    """The device, suffix and size of each photo that is wanted and whose record is held, by its SHA-256."""
    seen = select(Record.device, Record.body).join(Device, Device.name == Record.device, isouter=True)
    rows = seen.where(Record.type == "photo").order_by(Device.last_seen)  # the later ones replace the earlier
    if wanted.device is not None:
        rows = rows.where(Record.device == wanted.device)
    if wanted.orchard is not None:
        rows = rows.where(Record.orchard == wanted.orchard)
    if wanted.block is not None:
        rows = rows.where(Record.block == wanted.block)
    if wanted.photos:
        rows = rows.where(Record.natural_key.in_([f"photo/{photo}" for photo in wanted.photos]))
    codes = TreeCodes(session)
    found: dict[str, tuple[str, str, int | None]] = {}
    for device, body in session.execute(rows):
        if wanted.tree is not None and wanted.tree not in {body["tree"], codes.code_of(body)}:
            continue
        if wanted.day is None or body["day"] == wanted.day.isoformat():
            suffix = PurePosixPath(body["file_name"]).suffix.lower()
            found[body["sha256"]] = (device, suffix if _SUFFIX.fullmatch(suffix) else "", body["size_bytes"])
    return found


def _ask(
    session: Session, photo: str, device: str, suffix: str, size_bytes: int | None, *, metered: bool
) -> PhotoRequest:
    known = session.get(PhotoRequest, (device, photo))
    if known is not None and (known.state == ARRIVED or (known.state == ASKED and known.metered >= metered)):
        return known
    request = known or PhotoRequest(device=device, photo=photo, suffix=suffix, size_bytes=size_bytes)
    request.metered, request.state, request.reason, request.settled_at = metered, ASKED, "", None
    request.asked_at = datetime.now(timezone.utc)
    session.add(request)
    return request
