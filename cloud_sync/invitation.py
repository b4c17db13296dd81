"""The one-time code a person carries from the server to a device: whom to ask, as whom, and how to know the server.

``sync.example.org:8443/kiwi-07/ABCD-EFGH-JKMN-PQRS-TVWX-YZ01-2345-6789-ABCD-EFGH``: where the server is, the name the
device gets, and forty characters that hold a secret, the fingerprint of the server's authority and a check against
mistyping. The fingerprint lets the device tell the server before it shows the secret.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from cloud_sync.errors import IdentityError
from cloud_sync.hosts import check_host
from cloud_sync.topics import check_device_name

SECRET_BYTES = 8
_FINGERPRINT_BYTES = 16
_CHARACTERS = 40  # 200 bits: the secret, the fingerprint and one byte of check
# Crockford's base 32: no letter that is read as a digit, none that makes a word
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans("OIL", "011")
_GROUP = 4


@dataclass(frozen=True)
class Invitation:
    """An invitation to a device.

    Attributes:
        host: host name or IP address of the server.
        port: TCP port of its HTTPS.
        device: the name the device shall have.
        secret: what the server takes once for a certificate; 64 random bits, never shown in messages.
        authority: fingerprint of the server's authority, 128 bits.
    """

    host: str
    port: int
    device: str
    secret: bytes = field(repr=False)
    authority: bytes

    @property
    def text(self) -> str:
        """The code as it is printed and read aloud."""
        number = int.from_bytes(self._content(), "big")
        digits = [_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_CHARACTERS))]
        groups = ("".join(digits[start : start + _GROUP]) for start in range(0, _CHARACTERS, _GROUP))
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.device}/{'-'.join(groups)}"

    def _content(self) -> bytes:
        return self.secret + self.authority + _check(self.device, self.secret + self.authority)


def parse_invitation(text: str) -> Invitation:
    """Read a code that was copied or typed; letters may be small, groups parted by blanks or not at all.

    Raises:
        IdentityError: it is none, or was mistyped; the text never holds what was typed.
    """
    match = re.fullmatch(r"\s*(?:\[([0-9A-Fa-f:.]+)\]|([^/:\s]+)):([0-9]{1,5})/([^/\s]+)/([^/]+)", text)
    if match is None or not 1 <= int(match[3]) <= 65535:
        raise IdentityError(
            "this is no invitation; it looks like HOST:PORT/NAME/ABCD-EFGH-…, as `pomona server invite NAME` prints it"
        )
    try:
        host = check_host(match[1] or match[2])
    except ValueError as error:
        raise IdentityError(f"{error}; read the invitation again") from error
    device = check_device_name(match[4].lower())
    content = _decode(match[5])
    secret, authority = content[:SECRET_BYTES], content[SECRET_BYTES : SECRET_BYTES + _FINGERPRINT_BYTES]
    if _check(device, secret + authority) != content[-1:]:
        raise IdentityError("the invitation was mistyped, in the name or behind it; read it again")
    return Invitation(host, int(match[3]), device, secret, authority)


def _decode(groups: str) -> bytes:
    digits = re.sub(r"[\s-]", "", groups).upper().translate(_READ_AS)
    if len(digits) != _CHARACTERS or not set(digits) <= set(_ALPHABET):
        raise IdentityError(
            f"the invitation was mistyped: behind the name it has {_CHARACTERS} digits and letters other than U; "
            "read it again"
        )
    number = 0
    for digit in digits:
        number = number << 5 | _ALPHABET.index(digit)
    return number.to_bytes(_CHARACTERS * 5 // 8, "big")


def _check(device: str, content: bytes) -> bytes:
    return hashlib.sha256(device.encode() + b"/" + content).digest()[:1]
