"""A site whose HTTPS devices reach through a link that can be slowed, cut and measured."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator

from tests.system.conftest import Site
from tests.system.faults.proxy import Manner, Proxy

# about 256 KiB/s, so that a document takes long enough to be killed in
SLOW = Manner(portion_bytes=8192, delay_s=0.03)


class BehindProxy:
    """Starts the server where it listens itself, and has it tell devices where the link is.

    Args:
        site: the site; its broker runs.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.proxy = Proxy(site.https_port)
        self._settings = site.server_folder.read_settings()
        self.server = self.start_server()

    def start_server(self) -> subprocess.Popen[str]:
        self._say(self.site.https_port)
        self.server = self.site.start_server()
        self._say(self.proxy.port)
        return self.server

    def strike(self, chance: random.Random, uplink: subprocess.Popen[str]) -> None:
        """Kill one end, or cut the link between; a server that was killed starts again."""
        what = chance.choice(("device", "server", "link"))
        if what == "device":
            self.site.kill(uplink)
        elif what == "server":
            self.site.kill(self.server)
            self.start_server()
        else:
            self.proxy.cut()

    def _say(self, port: int) -> None:
        self.site.server_folder.write_settings(self._settings.model_copy(update={"https_port": port}))


@contextlib.contextmanager
def behind_proxy(site: Site) -> Iterator[BehindProxy]:
    site.start_broker()
    made = BehindProxy(site)
    try:
        yield made
    finally:
        made.proxy.close()
