"""Fetching a document from the server over HTTPS: by its hash, and on from where an earlier attempt ended."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.documents import Notice
from cloud_sync.errors import FetchError
from cloud_sync.files import sync_folder

_BLOCK = 64 * 1024
_TIMEOUT_S = 30.0
_PATH = "/v1/documents/{}"


@dataclass(frozen=True)
class DocumentServer:
    """Where documents are fetched.

    Attributes:
        host: host name or IP address, as in its certificate.
        port: its TCP port.
        tls: trusts the authority and shows this device's certificate.
    """

    host: str
    port: int
    tls: ssl.SSLContext


def fetch(server: DocumentServer, notice: Notice, folder: Path) -> Path:
    """Fetch a document, or what is still missing of it.

    Args:
        server: where from.
        notice: which document.
        folder: where to; a part that was fetched before lies there too.

    Returns:
        The whole file, named by its hash, on the disk.

    Raises:
        FetchError: the server cannot be reached, does not give it, or gives something else; what came is kept for the
            next attempt, unless it is wrong.
    """
    whole, part = folder / notice.sha256, folder / f"{notice.sha256}.part"
    if whole.is_file():
        return whole
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_others(folder, notice)
        with part.open("ab") as file:
            if file.tell() < notice.size_bytes:
                _receive(server, notice, file.fileno())
            os.fsync(file.fileno())
        _check(part, notice)
        part.replace(whole)
        sync_folder(folder)
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FetchError(
            f"{notice.kind} {notice.name!r} cannot be fetched from {server.host}:{server.port}: {said}"
        ) from error
    return whole


def _receive(server: DocumentServer, notice: Notice, file: int) -> None:
    have = os.fstat(file).st_size
    connection = http.client.HTTPSConnection(server.host, server.port, timeout=_TIMEOUT_S, context=server.tls)
    try:
        connection.request("GET", _PATH.format(notice.sha256), headers={"Range": f"bytes={have}-"} if have else {})
        answer = connection.getresponse()
        if answer.status == http.HTTPStatus.OK and have:
            os.ftruncate(file, 0)  # it sends everything again
            have = 0
        elif answer.status not in {http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT}:
            raise FetchError(
                f"{server.host}:{server.port} does not give {notice.kind} {notice.name!r}: {answer.status} "
                f"{answer.reason}"
            )
        while block := answer.read(_BLOCK):
            have += len(block)
            if have > notice.size_bytes:
                os.ftruncate(file, 0)
                raise FetchError(f"{notice.kind} {notice.name!r} is longer than was announced")
            _write(file, block)
    finally:
        connection.close()
    if have < notice.size_bytes:
        raise FetchError(f"{notice.kind} {notice.name!r} came only in part; the rest is fetched next time")


def _write(file: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(file, rest) :]


def _check(part: Path, notice: Notice) -> None:
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != notice.sha256:
        part.unlink()
        raise FetchError(f"{notice.kind} {notice.name!r} is not what was announced; it is fetched again")


def _forget_others(folder: Path, notice: Notice) -> None:
    """A part of a document that is no longer wanted would lie there for ever."""
    for path in folder.glob("*.part"):
        if path.name != f"{notice.sha256}.part":
            path.unlink(missing_ok=True)
