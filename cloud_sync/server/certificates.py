"""The server's own certificate authority: signs devices, the server's parts and its client, and takes it back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud_sync import keys, topics
from cloud_sync.errors import IdentityError
from cloud_sync.files import write_whole
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.signing import (
    BROKER_NAME,
    HTTPS_NAME,
    Signer,
    is_in_second_half,
    parse_request,
    pem,
)

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class Authority:
    """Signs certificates with the root key of a server folder, and keeps what it has signed there.

    Args:
        folder: the server's folder.

    Raises:
        IdentityError: key or certificate is missing or damaged, or they do not belong together.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._signer = _read_signer(folder.root_key, folder.root_certificate)
        self.root = self._signer.root

    @classmethod
    def create(cls, folder: ServerFolder) -> Authority:
        """Open the authority, making it first where there is none.

        Raises:
            FolderError: the folder cannot be written.
            IdentityError: what is there is damaged.
        """
        with folder.locked():
            if not folder.root_certificate.exists():
                key = keys.read_key(folder.root_key) if folder.root_key.exists() else keys.make_key(folder.root_key)
                write_whole(folder.root_certificate, pem(Signer.make(key).root))
            authority = cls(folder)
            if not folder.trusted.exists():
                authority.write_trusted()
        return authority

    def write_trusted(self) -> None:
        """Write who is trusted, and what each of them has revoked; the caller holds the lock."""
        signers = self._signers()
        self._add_revoked([])  # first: whom one trusts without his list, one trusts not at all
        write_whole(self._folder.trusted, b"".join(pem(signer.root) for signer in signers))

    def issue_broker(self, hosts: list[str], key_file: Path, certificate_file: Path) -> None:
        """Make the broker's certificate for its host names and addresses, and for this machine itself."""
        self._issue_server(BROKER_NAME, hosts, key_file, certificate_file)

    def issue_https(self, hosts: list[str], key_file: Path, certificate_file: Path) -> None:
        """Make the certificate of HTTPS, as :meth:`issue_broker` the broker's."""
        self._issue_server(HTTPS_NAME, hosts, key_file, certificate_file)

    def _issue_server(self, name: str, hosts: list[str], key_file: Path, certificate_file: Path) -> None:
        certificate = self._signer.server(name, [*hosts, *_LOCAL_HOSTS], _key_of(key_file).public_key())
        self._note_issued(name, certificate)
        write_whole(certificate_file, pem(certificate))

    def issue_ingest(self, number: int) -> None:
        """Make key and certificate of one of the server's own clients, unless it has them.

        Args:
            number: which, from 1.
        """
        certificate_file = self._folder.ingest_certificate(number)
        if certificate_file.exists():
            return
        name = topics.server_name(number)
        if self._certificates_of(name):  # enrolled when devices could still be called so; it would have our rights
            with self._folder.locked():
                self._expel(name)
        certificate = self._signer.client(name, _key_of(self._folder.ingest_key(number)).public_key())
        self._note_issued(name, certificate)
        write_whole(certificate_file, pem(certificate))

    def _note_issued(self, name: str, certificate: x509.Certificate) -> None:
        """Keep the number, since the same key gets a certificate with each change of hosts."""
        with self._folder.locked():
            file = self._folder.issued_to_servers
            known = file.read_text(encoding="ascii") if file.exists() else ""
            write_whole(file, f"{known}{name} {certificate.serial_number}\n".encode())

    def revoke_servers(self) -> None:
        """Revoke all certificates made for the server's own parts.

        Raises:
            FolderError: the folder cannot be written.
        """
        with self._folder.locked():
            file = self._folder.issued_to_servers
            lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
            self._add_revoked([int(line.split()[1]) for line in lines])
            file.unlink(missing_ok=True)

    def sign_reader(self, name: str, key: ec.EllipticCurvePublicKey) -> bytes:
        """A certificate, PEM, for somebody who reads the telemetry under this common name."""
        return pem(self._signer.client(name, key))

    def enroll(self, request: bytes, source: object, *, replace: bool = False) -> tuple[str, bytes]:
        """Sign a device's request.

        Args:
            request: the certificate signing request, PEM.
            source: where it came from, for errors.
            replace: take the place of a device of this name with another key, whose certificate is revoked.

        Returns:
            Name of the device and its certificate, PEM; the same one again for a request signed before, unless it is
            due to be renewed.

        Raises:
            IdentityError: the request is damaged, asks for more than a device's name, or the name is taken.
            FolderError: the list of devices cannot be written.
        """
        name, key = parse_request(request, source)
        check_free_name(name)
        file = self._folder.enrolled / f"{name}.pem"
        with self._folder.locked():
            for known in self._certificates_of(name):
                if keys.same_key(known.public_key(), key):
                    if not self.is_due(known):
                        return name, pem(known)
                elif not replace:
                    raise IdentityError(
                        f"{name!r} is already enrolled with another key; choose another name, or give --replace if "
                        "that device is gone"
                    )
                else:
                    self._add_revoked([known.serial_number])
            certificate = pem(self._signer.device(name, key))
            write_whole(file, certificate)
            (self._folder.renewed / f"{name}.pem").unlink(missing_ok=True)
        return name, certificate

    def sign_for_a_moment(self, name: str, key: ec.EllipticCurvePublicKey, life: timedelta) -> x509.Certificate:
        """A certificate in a device's name for the server itself, to take the device's place at the broker."""
        return self._signer.device(name, key, life)

    def renew(self, request: bytes, shown: x509.Certificate) -> bytes:
        """Sign a new key for a device that has shown its certificate, which stays good until the new one is shown.

        Args:
            request: the certificate signing request for the new key, PEM.
            shown: the certificate of the connection the request came over.

        Returns:
            The new certificate, PEM; the same one again for the same key, since the first may have been lost.

        Raises:
            IdentityError: the request is damaged, or names another device.
            FolderError: the list of devices cannot be written.
        """
        name, key = parse_request(request, "the request")
        if name != keys.common_name(shown.subject):
            raise IdentityError(f"the request names {name[:64]!r}, which is not the name of the device that sent it")
        file = self._folder.renewed / f"{name}.pem"
        with self._folder.locked():
            if file.exists():
                made = keys.read_certificate(file)
                if keys.same_key(made.public_key(), key) and not self.is_due(made):
                    return pem(made)
            made = self._signer.device(name, key)
            write_whole(file, pem(made) + pem(shown))
        return pem(made)

    def note_shown(self, certificate: x509.Certificate) -> bool:
        """Put a renewed certificate in force once its device shows it, and revoke the one it came for.

        Returns:
            Whether it was one.

        Raises:
            FolderError: the list of devices cannot be written.
        """
        file = self._folder.renewed / f"{keys.common_name(certificate.subject)}.pem"
        with self._folder.locked():
            if not file.exists():
                return False
            made, former = keys.parse_certificates(file.read_bytes(), file)
            if made != certificate:
                return False
            enrolled = self._folder.enrolled / file.name
            replaced = {former.serial_number}
            if enrolled.exists():
                replaced.add(keys.read_certificate(enrolled).serial_number)
            self._add_revoked(sorted(replaced - {made.serial_number}))
            write_whole(enrolled, pem(made))
            # or the key that the invitation was taken for would be let in again
            (self._folder.invitations / f"{enrolled.stem}.json").unlink(missing_ok=True)
            file.unlink()  # last: until then the device's next request does it again
        return True

    def is_due(self, certificate: x509.Certificate) -> bool:
        """Whether a device's certificate is to be renewed: it grows old, or the authority has a new key."""
        return is_in_second_half(certificate) or not keys.is_signed_by(certificate, self.root)

    def withdraw(self, name: str) -> None:
        """Revoke all certificates of an enrolled device, and its invitation; the name may then be enrolled again.

        Raises:
            IdentityError: no device of this name is enrolled or invited, or its certificate is damaged.
            FolderError: the list of devices cannot be written.
        """
        topics.check_device_name(name)
        invitation = self._folder.invitations / f"{name}.json"
        with self._folder.locked():
            if not self._certificates_of(name) and not invitation.exists():
                raise IdentityError(f"{name!r} is not enrolled; the enrolled devices are in {self._folder.enrolled}")
            # first, or who has the code would be let in again
            invitation.unlink(missing_ok=True)
            self._expel(name)

    def _expel(self, name: str) -> None:
        self._add_revoked([certificate.serial_number for certificate in self._certificates_of(name)])
        (self._folder.renewed / f"{name}.pem").unlink(missing_ok=True)
        (self._folder.enrolled / f"{name}.pem").unlink(missing_ok=True)  # last: until then it can be done again

    def revoke(self, serial_numbers: list[int]) -> None:
        """Add certificates to the revocation list, which the broker reads when it starts."""
        with self._folder.locked():
            self._add_revoked(serial_numbers)

    def _certificates_of(self, name: str) -> list[x509.Certificate]:
        """What a device was given and is not revoked: the one in force, then the renewed one."""
        file = f"{name}.pem"
        paths = (self._folder.enrolled / file, self._folder.renewed / file)
        return [keys.read_certificate(path) for path in paths if path.exists()]

    def _add_revoked(self, serial_numbers: list[int]) -> None:
        numbers = dict.fromkeys([*read_revoked(self._folder), *serial_numbers])
        lists = b"".join(pem(signer.revocations(numbers)) for signer in self._signers())
        write_whole(self._folder.revoked, lists)

    def _signers(self) -> list[Signer]:
        """The authority, then the one that comes or goes."""
        pairs = [self._folder.authority_pair(which) for which in ("next", "former")]
        return [self._signer, *(_read_signer(*pair) for pair in pairs if pair[1].exists())]


def read_revoked(folder: ServerFolder) -> list[int]:
    """Serial numbers of revoked certificates; those of all authorities are in each one's list.

    Raises:
        IdentityError: the list is damaged.
    """
    if not folder.revoked.exists():
        return []
    try:
        entries = x509.load_pem_x509_crl(folder.revoked.read_bytes())
    except ValueError as error:
        raise IdentityError(f"{folder.revoked} is damaged; restore it from a backup") from error
    return [entry.serial_number for entry in entries]


def check_free_name(name: str) -> str:
    """The name itself, if a device may be called so on this server.

    Raises:
        IdentityError: it may not.
    """
    topics.check_device_name(name)
    if name in {BROKER_NAME, HTTPS_NAME}:
        raise IdentityError(f"{name!r} is a name of the server's own; choose another with `pomona sync request NAME`")
    return name


def _read_signer(key_file: Path, certificate_file: Path) -> Signer:
    key, root = keys.read_key(key_file), keys.read_certificate(certificate_file)
    if not keys.same_key(key.public_key(), root.public_key()):
        raise IdentityError(
            f"{key_file} and {certificate_file} do not belong together; where a change of the authority was "
            "interrupted, run `pomona server authority switch` again"
        )
    return Signer(key, root)


def _key_of(file: Path) -> ec.EllipticCurvePrivateKey:
    return keys.read_key(file) if file.exists() else keys.make_key(file)
