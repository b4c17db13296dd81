"""Keys that sign releases: where they lie, and how they are read.

Root and targets decide what devices take for a release; their keys may lie on a stick in a drawer. Snapshot and
timestamp only say which releases are the newest; their keys stay with the server, which renews both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from cloud_sync.files import PRIVATE, make_folder, sync_folder, write_whole
from cloud_sync.server.errors import ReleaseError

OFFLINE_ROLES = ("root", "targets")
ONLINE_ROLES = ("snapshot", "timestamp")
ROLES = (*OFFLINE_ROLES, *ONLINE_ROLES)


@dataclass(frozen=True)
class KeyFolders:
    """Where keys lie.

    Attributes:
        online: those of snapshot and timestamp.
        offline: those of root and targets.
        pass_phrase: asks for what the offline keys are encrypted with; None where nobody can be asked.
    """

    online: Path
    offline: Path
    pass_phrase: Callable[[], str] | None = None

    def path(self, role: str, suffix: str = ".key") -> Path:
        """File with the key of a role; of the one that is coming with ``.next``."""
        return (self.offline if role in OFFLINE_ROLES else self.online) / f"{role}{suffix}"

    def read(self, role: str, suffix: str = ".key") -> CryptoSigner:
        """The key of a role.

        Raises:
            ReleaseError: it is not there, is none, or the pass phrase is not its own.
        """
        path = self.path(role, suffix)
        try:
            content = path.read_bytes()
        except OSError as error:
            remedy = "name the folder that holds it with --keys" if role in OFFLINE_ROLES else "restore it"
            raise ReleaseError(f"key {path} cannot be read: {error.strerror}; {remedy}") from error
        secret = None
        if b"ENCRYPTED PRIVATE KEY" in content:
            if self.pass_phrase is None:
                raise ReleaseError(f"key {path} needs its pass phrase; set POMONA_RELEASE_PASSPHRASE")
            secret = self.pass_phrase().encode()
        try:
            key = serialization.load_pem_private_key(content, secret)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ReleaseError(f"key {path} cannot be read; is the pass phrase its own?") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ReleaseError(f"{path} is no key that signs releases; name the folder that holds it with --keys")
        return CryptoSigner(key)

    def write(self, role: str, signer: CryptoSigner, pass_phrase: str | None = None, suffix: str = ".key") -> None:
        """Keep a key, in place of a former one.

        Args:
            role: what it signs.
            signer: the key.
            pass_phrase: encrypts it.
            suffix: ``.next`` for one that is coming.

        Raises:
            OSError: it cannot be written.
        """
        content = signer.private_bytes
        if pass_phrase is not None:
            key = serialization.load_pem_private_key(content, None)
            content = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(pass_phrase.encode()),
            )
        path = self.path(role, suffix)
        make_folder(path.parent, 0o700)
        write_whole(path, content, PRIVATE)

    def renewed(self, role: str) -> CryptoSigner:
        """A new key for a role, kept beside the one in use and encrypted as that one is, until :meth:`promote`.

        Raises:
            ReleaseError: the one in use cannot be read.
            OSError: it cannot be written.
        """
        self.read(role)  # a wrong pass phrase is said now
        encrypted = b"ENCRYPTED PRIVATE KEY" in self.path(role).read_bytes()
        signer = CryptoSigner.generate_ed25519()
        self.write(role, signer, self.pass_phrase() if encrypted and self.pass_phrase else None, ".next")
        return signer

    def promote(self, role: str) -> None:
        """Use the key that was coming.

        Raises:
            OSError: it cannot be put in place.
        """
        self.path(role, ".next").replace(self.path(role))
        sync_folder(self.path(role).parent)
