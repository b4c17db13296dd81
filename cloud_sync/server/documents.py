"""Documents for devices: published once, kept under their hash, and listed for each device they are meant for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Index, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from calibration.errors import CalibrationError
from calibration.pooling import prior_from_document
from cloud_sync.documents import (
    MOST_BYTES,
    RELEASE_SCHEMA,
    Catalogue,
    Kind,
    Notice,
    PlanDocument,
    RegistryDocument,
)
from cloud_sync.files import write_whole
from cloud_sync.messages.decoding import first_problem
from cloud_sync.server.database import Base, Database, UtcDateTime
from cloud_sync.server.errors import DocumentError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.photo_requests import number_asked
from cloud_sync.server.tree_codes import merge_trees

EVERY_DEVICE = ""
_SEASON_SCHEMA, _PRIOR_SCHEMA = "pomona-season/1", "pomona-factor-prior/1"
_Model = TypeVar("_Model", bound=BaseModel)


class Document(Base):
    """One version of a document. A row without a hash says that there is none any more."""

    __tablename__ = "document"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(401))
    device: Mapped[str] = mapped_column(String(63))
    version: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(String(64))
    size_bytes: Mapped[int]
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("kind", "name", "device", "version"),
        Index("document_by_device", "device", "kind", "name"),
    )


@dataclass(frozen=True)
class Publication:
    """A document to publish.

    Attributes:
        kind: what it is.
        file: where it lies; for a release its name and version in the server's repository.
        name: what it is about; None takes it from the document, which all but a season file and a prior say.
        device: the one device it is for; None for all.
    """

    kind: Kind
    file: Path
    name: str | None = None
    device: str | None = None


def publish(database: Database, folder: ServerFolder, publication: Publication) -> Notice:
    """Check a document, keep it, and list it for its devices in place of an earlier version.

    A file that is published already gets no new version. What is meant for one device goes before what is for all.

    Raises:
        DocumentError: the file cannot be read, is no document of this kind, or cannot be kept.
        SQLAlchemyError: the database does not take it.
    """
    content, own_name = _read(folder, publication)
    name = publication.name or own_name
    if name is None:
        raise DocumentError(f"{publication.file} does not say what it is about; name it with --name ORCHARD")
    if publication.name is not None and own_name is not None and own_name != publication.name:
        raise DocumentError(f"{publication.file} is about {own_name!r}, not {publication.name!r}; leave --name out")
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        folder.documents.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder.documents / sha256, content)  # before the row: a listed document is there
    except OSError as error:
        raise DocumentError(f"{folder.documents}: {error.strerror}; check its permissions and disk") from error
    with database.write() as session:
        row = _add(session, publication.kind, name, publication.device or EVERY_DEVICE, (sha256, len(content)))
        if publication.kind == "registry":
            merge_trees(session, RegistryDocument.model_validate_json(content))
        return _notice(row)


def withdraw(database: Database, kind: str, name: str, device: str | None = None) -> None:
    """List a document no longer; devices that have it keep it.

    Raises:
        DocumentError: there is none.
    """
    with database.write() as session:
        current = _latest(session, kind, name, device or EVERY_DEVICE)
        if current is None or current.sha256 is None:
            raise DocumentError(
                f"no {kind} {name!r} is published for {device or 'all devices'}; see `server documents`"
            )
        _add(session, kind, name, device or EVERY_DEVICE, (None, 0))


def _add(session: Session, kind: str, name: str, device: str, content: tuple[str | None, int]) -> Document:
    current = _latest(session, kind, name, device)
    if current is not None and current.sha256 == content[0]:
        return current
    row = Document(
        kind=kind,
        name=name,
        device=device,
        version=current.version + 1 if current else 1,
        sha256=content[0],
        size_bytes=content[1],
        published_at=datetime.now(timezone.utc),
    )
    session.add(row)
    session.flush()
    return row


def _latest(session: Session, kind: str, name: str, device: str) -> Document | None:
    same = Document.kind == kind, Document.name == name, Document.device == device
    return session.scalars(select(Document).where(*same).order_by(Document.version.desc()).limit(1)).first()


def published(session: Session, device: str | None = None) -> list[Document]:
    """The latest version of each document, by kind, name and device; withdrawn ones left out.

    Args:
        session: a view of the database.
        device: only what is for this device alone or for all; None leaves nothing out.
    """
    newest = select(func.max(Document.id)).group_by(Document.kind, Document.name, Document.device)
    if device is not None:
        newest = newest.where(Document.device.in_((EVERY_DEVICE, device)))
    rows = session.scalars(
        select(Document).where(Document.id.in_(newest)).order_by(Document.kind, Document.name, Document.device)
    )
    return [row for row in rows if row.sha256 is not None]


def catalogue(session: Session, device: str, now: datetime) -> Catalogue:
    """What a device should have, of each kind and name its own document, else the one for all; and should send."""
    notices = [_notice(row) for row in _meant_for(session, device)]
    return Catalogue(documents=notices, photos=number_asked(session, device), sent_at=now)


def newest_id(session: Session) -> int:
    """Rises with everything that is published or withdrawn."""
    return session.scalars(select(func.max(Document.id))).one() or 0


def file_for(session: Session, folder: ServerFolder, device: str, sha256: str) -> Path | None:
    """Where a document lies that a device should have; None for anybody else's, withdrawn, replaced and unknown ones.

    Raises:
        DocumentError: it is not there any more.
    """
    row = next((row for row in _meant_for(session, device) if row.sha256 == sha256), None)
    if row is None:
        return None
    path = folder.documents / sha256
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}; publish {row.kind} {row.name!r} again") from error
    if size != row.size_bytes:
        raise DocumentError(f"{path} is damaged; publish {row.kind} {row.name!r} again")
    return path


def _meant_for(session: Session, device: str) -> list[Document]:
    rows = sorted(published(session, device), key=lambda row: row.device)  # its own come last
    return list({(row.kind, row.name): row for row in rows}.values())


def _notice(row: Document) -> Notice:
    return Notice.model_validate(
        {
            "kind": row.kind,
            "name": row.name,
            "version": row.version,
            "sha256": row.sha256,
            "size_bytes": row.size_bytes,
        }
    )


def _read(folder: ServerFolder, publication: Publication) -> tuple[bytes, str | None]:
    """The document's bytes, checked, and the name it gives itself."""
    file = publication.file
    try:
        if publication.kind == "release":
            return _release(folder, str(file))
        content = file.read_bytes()
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror or error}; check the path") from error
    if len(content) > MOST_BYTES:
        raise DocumentError(f"{file} has {len(content) >> 20} MiB; a document has at most {MOST_BYTES >> 20} MiB")
    return content, _checked_name(publication.kind, file, content)


def _checked_name(kind: Kind, file: Path, content: bytes) -> str | None:
    if kind == "registry":
        return _parsed(RegistryDocument, file, content).orchard
    if kind == "plan":
        plan = _parsed(PlanDocument, file, content)
        return f"{plan.orchard}/{plan.block}"
    schema = _SEASON_SCHEMA if kind == "season" else _PRIOR_SCHEMA
    try:
        told = json.loads(content)
        if not isinstance(told, dict) or told.get("schema") != schema:
            raise DocumentError(f"{file} is no {kind}: its schema is not {schema!r}")
        if kind == "prior":
            prior_from_document(told)
    except (ValueError, CalibrationError) as error:
        raise DocumentError(f"{file} is no {kind}: {error}") from error
    return "correction factor" if kind == "prior" else None


def _parsed(model: type[_Model], file: Path, content: bytes) -> _Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DocumentError(f"{file}: {first_problem(error)}") from error


def _release(folder: ServerFolder, name: str) -> tuple[bytes, str]:
    """What tells devices to install a release, and the name of its bundle."""
    from cloud_sync.server.releases.releasing import releases, repository_of  # noqa: PLC0415  (for this kind only)

    found = next((item for item in releases(repository_of(folder)) if item.name == name), None)
    if found is None:
        raise DocumentError(f"{name} is not released; release it first: pomona server release add BUNDLE")
    told = {"schema": RELEASE_SCHEMA, "release": name, "sha256": found.sha256}
    return json.dumps(told).encode(), str(found.told["name"])
