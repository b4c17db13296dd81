"""What a device does over HTTPS: enrol by invitation, hear what the server has to say, renew its key.

Each may die anywhere and be done again: a key is on the disk before it is shown, the server gives the same key the same
certificate, and what is in use changes in one step.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from cloud_sync import keys
from cloud_sync.enrolment import (
    AUTHORITY,
    ENROLMENT,
    RENEWAL,
    Address,
    Enrolment,
    EnrolmentRequest,
    RenewalRequest,
)
from cloud_sync.errors import HttpsError, IdentityError
from cloud_sync.files import identity_folder
from cloud_sync.https import HttpsClient, HttpsRefusedError
from cloud_sync.identity import Identity, create_renewal, create_request, install, is_enrolled, read_identity, refresh
from cloud_sync.invitation import Invitation
from cloud_sync.timekeeping import Timekeeper, uptime_s
from cloud_sync.tls import client_context, stranger_context


def enroll(folder: Path, invitation: Invitation) -> Identity:
    """Enrol this device with an invitation.

    Args:
        folder: the device's folder.
        invitation: what the server's ``pomona server invite`` printed.

    Returns:
        The identity as it now stands; as it stood, where this device is enrolled there already.

    Raises:
        IdentityError: the device has another name, or its folder cannot be written.
        HttpsError: the server cannot be reached, or its answer is none.
        HttpsRefusedError: it is not the server the invitation is for, or does not take the invitation.
    """
    address = Address(host=invitation.host, port=invitation.port)
    root = _fetch_root(address, invitation.authority)
    if is_enrolled(folder):
        known = _enrolled_already(folder, address, root, invitation.device)
        if known is not None:
            return known
        # a new key, since the one in use may be why the device was shut out
        request = create_renewal(folder, invitation.device)
    else:
        request = create_request(folder, invitation.device)
    question = EnrolmentRequest(secret=invitation.secret.hex(), request=request.read_text(encoding="ascii"))
    client = HttpsClient(address, stranger_context(root, identity_folder(folder)))
    enrolment = _ask(folder, client, "POST", ENROLMENT, question)
    return install(folder, enrolment, client.where)


def hear(folder: Path) -> Enrolment:
    """Ask the server what this device should know by now, and take it over: time, trust, addresses.

    Returns:
        What the server said; its ``renew`` tells whether to :func:`renew`.

    Raises:
        IdentityError: the device is not enrolled, or its folder cannot be written.
        HttpsError: the server has no HTTPS, cannot be reached, or its answer is none.
        HttpsRefusedError: this device was shut out, or a certificate is refused.
    """
    identity = read_identity(folder)
    client = _client(identity)
    trusts = _trusts(identity)
    enrolment = _ask(folder, client, "GET", f"{ENROLMENT}?trusts={trusts}")
    refreshed = refresh(folder, enrolment)
    if (now := _trusts(refreshed)) != trusts:  # the server waits for that before it changes its authority
        enrolment = _ask(folder, client, "GET", f"{ENROLMENT}?trusts={now}")
    return enrolment


def renew(folder: Path) -> Identity:
    """Make a new key, have it signed, use it from now on, and show it, upon which the server revokes the former one.

    Raises:
        IdentityError: the device is not enrolled, or its folder cannot be written.
        HttpsError: the server has no HTTPS, cannot be reached, or its answer is none.
        HttpsRefusedError: this device was shut out, or a certificate is refused.
    """
    identity = read_identity(folder)
    client = _client(identity)
    request = create_renewal(folder, identity.name)
    question = RenewalRequest(request=request.read_text(encoding="ascii"))
    renewed = install(folder, _ask(folder, client, "POST", RENEWAL, question), client.where)
    hear(folder)
    return renewed


def _ask(
    folder: Path, client: HttpsClient, method: str, path: str, question: EnrolmentRequest | RenewalRequest | None = None
) -> Enrolment:
    asked_at_s = uptime_s()
    enrolment = client.ask(method, path, Enrolment, question)
    if enrolment.issued_at is not None:
        home = identity_folder(folder)
        try:
            Timekeeper(home).learn(enrolment.issued_at, asked_at_s)
        except OSError as error:
            raise IdentityError(f"{home}: {error.strerror}; check its permissions and disk") from error
    return enrolment


def _trusts(identity: Identity) -> str:
    """Fingerprints of the authorities this device trusts."""
    roots = keys.parse_certificates(identity.trust_root.read_bytes(), identity.trust_root)
    return ",".join(sorted(keys.compact_fingerprint(root) for root in roots))


def _client(identity: Identity) -> HttpsClient:
    if identity.https is None:
        raise HttpsError(
            "the server of this device has no HTTPS; renew by file: `pomona sync request NAME`, "
            "`pomona server enroll`, `pomona sync accept FILE`"
        )
    return HttpsClient(identity.https, client_context(identity))


def _fetch_root(address: Address, fingerprint: bytes) -> x509.Certificate:
    """The authority's certificate, from whoever answers: what makes it good is the fingerprint."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    client = HttpsClient(address, anybody)
    try:
        root = keys.parse_certificate(client.fetch("GET", AUTHORITY), client.where)
    except IdentityError as error:
        raise HttpsRefusedError(f"{client.where} shows no authority; check host and port") from error
    if bytes.fromhex(keys.fingerprint(root.public_key())) != fingerprint or not keys.is_signed_by(root, root):
        raise HttpsRefusedError(
            f"{client.where} is not the one the invitation is for: its authority is another. Check host and port; if "
            "they are right, somebody stands in between, and the invitation was not shown to him"
        )
    return root


def _enrolled_already(folder: Path, address: Address, root: x509.Certificate, name: str) -> Identity | None:
    """The identity of this device where the server still takes it; None where it needs a new one."""
    try:
        identity = read_identity(folder)
    except IdentityError:
        return None  # a death between the files of an earlier enrolment
    if identity.name != name:
        raise IdentityError(
            f"this device is already called {identity.name!r}; to give it the name {name!r} "
            f"move {identity_folder(folder)} away and enrol it again"
        )
    if root not in keys.parse_certificates(identity.trust_root.read_bytes(), identity.trust_root):
        return None
    try:
        enrolment = _ask(folder, HttpsClient(address, client_context(identity)), "GET", ENROLMENT)
    except HttpsRefusedError:
        return None
    return refresh(folder, enrolment)
