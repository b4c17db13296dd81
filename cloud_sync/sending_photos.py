"""The device's side of full photos: sends what the server has not confirmed yet, a chunk at a time."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from pathlib import Path

from cloud_sync.errors import HttpsError, SendError
from cloud_sync.https import HttpsClient
from cloud_sync.photos import ABSENT, CHUNK_TYPE, LENGTH, MOST_CHUNK_BYTES, OFFSET, PHOTOS, AbsentPhoto, AskedPhotos

_LEAST_CHUNK_BYTES = 16 * 1024
# A chunk that takes about a second is soon confirmed, and a count that is made meanwhile waits no longer for the line.
_SHORT_S, _LONG_S = 0.5, 1.5
_REFUSED = {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.UNPROCESSABLE_ENTITY}


class PhotoSender:
    """Sends photos, in chunks whose length follows the speed of the link.

    Attributes:
        confirmed_bytes: how much the server has confirmed since this was made.
    """

    def __init__(self) -> None:
        self.confirmed_bytes = 0
        self._chunk_bytes = 4 * _LEAST_CHUNK_BYTES

    def send(self, client: HttpsClient, photo: str, file: Path, wait_for_turn: Callable[[], bool]) -> int:
        """Send what the server does not have yet of a photo.

        Args:
            client: the server.
            photo: its SHA-256.
            file: where it lies.
            wait_for_turn: called before each chunk; returns when nothing more urgent is to be sent, and whether there
                was something.

        Returns:
            How many bytes were sent and confirmed.

        Raises:
            SendError: the server does not want it any more, or says that it is another.
            HttpsError: the server cannot be reached or cannot take it now; what it has confirmed it keeps.
            HttpsRefusedError: it does not let this device in.
            OSError: the file cannot be read.
        """
        length = file.stat().st_size
        with file.open("rb") as content, client.connected() as connection:
            link = _Link(client, connection, f"{PHOTOS}/{photo}", length)
            begun_at = offset = link.offset()
            while offset < length:
                if wait_for_turn():
                    connection.close()  # the server ends one that asks for nothing; the next chunk opens another
                content.seek(offset)
                offset = self._send_chunk(link, offset, content.read(self._chunk_bytes))
            return offset - begun_at

    def _send_chunk(self, link: _Link, offset: int, chunk: bytes) -> int:
        begun_s = time.monotonic()
        try:
            confirmed = link.append(offset, chunk)
        except (OSError, HttpsError):
            self._chunk_bytes = max(_LEAST_CHUNK_BYTES, self._chunk_bytes // 2)
            raise
        self.confirmed_bytes += max(0, confirmed - offset)
        took_s = time.monotonic() - begun_s
        if took_s > _LONG_S:
            self._chunk_bytes = max(_LEAST_CHUNK_BYTES, self._chunk_bytes // 2)
        elif took_s < _SHORT_S and len(chunk) == self._chunk_bytes:
            self._chunk_bytes = min(MOST_CHUNK_BYTES, self._chunk_bytes * 2)
        return confirmed


class _Link:
    """What is said of one photo over one connection."""

    def __init__(self, client: HttpsClient, connection: http.client.HTTPSConnection, path: str, length: int) -> None:
        self._client = client
        self._connection = connection
        self._path = path
        self._length = length

    def offset(self) -> int:
        """How much the server has confirmed, which it may have done without being heard."""
        self._connection.request("GET", self._path)
        return self._confirmed(self._connection.getresponse())

    def append(self, offset: int, chunk: bytes) -> int:
        """Send a chunk. Returns how much the server has confirmed now."""
        headers = {OFFSET: str(offset), LENGTH: str(self._length), "Content-Type": CHUNK_TYPE}
        self._connection.request("PATCH", self._path, chunk, headers)
        return self._confirmed(self._connection.getresponse())

    def _confirmed(self, answer: http.client.HTTPResponse) -> int:
        if answer.status == http.HTTPStatus.NO_CONTENT:
            answer.read()
            offset = answer.headers.get(OFFSET, "")
            if offset.isascii() and offset.isdigit() and int(offset) <= self._length:
                return int(offset)
            raise SendError("the server says to have more of it than there is")
        refusal = self._client.refusal(answer)
        raise SendError(str(refusal)) if answer.status in _REFUSED else refusal


def asked_photos(client: HttpsClient) -> AskedPhotos:
    """What the server asks of this device.

    Raises:
        HttpsError: the server cannot be reached.
        HttpsRefusedError: it does not let this device in, or is too old to ask for photos.
    """
    return client.ask("GET", PHOTOS, AskedPhotos)


def say_absent(client: HttpsClient, photo: str, reason: str) -> None:
    """Say that this device cannot send a photo, so that the server waits for it no longer.

    Raises:
        HttpsError: the server cannot be reached.
        HttpsRefusedError: it does not let this device in, or has not asked for the photo.
    """
    client.ask("POST", f"{PHOTOS}/{photo}/{ABSENT}", AbsentPhoto, AbsentPhoto(reason=reason[:200]))
