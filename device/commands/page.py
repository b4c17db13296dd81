"""``pomona page``."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import click

from device.commands.common import home_option, make_counter, model_options, opened_store
from device.page.settings import DEFAULT_HOST, DEFAULT_PORT


@click.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--name", "names", multiple=True, help="Host name under which a proxy on this machine offers the pages.")
@model_options
@home_option
def page(
    host: str, port: int, names: tuple[str, ...], bundle: Path | None, engine: str | None, threads: int, home: Path
) -> None:
    """Serve the pages for phone and desktop: summary, visits, photos with their boxes, upload.

    Anybody on this machine may see them. To let others in, set a pass phrase of 8 characters or more in
    POMONA_PAGE_PASSPHRASE, or as the systemd credential page-passphrase, and give --host.

    \b
    Examples:
      pomona page
      POMONA_PAGE_PASSPHRASE='red delicious' pomona page --host 0.0.0.0
    """
    import uvicorn

    from device.page.application import create_app
    from device.page.settings import PageSettings, read_pass_phrase
    from export.runtime.bundle import open_bundle

    settings = PageSettings(host, port, read_pass_phrase(), tuple(name.lower() for name in names))
    if bundle is not None:
        open_bundle(bundle)  # a wrong folder is said now, not with the first photo
    with opened_store(home, create=True):
        pass  # likewise a store that cannot be opened
    listening = _listen(host, port)
    app = create_app(home, lambda: make_counter(bundle, threads, engine=engine), settings)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=5
    )
    click.echo(f"Pages at {_address(listening)} (Ctrl+C stops them).")
    uvicorn.Server(config).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    from device.errors import InputError

    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another --host or --port"
        ) from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = socket.gethostname()  # listening on every address; this one people can type
    elif address.version == 6:
        host = f"[{host}]"
    return f"http://{host}:{port}"
