"""Giving a device all it needs, whichever way it asks: by file, by invitation, or to renew what it has."""

from __future__ import annotations

from datetime import datetime, timezone

from cryptography import x509

from cloud_sync import keys
from cloud_sync.enrolment import Address, Enrolment
from cloud_sync.releases import METADATA
from cloud_sync.server.certificates import Authority
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.invitations import redeem
from cloud_sync.server.signing import parse_request, pem


def enrolment_of(folder: ServerFolder, device: str, certificate: bytes) -> Enrolment:
    """What a device needs beside its key.

    Args:
        folder: the server's folder.
        device: name of the device.
        certificate: its certificate, PEM.

    Raises:
        FolderError: the folder cannot be read.
    """
    settings = folder.read_settings()
    host = settings.hosts[0]
    with folder.explained():
        return Enrolment(
            device=device,
            certificate=certificate.decode("ascii"),
            trust_root=folder.trusted.read_text(encoding="ascii"),
            revoked=folder.revoked.read_text(encoding="ascii"),
            broker=Address(host=host, port=settings.port),
            https=Address(host=host, port=settings.https_port) if settings.https_port else None,
            release_root=_release_root(folder),
            issued_at=datetime.now(timezone.utc),
        )


def _release_root(folder: ServerFolder) -> str:
    """The root of this server's releases; empty where there are none. Read without python-tuf, which others need."""
    roots = (folder.releases / "repository" / METADATA).glob("*.root.json")
    newest = max(roots, key=lambda path: int(path.name.split(".")[0]), default=None)
    return "" if newest is None else newest.read_text(encoding="utf-8")


def enroll_by_file(folder: ServerFolder, request: bytes, source: object, *, replace: bool = False) -> Enrolment:
    """Sign a request that a person brought.

    Raises:
        IdentityError: the request is damaged, asks for more than a device's name, or the name is taken.
        FolderError: the folder cannot be read or written.
    """
    return enrolment_of(folder, *Authority(folder).enroll(request, source, replace=replace))


def enroll_by_invitation(folder: ServerFolder, request: bytes, secret: bytes) -> Enrolment:
    """Sign the request of a device that shows an invitation's secret.

    Raises:
        InvitationError: the invitation is not taken.
        IdentityError: the request is damaged, or asks for more than a device's name.
        FolderError: the folder cannot be read or written.
    """
    name, key = parse_request(request, "the request")
    invited = redeem(folder, name, secret, key)
    return enroll_by_file(folder, request, "the request", replace=invited.replace)


def renewal_of(folder: ServerFolder, request: bytes, shown: x509.Certificate) -> Enrolment:
    """Sign a new key for a device that has shown its certificate.

    Raises:
        IdentityError: the request is damaged, or names another device.
        FolderError: the folder cannot be read or written.
    """
    certificate = Authority(folder).renew(request, shown)
    return enrolment_of(folder, str(keys.common_name(shown.subject)), certificate)


def standing_of(folder: ServerFolder, shown: x509.Certificate) -> Enrolment:
    """What a device that has shown its certificate should know by now, and whether it shall renew.

    Raises:
        FolderError: the folder cannot be read.
    """
    enrolment = enrolment_of(folder, str(keys.common_name(shown.subject)), pem(shown))
    return enrolment.model_copy(update={"renew": Authority(folder).is_due(shown)})
