"""Where pages listen, and the headers of every answer."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from cloud_sync.pages.errors import PagesError

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The name in a Host header, without port and brackets; empty where it holds none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Args:
        host: name or address.
        port: TCP port; 0 takes a free one.

    Raises:
        PagesError: there is no such address here, or another program listens on the port.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise PagesError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another --host or --port"
        ) from error


def address_of(listening: socket.socket) -> str:
    """What people type to reach the pages behind a socket."""
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = socket.gethostname()  # listening on every address; this one people can type
    elif address.version == 6:
        host = f"[{host}]"
    return f"http://{host}:{port}"
