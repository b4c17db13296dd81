"""Invitations: made once, kept as a hash, good for one key and for a limited time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.files import PRIVATE, write_whole
from cloud_sync.invitation import SECRET_BYTES, Invitation
from cloud_sync.server.certificates import check_free_name
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder


class InvitationError(ValueError):
    """An invitation that is not taken; the text is sent to whoever showed it."""

    exit_code = 2


class Invited(BaseModel):
    """What the server keeps of an invitation."""

    device: str = Field(description="the name it is for")
    hashed: str = Field(description="SHA-256 of name and secret, hexadecimal")
    until: AwareDatetime = Field(description="when it ends")
    replace: bool = Field(description="whether it takes the place of a device of this name")
    key: str | None = Field(default=None, description="fingerprint of the key that has used it")


def invite(folder: ServerFolder, device: str, lasting: timedelta, *, replace: bool = False) -> Invitation:
    """Make an invitation, in place of an earlier one for this device.

    Args:
        folder: the server's folder.
        device: the name the device shall have.
        lasting: how long it shall be good for.
        replace: the device takes the place of an enrolled one, whose certificate is revoked then.

    Returns:
        The invitation, whose secret is kept nowhere.

    Raises:
        IdentityError: the name is taken, or no device may have it.
        FolderError: the server has no HTTPS, or its folder cannot be written.
    """
    settings = folder.read_settings()
    check_free_name(device)
    if settings.https_port == 0:
        raise FolderError(
            "this server has no HTTPS; run `pomona server init` again with --https-port, or enrol by file"
        )
    if not replace and (folder.enrolled / f"{device}.pem").exists():
        raise IdentityError(f"{device!r} is already enrolled; choose another name, or give --replace")
    secret = secrets.token_bytes(SECRET_BYTES)
    kept = Invited(
        device=device, hashed=_hash(device, secret), until=datetime.now(timezone.utc) + lasting, replace=replace
    )
    with folder.locked():
        _write(folder, kept)
    authority = keys.read_certificate(folder.root_certificate).public_key()
    return Invitation(
        settings.hosts[0], settings.https_port, device, secret, bytes.fromhex(keys.fingerprint(authority))
    )


def redeem(folder: ServerFolder, device: str, secret: bytes, key: ec.EllipticCurvePublicKey) -> Invited:
    """Take an invitation for a key. The same key may come again, since the answer may have been lost; no other may.

    Args:
        folder: the server's folder.
        device: the name asked for.
        secret: what was shown for it.
        key: the key that shall get a certificate.

    Raises:
        IdentityError: no device may have this name.
        InvitationError: there is none, it is wrong, has ended, or another key has used it.
        FolderError: the folder cannot be written.
    """
    check_free_name(device)
    fingerprint = keys.fingerprint(key)
    with folder.locked():
        kept = _read(_file(folder, device))
        # compared also where there is none, so that the time taken does not tell
        is_right = hmac.compare_digest(kept.hashed if kept else "-" * 64, _hash(device, secret))
        if kept is None or not is_right:
            raise InvitationError(f"there is no such invitation for {device!r}; was it withdrawn, or made anew?")
        if datetime.now(timezone.utc) > kept.until:
            raise InvitationError(
                f"the invitation for {device!r} ended on {kept.until:%Y-%m-%d at %H:%M} UTC; ask anew"
            )
        if kept.key not in {None, fingerprint}:
            raise InvitationError(
                f"the invitation for {device!r} was used by another device. If that was not yours, somebody has read "
                f"it: have `pomona server revoke {device}` run"
            )
        if kept.key is None:
            # before anything is signed: after a death in between the same key may come again, and no other
            kept = kept.model_copy(update={"key": fingerprint})
            _write(folder, kept)
    return kept


def _hash(device: str, secret: bytes) -> str:
    return hashlib.sha256(device.encode() + b"/" + secret).hexdigest()


def _file(folder: ServerFolder, device: str) -> Path:
    return folder.invitations / f"{device}.json"


def _write(folder: ServerFolder, kept: Invited) -> None:
    write_whole(_file(folder, kept.device), kept.model_dump_json().encode(), PRIVATE)


def _read(file: Path) -> Invited | None:
    try:
        return Invited.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise FolderError(f"{file} is damaged; invite the device anew") from error
