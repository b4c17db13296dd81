"""Asking the server over HTTPS: short questions and answers, each over a connection of its own."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cloud_sync.enrolment import MOST_BYTES, Address, Refusal
from cloud_sync.errors import HttpsError
from cloud_sync.identity import Identity
from cloud_sync.tls import client_context

_Model = TypeVar("_Model", bound=BaseModel)
_TIMEOUT_S = 15.0
_MOST_REFUSAL_BYTES = 4096


class HttpsRefusedError(HttpsError):
    """The server is reached and says no, or its certificate or this device's is refused."""


class HttpsClient:
    """Asks one server.

    Args:
        address: where it listens.
        context: whom to trust and what to show.
        timeout_s: how long to wait for each step.
    """

    def __init__(self, address: Address, context: ssl.SSLContext, timeout_s: float = _TIMEOUT_S) -> None:
        self._address = address
        self._context = context
        self._timeout_s = timeout_s

    @property
    def where(self) -> str:
        """The server, for messages to people."""
        return f"server {self._address}"

    def ask(self, method: str, path: str, answer: type[_Model], question: BaseModel | None = None) -> _Model:
        """Ask, and read the answer.

        Args:
            method: the HTTP method.
            path: where to.
            answer: what it shall be.
            question: the body, None for none.

        Raises:
            HttpsError: the server cannot be reached, or its answer is none.
            HttpsRefusedError: it says no, or a certificate is refused.
        """
        body = self.fetch(method, path, question)
        try:
            return answer.model_validate_json(body)
        except ValidationError as error:
            raise HttpsError(f"{self.where} answers something else than was asked; is its Pomona older?") from error

    def fetch(self, method: str, path: str, question: BaseModel | None = None) -> bytes:
        """Ask, and return the answer's bytes, of which there are at most :data:`MOST_BYTES`.

        Raises:
            HttpsError: the server cannot be reached, or its answer is too long.
            HttpsRefusedError: it says no, or a certificate is refused.
        """
        sent = question.model_dump_json().encode() if question is not None else None
        with self.connected() as connection:
            connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise self.refusal(response)
            body = response.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise HttpsError(f"{self.where} answers more than {MOST_BYTES} bytes; check host and port")
        return body

    @contextlib.contextmanager
    def connected(self) -> Iterator[http.client.HTTPSConnection]:
        """A connection for several questions or long answers, closed at the end.

        Raises:
            HttpsError: in the block, something of the network failed.
            HttpsRefusedError: a certificate is refused.
        """
        connection = http.client.HTTPSConnection(
            self._address.host, self._address.port, timeout=self._timeout_s, context=self._context
        )
        try:
            yield connection
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._explained(error) from error
        finally:
            connection.close()

    def refusal(self, response: http.client.HTTPResponse) -> HttpsError:
        """What an answer that is none says, to be raised."""
        status, body = response.status, response.read(_MOST_REFUSAL_BYTES)
        try:
            reason = Refusal.model_validate_json(body).reason
        except ValidationError:
            reason = f"HTTP status {status}"
        if status >= http.client.INTERNAL_SERVER_ERROR or status == http.client.TOO_MANY_REQUESTS:
            return HttpsError(f"{self.where} cannot do this now: {reason}")
        return HttpsRefusedError(f"{self.where} refuses: {reason}")

    def _explained(self, error: Exception) -> HttpsError:
        if isinstance(error, ssl.SSLError):
            return HttpsRefusedError(f"{self.where} {_tls_trouble(error)}")
        if isinstance(error, socket.gaierror):
            return HttpsError(f"{self.where}: the host name cannot be resolved ({error.strerror}); check the network")
        if isinstance(error, TimeoutError):
            return HttpsError(f"{self.where} does not answer; check the network, host and port")
        if isinstance(error, http.client.RemoteDisconnected):
            # a certificate of another authority is refused without a word
            return HttpsError(f"{self.where} ends the connection; is this device enrolled at this server?")
        if isinstance(error, OSError):
            return HttpsError(f"{self.where} cannot be reached: {error.strerror or error}; is it running?")
        return HttpsError(f"{self.where} does not speak HTTPS; check host and port")


def client_of(identity: Identity) -> HttpsClient:
    """A client that shows a device's certificate.

    Raises:
        HttpsError: the server has no HTTPS.
        IdentityError: key or certificate cannot be used.
    """
    if identity.https is None:
        raise HttpsError(
            "the server of this device has no HTTPS; give it a port (`pomona server init --https-port`) and enrol again"
        )
    return HttpsClient(identity.https, client_context(identity))


def _tls_trouble(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate this device does not trust: {error.verify_message}; check the host name, or enrol at "
            "this server"
        )
    if "alert" in (error.reason or "").lower():
        # with TLS 1.3 the server judges our certificate only after our side of the handshake is over
        return (
            f"refuses this device's certificate: {error.reason}; was it enrolled at this server, or has it ended? "
            "Enrol again"
        )
    return f"does not agree on TLS: {error.reason or error}; check host and port"
