"""Where the fleet's pages listen and who may see them."""

from __future__ import annotations

from dataclasses import dataclass, field

from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.serving import is_loopback

PASS_PHRASE_VARIABLE = "POMONA_FLEET_PASSPHRASE"  # noqa: S105  (the variable's name, not its value)
PASS_PHRASE_CREDENTIAL = "fleet-passphrase"  # noqa: S105  (a file name)
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8430


@dataclass(frozen=True)
class FleetSettings:
    """How the pages are served.

    Attributes:
        host: name or address to listen on.
        port: port to listen on; 0 takes a free one.
        pass_phrase: what people and programs give; None lets in whoever reaches the port.
        names: further host names under which a proxy on this machine offers the pages.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    pass_phrase: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would show the records to a whole network.

        Raises:
            PagesError: no pass phrase while listening beyond loopback.
        """
        if self.pass_phrase is None and not self.on_loopback:
            raise PagesError(
                f"--host {self.host} is open to the network and no pass phrase is set; set one in "
                f"{PASS_PHRASE_VARIABLE} or as the systemd credential {PASS_PHRASE_CREDENTIAL}, or leave --host away"
            )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        return is_loopback(self.host)
