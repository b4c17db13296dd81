"""``pomona page``."""

from __future__ import annotations

from pathlib import Path

import click

from device.commands.common import default_engines, home_option, inbox_option, make_counter, model_options, opened_store
from device.page.settings import DEFAULT_HOST, DEFAULT_PORT


@click.command()
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--name", "names", multiple=True, help="Host name under which a proxy on this machine offers the pages.")
@model_options
@inbox_option
@home_option
def page(
    host: str,
    port: int,
    names: tuple[str, ...],
    bundle: Path | None,
    engine: str | None,
    threads: int,
    inbox: Path | None,
    home: Path,
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

    from cloud_sync.pages.serving import address_of, listen
    from device.page.application import create_app
    from device.page.settings import PageSettings, read_pass_phrase
    from device.releases.counting import LastingCounter
    from export.runtime.bundle import open_bundle

    settings = PageSettings(host, port, read_pass_phrase(), tuple(name.lower() for name in names), inbox)
    if bundle is not None:
        open_bundle(bundle)  # a wrong folder is said now, not with the first photo
    with opened_store(home, create=True):
        pass  # likewise a store that cannot be opened
    listening = listen(host, port)
    counter = LastingCounter(lambda: make_counter(bundle, threads, engine=engine, home=home), home, default_engines())
    app = create_app(home, counter, settings)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=5
    )
    click.echo(f"Pages at {address_of(listening)} (Ctrl+C stops them).")
    uvicorn.Server(config).run([listening])
