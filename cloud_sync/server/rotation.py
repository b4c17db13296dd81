"""A new key for the authority, in three steps between which devices have time to follow.

*Prepare* makes the new one and has devices trust both. *Switch* signs with the new one from then on, upon which devices
renew. *Finish* stops trusting the former one. A device that missed a step is left behind and has to be enrolled again,
so each step tells who would be.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from cloud_sync import keys
from cloud_sync.files import PRIVATE, sync_folder, write_whole
from cloud_sync.server.broker import initialise
from cloud_sync.server.certificates import Authority
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.signing import Signer, pem


@dataclass(frozen=True)
class RotationState:
    """How far a change of the authority has come.

    Attributes:
        current: the authority that signs.
        following: the one that has been prepared.
        former: the one that is still trusted.
        devices: number of enrolled devices and readers.
        left_behind: those that the next step would shut out.
    """

    current: x509.Certificate
    following: x509.Certificate | None
    former: x509.Certificate | None
    devices: int
    left_behind: list[str]


def state_of(folder: ServerFolder) -> RotationState:
    """How far a change of the authority has come.

    Raises:
        IdentityError: a certificate is damaged.
        FolderError: the folder cannot be read.
    """
    with folder.explained():
        authority = Authority(folder)
        following, former = (_certificate_of(folder, which) for which in ("next", "former"))
        files = [*sorted(folder.enrolled.glob("*.pem")), *sorted(folder.readers.glob("*.pem"))]
        enrolled = {file.stem: keys.read_certificate(file) for file in files}
        left_behind = []
        if following is not None:
            wanted = keys.compact_fingerprint(following)
            left_behind = [name for name in enrolled if wanted not in _trusted_by(folder, name)]
        elif former is not None:
            left_behind = [name for name, made in enrolled.items() if not keys.is_signed_by(made, authority.root)]
    return RotationState(authority.root, following, former, len(enrolled), left_behind)


def note_trusting(folder: ServerFolder, device: str, fingerprints: list[str]) -> None:
    """Keep whom a device trusts by now.

    Args:
        folder: the server's folder.
        device: its name.
        fingerprints: of the authorities, in compact form.

    Raises:
        FolderError: the folder cannot be written.
    """
    content = "".join(f"{fingerprint}\n" for fingerprint in sorted(fingerprints)).encode()
    file = folder.trusting / device
    with folder.explained():
        if not file.exists() or file.read_bytes() != content:
            write_whole(file, content)


def prepare(folder: ServerFolder) -> None:
    """Make the next authority, unless it is made, and have it trusted.

    Raises:
        FolderError: the former change is not finished, or the folder cannot be written.
    """
    key_file, certificate_file = folder.authority_pair("next")
    with folder.locked():
        if folder.authority_pair("former")[0].exists():
            raise FolderError("the former authority is still trusted; end that first: `pomona server authority finish`")
        if not certificate_file.exists():
            key = keys.read_key(key_file) if key_file.exists() else keys.make_key(key_file)
            write_whole(certificate_file, pem(Signer.make(key).root))
        Authority(folder).write_trusted()


def switch(folder: ServerFolder) -> None:
    """Sign with the next authority from now on, the server's own parts first.

    Raises:
        FolderError: none was prepared, or the folder cannot be written.
    """
    next_key, next_certificate = folder.authority_pair("next")
    former_key, former_certificate = folder.authority_pair("former")
    settings = folder.read_settings()
    with folder.locked():
        if not next_certificate.exists() and not former_certificate.exists():
            raise FolderError("there is no next authority; make it with `pomona server authority prepare`")
        if next_certificate.exists():
            root = keys.read_certificate(folder.root_certificate)
            # after a death in the middle, the key may be the next one's already and is kept as the former's
            if keys.same_key(root.public_key(), keys.read_key(folder.root_key).public_key()):
                write_whole(former_key, folder.root_key.read_bytes(), PRIVATE)
                write_whole(former_certificate, folder.root_certificate.read_bytes())
            write_whole(folder.root_key, next_key.read_bytes(), PRIVATE)
            write_whole(folder.root_certificate, next_certificate.read_bytes())
            next_certificate.unlink()
            next_key.unlink()
            sync_folder(next_key.parent)
        Authority(folder).write_trusted()
        for client in folder.ingest.glob("*.pem"):
            client.unlink()
    initialise(folder, settings)


def finish(folder: ServerFolder) -> None:
    """Stop trusting the former authority.

    Raises:
        FolderError: there is none, or the folder cannot be written.
    """
    key_file, certificate_file = folder.authority_pair("former")
    with folder.locked():
        if not key_file.exists():
            raise FolderError("no former authority is trusted; nothing is left to finish")
        certificate_file.unlink(missing_ok=True)
        Authority(folder).write_trusted()
        key_file.unlink()  # last: until then the command can be given again


def _certificate_of(folder: ServerFolder, which: str) -> x509.Certificate | None:
    file = folder.authority_pair(which)[1]
    return keys.read_certificate(file) if file.exists() else None


def _trusted_by(folder: ServerFolder, device: str) -> list[str]:
    file = folder.trusting / device
    return file.read_text(encoding="ascii").splitlines() if file.exists() else []
