"""Where releases come from: a folder, such as one on a stick, or a server over HTTPS."""

from __future__ import annotations

import http.client
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface

from cloud_sync.documents import Notice
from cloud_sync.enrolment import Address
from cloud_sync.errors import HttpsError, IdentityError
from cloud_sync.fetching import copy, fetch
from cloud_sync.https import HttpsClient, client_of
from cloud_sync.identity import read_identity
from cloud_sync.releases import RELEASES
from device.errors import InputError

_BLOCK = 64 * 1024
_HTTPS_PORT = 443


class Source(Protocol):
    """A TUF repository.

    Attributes:
        where: what people call it.
    """

    where: str

    def read(self, path: str) -> Iterator[bytes]:
        """A file of metadata, bit by bit.

        Raises:
            DownloadHTTPError: there is none.
            HttpsError: it cannot be had now.
            OSError: likewise.
        """
        ...

    def fetch(self, notice: Notice, path: str, folder: Path) -> Path:
        """A whole file under its hash, on from where an earlier attempt ended; as :func:`cloud_sync.fetching.fetch`."""
        ...


class FolderSource:
    """A folder that holds ``metadata`` and ``targets``."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self._folder = folder

    def read(self, path: str) -> Iterator[bytes]:
        """As :class:`Source`."""
        try:
            file = (self._folder / path).open("rb")
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{self._folder / path} is not there", http.client.NOT_FOUND) from error
        with file:
            while block := file.read(_BLOCK):
                yield block

    def fetch(self, notice: Notice, path: str, folder: Path) -> Path:
        """As :class:`Source`."""
        return copy(self._folder / path, notice, folder)


class HttpsSource:
    """A path at a server."""

    def __init__(self, client: HttpsClient, path: str) -> None:
        self.where = client.where
        self._client = client
        self._path = path

    def read(self, path: str) -> Iterator[bytes]:
        """As :class:`Source`."""
        with self._client.connected() as connection:
            connection.request("GET", f"{self._path}/{path}")
            answer = connection.getresponse()
            if answer.status == http.client.NOT_FOUND:
                raise DownloadHTTPError(f"{self.where} has no {path}", http.client.NOT_FOUND)
            if answer.status != http.client.OK:
                raise self._client.refusal(answer)
            while block := answer.read(_BLOCK):
                yield block

    def fetch(self, notice: Notice, path: str, folder: Path) -> Path:
        """As :class:`Source`."""
        return fetch(self._client, notice, folder, f"{self._path}/{path}")


class SourceFetcher(FetcherInterface):
    """Lets python-tuf read from a source, whose paths are its URLs."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._source.read(url)


def open_source(home: Path, given: str | None) -> Source:
    """A source by its folder or address.

    Args:
        home: the device's folder.
        given: a folder or an ``https://`` address; None takes the server this device is enrolled at.

    Raises:
        InputError: it is neither, or this device is enrolled at no server.
    """
    if given is None:
        return HttpsSource(_own_server(home), RELEASES)
    if "://" not in given:
        if not Path(given).is_dir():
            raise InputError(f"{given} is no folder; name a folder of releases, or an address that begins https://")
        return FolderSource(Path(given))
    parts = urllib.parse.urlsplit(given)
    try:
        if parts.scheme != "https" or parts.hostname is None or parts.query or parts.username:
            raise InputError(f"{given} is no address of releases; it is like https://example.org/releases")
        address = Address(host=parts.hostname, port=parts.port or _HTTPS_PORT)
    except (ValueError, ValidationError) as error:
        raise InputError(f"{given} is no address of releases; it is like https://example.org/releases") from error
    return HttpsSource(_client(home, address), parts.path.rstrip("/"))


def _client(home: Path, address: Address) -> HttpsClient:
    """The server's own client where it is the one this device is enrolled at; else the system's roots are trusted."""
    try:
        identity = read_identity(home)
    except IdentityError:
        identity = None
    if identity is not None and identity.https == address:
        return client_of(identity)
    return HttpsClient(address, ssl.create_default_context())


def _own_server(home: Path) -> HttpsClient:
    try:
        return client_of(read_identity(home))
    except (HttpsError, IdentityError) as error:
        raise InputError(f"no source of releases is named, and {error}") from error
