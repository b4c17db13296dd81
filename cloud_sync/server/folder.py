"""The server's folder: what lies where, and the few settings that certificates and configuration are made from."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync.files import PRIVATE, make_folder, write_whole
from cloud_sync.hosts import HostName, is_wildcard
from cloud_sync.server.errors import FolderError


class ServerSettings(BaseModel):
    """What ``pomona server init`` was given."""

    model_config = ConfigDict(extra="forbid")

    hosts: list[HostName] = Field(
        min_length=1, description="names and IP addresses of the server; devices use the first"
    )
    port: int = Field(default=8883, ge=1, le=65535, description="TCP port of the broker")
    https_port: int = Field(default=0, ge=0, le=65535, description="TCP port of HTTPS for devices; 0 for none")
    bind: HostName | None = Field(default=None, description="address to listen on; all when not given")

    @property
    def local_host(self) -> str:
        """Where the broker is reached from its own machine."""
        return "localhost" if self.bind is None or is_wildcard(self.bind) else self.bind


@dataclass(frozen=True)
class ServerFolder:
    """Paths below the server's folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def settings_file(self) -> Path:
        """The settings."""
        return self.path / "server.json"

    @property
    def root_key(self) -> Path:
        """Private key of the authority: whoever has it can make devices."""
        return self.path / "authority" / "root.key"

    @property
    def root_certificate(self) -> Path:
        """Certificate of the authority."""
        return self.path / "authority" / "root.pem"

    def authority_pair(self, which: str) -> tuple[Path, Path]:
        """Key and certificate of an authority that comes (``next``) or goes (``former``)."""
        return self.path / "authority" / f"{which}.key", self.path / "authority" / f"{which}.pem"

    @property
    def trusting(self) -> Path:
        """For each device the fingerprints of the authorities that it said it trusts."""
        return self.path / "authority" / "trusting"

    @property
    def issued_to_servers(self) -> Path:
        """Serial numbers of all certificates made for the server's own parts, one a line behind the part's name."""
        return self.path / "authority" / "servers.txt"

    @property
    def trusted(self) -> Path:
        """Certificates that are trusted: the authority's, and while it changes the one that comes or goes."""
        return self.path / "authority" / "trusted.pem"

    @property
    def revoked(self) -> Path:
        """Certificates that are no longer accepted."""
        return self.path / "authority" / "revoked.pem"

    @property
    def enrolled(self) -> Path:
        """The enrolled devices, one certificate each."""
        return self.path / "authority" / "enrolled"

    @property
    def renewed(self) -> Path:
        """Certificates that devices were given and have not shown yet, each with the one they were given it for."""
        return self.path / "authority" / "renewed"

    @property
    def invitations(self) -> Path:
        """Invitations to devices."""
        return self.path / "authority" / "invitations"

    @property
    def broker(self) -> Path:
        """All the broker reads."""
        return self.path / "broker"

    @property
    def broker_process(self) -> Path:
        """Where the running broker writes its process number."""
        return self.broker / "mosquitto.pid"

    @property
    def ingest(self) -> Path:
        """Keys and certificates of the server's own clients."""
        return self.path / "ingest"

    def ingest_key(self, number: int) -> Path:
        """Private key of one of the server's clients, the first being number 1."""
        return self.ingest / f"{_ingest_name(number)}.key"

    def ingest_certificate(self, number: int) -> Path:
        """Its certificate."""
        return self.ingest / f"{_ingest_name(number)}.pem"

    def ingest_group(self) -> str:
        """Name of the group that shares what devices send, made on first use.

        It is a secret: the broker lets anybody join a group whose name he knows, and whoever joined this one would get
        a share of what is meant for the server. He could not read it, but the server would not get it.

        Raises:
            FolderError: it cannot be read or made.
        """
        file = self.ingest / "group"
        with self.explained():
            if not file.exists():
                write_whole(file, secrets.token_hex(16).encode(), PRIVATE)
            return file.read_text(encoding="ascii")

    @property
    def https(self) -> Path:
        """Key and certificate of HTTPS."""
        return self.path / "https"

    @property
    def metrics(self) -> Path:
        """What running ingest processes count of themselves."""
        return self.path / "metrics"

    @property
    def readers(self) -> Path:
        """Those who may read the telemetry, one certificate each."""
        return self.path / "authority" / "readers"

    @property
    def database(self) -> Path:
        """The default database."""
        return self.path / "pomona.sqlite"

    @property
    def documents(self) -> Path:
        """Documents for devices, each under its SHA-256."""
        return self.path / "documents"

    @property
    def releases(self) -> Path:
        """Releases of models: ``repository``, which devices may see, ``keys`` and the gate's ``decisions``."""
        return self.path / "releases"

    @property
    def photos(self) -> Path:
        """Full photos that devices were asked for, whole and in parts."""
        return self.path / "photos"

    def make(self) -> None:
        """Make the folders that are missing, closed to others.

        Raises:
            FolderError: they cannot be made.
        """
        with self.explained():
            issued = (self.enrolled, self.renewed, self.invitations, self.trusting, self.readers)
            for folder in (self.path, self.enrolled.parent, *issued, self.broker, self.ingest, self.https):
                make_folder(folder, 0o700)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others, threads and processes alike, from changing what the authority has signed; not to be nested.

        Raises:
            FolderError: the folder cannot be written.
        """
        with self.explained(), (self.enrolled.parent / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read_settings(self) -> ServerSettings:
        """The settings.

        Raises:
            FolderError: the folder was never initialised, or the file is damaged.
        """
        try:
            return ServerSettings.model_validate_json(self.settings_file.read_bytes())
        except FileNotFoundError as error:
            raise FolderError(
                f"{self.path} is not a server folder; make it with `pomona server init {self.path} --host NAME`"
            ) from error
        except OSError as error:
            raise FolderError(f"{self.settings_file}: {error.strerror}; check its permissions") from error
        except ValidationError as error:
            raise FolderError(
                f"{self.settings_file} is damaged; run `pomona server init {self.path} --host NAME` again"
            ) from error

    def write_settings(self, settings: ServerSettings) -> None:
        """Keep the settings.

        Raises:
            FolderError: the folder cannot be written.
        """
        with self.explained():
            write_whole(self.settings_file, settings.model_dump_json(indent=2).encode() + b"\n")

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the file system says into an error that names the folder."""
        try:
            yield
        except OSError as error:
            raise FolderError(
                f"server folder {self.path}: {error.strerror or error}; check its permissions and disk"
            ) from error


def _ingest_name(number: int) -> str:
    return "ingest" if number == 1 else f"ingest-{number}"
