"""Fetching a document from the server over HTTPS: by its hash, and on from where an earlier attempt ended."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cloud_sync.documents import DOCUMENTS, Notice
from cloud_sync.errors import FetchError, WrongContentError
from cloud_sync.files import sha256_of, sync_folder
from cloud_sync.https import HttpsClient

_BLOCK = 64 * 1024
# at the end of its name until a file is whole
PART = ".part"
# left free for what is recorded meanwhile
SPARED_BYTES = 64 * 1024 * 1024


def fetch(client: HttpsClient, notice: Notice, folder: Path, at: str | None = None) -> Path:
    """Fetch a document, or what is still missing of it.

    Args:
        client: the server.
        notice: which document.
        folder: where to; a part that was fetched before lies there too.
        at: its path at the server, where that is not the one of documents.

    Returns:
        The whole file, named by its hash, on the disk.

    Raises:
        FetchError: the server does not give it, or the disk does not take it; what came is kept for the next attempt.
        WrongContentError: what the server gives is something else; it is thrown away.
        HttpsError: the server cannot be reached, or the connection is lost; what came is kept.
        HttpsRefusedError: it does not let this device in.
    """
    path = at or f"{DOCUMENTS}/{notice.sha256}"
    return _completed(notice, folder, lambda file: _receive(client, path, notice, file))


def copy(source: Path, notice: Notice, folder: Path) -> Path:
    """As :func:`fetch`, from a file, such as one on a stick.

    Raises:
        FetchError: the file cannot be read, or the disk does not take it; what came is kept for the next attempt.
        WrongContentError: it is something else; what came is thrown away.
    """
    return _completed(notice, folder, lambda file: _copy(source, notice, file))


def _completed(notice: Notice, folder: Path, receive: Callable[[int], None]) -> Path:
    """Receive what is missing of a document, and check the whole."""
    whole, part = folder / notice.sha256, folder / f"{notice.sha256}{PART}"
    if whole.is_file():
        return whole
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            if (have := file.tell()) < notice.size_bytes:
                _require_space(folder, notice, notice.size_bytes - have)
                receive(file.fileno())
            os.fsync(file.fileno())
        _check(part, notice)
        part.replace(whole)
        sync_folder(folder)
    except OSError as error:
        raise _not_kept(notice, error) from error
    return whole


def _copy(source: Path, notice: Notice, file: int) -> None:
    have = os.fstat(file).st_size
    try:
        with source.open("rb") as given:
            given.seek(have)
            while block := given.read(min(_BLOCK, notice.size_bytes + 1 - have)):
                have += len(block)
                _write(notice, file, block)
    except OSError as error:
        raise FetchError(f"{notice} cannot be read from {source}: {error.strerror}; is it still there?") from error
    if have < notice.size_bytes:
        raise FetchError(f"{source} is shorter than it should be; copy the folder again")


def _receive(client: HttpsClient, path: str, notice: Notice, file: int) -> None:
    have = os.fstat(file).st_size
    with client.connected() as connection:
        connection.request("GET", path, headers={"Range": f"bytes={have}-"} if have else {})
        answer = connection.getresponse()
        if answer.status == http.HTTPStatus.OK and have:
            _truncate(notice, file)  # it sends everything again
            have = 0
        elif not _is_what_was_asked(answer, have):
            refusal = client.refusal(answer)
            if answer.status == http.HTTPStatus.FORBIDDEN:
                raise refusal
            raise FetchError(f"{notice} cannot be fetched: {refusal}") from refusal
        while block := answer.read(_BLOCK):
            have += len(block)
            if have > notice.size_bytes:
                _truncate(notice, file)
                raise WrongContentError(f"{notice} is longer at the server than it was announced")
            _write(notice, file, block)
    if have < notice.size_bytes:
        raise FetchError(f"{notice} came only in part; the rest is fetched next time")


def _is_what_was_asked(answer: http.client.HTTPResponse, have: int) -> bool:
    if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
        return answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return answer.status == http.HTTPStatus.OK


def _write(notice: Notice, file: int, block: bytes) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError as error:  # said here, where it cannot be taken for the network's
        raise _not_kept(notice, error) from error


def _truncate(notice: Notice, file: int) -> None:
    try:
        os.ftruncate(file, 0)
    except OSError as error:
        raise _not_kept(notice, error) from error


def _require_space(folder: Path, notice: Notice, missing: int) -> None:
    """Counts go before documents: those that would fill the disk are not begun."""
    # a release is unpacked beside its archive
    needed = missing + (notice.size_bytes if notice.kind == "release" else 0) + SPARED_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FetchError(
            f"{notice} needs {needed / 1e6:.0f} MB, so that {SPARED_BYTES / 1e6:.0f} MB are left for counts, and "
            f"{free / 1e6:.0f} MB are free; free some space"
        )


def _not_kept(notice: Notice, error: OSError) -> FetchError:
    remedy = "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "check its permissions and the disk"
    return FetchError(f"{notice} cannot be kept in the documents folder: {error.strerror or error}; {remedy}")


def _check(part: Path, notice: Notice) -> None:
    if sha256_of(part) != notice.sha256:
        part.unlink()
        raise WrongContentError(f"{notice} is not what was announced: its SHA-256 is another; it was thrown away")
