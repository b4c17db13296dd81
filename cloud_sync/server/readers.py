"""Who may read the telemetry: a certificate each, under a name that no device can have."""

from __future__ import annotations

from pathlib import Path

from cloud_sync import keys, topics
from cloud_sync.errors import IdentityError
from cloud_sync.files import write_whole
from cloud_sync.server.broker import write_access_list
from cloud_sync.server.certificates import Authority
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder


def add_reader(folder: ServerFolder, name: str, out: Path) -> None:
    """Make key and certificate of a reader, and let it in from the broker's next reload on.

    Args:
        folder: the server's folder.
        name: what the reader is called, formed as a device's name.
        out: folder for what the reader needs: ``reader.key``, ``reader.pem`` and the trust root, ``root.pem``.

    Raises:
        IdentityError: the name is not allowed or taken.
        FolderError: the server's folder or ``out`` cannot be written, or ``out`` holds another reader's key.
    """
    full_name = topics.READER + topics.check_device_name(name)
    known = folder.readers / f"{full_name}.pem"
    if known.exists():
        raise IdentityError(f"there is a reader {name!r}; choose another name, or shut that one out with --revoke")
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (out / "reader.key").exists():
            raise FolderError(f"{out} holds another reader's key; choose another place with --out")
        key = keys.make_key(out / "reader.key")
        certificate = Authority(folder).sign_reader(full_name, key.public_key())
        write_whole(out / "reader.pem", certificate)
        write_whole(out / "root.pem", folder.root_certificate.read_bytes())
    except OSError as error:
        raise FolderError(f"{out}: {error.strerror or error}; choose another place with --out") from error
    with folder.explained():
        write_whole(known, certificate)
        write_access_list(folder)


def remove_reader(folder: ServerFolder, name: str) -> None:
    """Revoke a reader's certificate; the name may then be given again.

    Raises:
        IdentityError: there is no reader of this name.
        FolderError: the server's folder cannot be written.
    """
    known = folder.readers / f"{topics.READER}{topics.check_device_name(name)}.pem"
    with folder.explained():
        if not known.exists():
            raise IdentityError(f"there is no reader {name!r}; the readers are in {folder.readers}")
        Authority(folder).revoke([keys.read_certificate(known).serial_number])
        known.unlink()
        write_access_list(folder)
