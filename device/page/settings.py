"""Where the pages listen and who may see them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloud_sync.pages import access
from cloud_sync.pages.serving import is_loopback
from device.errors import InputError

PASS_PHRASE_VARIABLE = "POMONA_PAGE_PASSPHRASE"  # noqa: S105  (the variable's name, not its value)
PASS_PHRASE_FILE = "page-passphrase"  # noqa: S105  (a file name)
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8420


@dataclass(frozen=True)
class PageSettings:
    """How the pages are served.

    Attributes:
        host: name or address to listen on.
        port: port to listen on; 0 takes a free one.
        pass_phrase: what people sign in with; None lets in whoever reaches the port.
        names: further host names under which a proxy on this machine offers the pages.
        inbox: folder in which photos arrive to be counted, for the metrics.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    pass_phrase: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    inbox: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what would show the records to a whole network.

        Raises:
            InputError: no pass phrase while listening beyond loopback.
            PagesError: a pass phrase that is too short.
        """
        if self.pass_phrase is not None:
            access.PassPhrase(self.pass_phrase)
        if self.pass_phrase is None and not self.on_loopback:
            raise InputError(
                f"--host {self.host} is open to the network and no pass phrase is set; set one in "
                f"{PASS_PHRASE_VARIABLE} or as the systemd credential {PASS_PHRASE_FILE}, or leave --host away"
            )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        return is_loopback(self.host)


def read_pass_phrase(environment: Mapping[str, str] = os.environ) -> str | None:
    """The pass phrase from the environment, else from systemd's credentials; None where neither has one.

    Raises:
        PagesError: the credential is there and cannot be read, or is empty.
    """
    return access.read_pass_phrase(PASS_PHRASE_VARIABLE, PASS_PHRASE_FILE, environment)
