"""Topic names. A device may only use its own; the broker's access list holds the same patterns."""

from __future__ import annotations

import re

from cloud_sync.errors import IdentityError, MessageError

ROOT = "pomona/v1"
SERVER_NAME = "pomona-server"
# in front of a reader's name; no device's name has a dot, so no reader is a device
READER = "telemetry."
# No '/', '+' or '#', which have a meaning in topics, and nothing that differs between file systems.
_DEVICE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
DEVICE_NAME_PATTERN = f"^{_DEVICE_NAME.pattern}$"

_SERVER_NAME = re.compile(rf"{SERVER_NAME}(?:-[0-9]+)?")

EVERY_UPWARD_MESSAGE = f"{ROOT}/+/up/#"
EVERY_STATE = f"{ROOT}/+/state"
EVERY_STORED_RECORD = f"{ROOT}/+/stored/#"

# stands where a record's type stands, so no type of record is called so
BATCH = "batch"
# and so here
DIGEST = "digest"


def check_device_name(name: str) -> str:
    """The name itself, if a device may be called so.

    Raises:
        IdentityError: it has characters that topics or certificates cannot carry, or is one of the server's own.
    """
    if not _DEVICE_NAME.fullmatch(name) or _SERVER_NAME.fullmatch(name):
        raise IdentityError(
            f"{name[:64]!r} cannot name a device; use 1 to 63 lower-case letters, digits and inner hyphens, "
            f"and not {SERVER_NAME!r}, alone or with a number"
        )
    return name


def server_name(number: int) -> str:
    """What one of the server's clients is called.

    Args:
        number: 1 for the first, which is alone where the work is not shared.
    """
    return SERVER_NAME if number == 1 else f"{SERVER_NAME}-{number}"


def shared(group: str, topic: str) -> str:
    """A subscription of which the broker gives each message to one of the group."""
    return f"$share/{group}/{topic}"


def up(device: str, message_type: str) -> str:
    """Where a device sends records of one type."""
    return f"{ROOT}/{device}/up/{message_type}"


def batch(device: str) -> str:
    """Where a device sends many records in one message."""
    return up(device, BATCH)


def question(device: str) -> str:
    """Where a device asks what the server holds of a store."""
    return up(device, DIGEST)


def digest(device: str) -> str:
    """Where the server says what it holds of a store."""
    return f"{ROOT}/{device}/down/{DIGEST}"


def missing(device: str) -> str:
    """Where the server says which numbers of a store it misses."""
    return f"{ROOT}/{device}/down/missing"


def greeting(device: str) -> str:
    """Where the server says what it is to a device that has come."""
    return f"{ROOT}/{device}/down/server"


def stored(device: str, message_type: str) -> str:
    """Where the server publishes a device's stored records of one type, for readers."""
    return f"{ROOT}/{device}/stored/{message_type}"


def acknowledgements(device: str) -> str:
    """Where the server answers for a device's records."""
    return f"{ROOT}/{device}/down/ack"


def documents(device: str) -> str:
    """Where the server says which documents a device should have."""
    return f"{ROOT}/{device}/down/document"


def state(device: str) -> str:
    """Where a device's retained state and last will stand."""
    return f"{ROOT}/{device}/state"


def parse_up(topic: str) -> tuple[str, str]:
    """Device and message type of an upward topic.

    Raises:
        MessageError: the topic is not ``pomona/v1/<device>/up/<type>``.
    """
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != ROOT or parts[3] != "up" or not parts[2] or not parts[4]:
        raise MessageError(f"the topic is not {ROOT}/<device>/up/<type>")
    return parts[2], parts[4]
