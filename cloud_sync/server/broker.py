"""The broker's files: Mosquitto's configuration and its access list, written from the server's settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cloud_sync import topics
from cloud_sync.files import write_whole
from cloud_sync.messages import MOST_BYTES
from cloud_sync.server.certificates import Authority
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder, ServerSettings

# A message a little too long still reaches the server, which says so; more than that stops at the broker.
MOST_PACKET_BYTES = MOST_BYTES + 16 * 1024
# Processes that can share the work, each with a name and a certificate of its own.
MOST_PROCESSES = 8
# What the broker hands to each of them before it has committed it; ingest asks for as many.
MOST_UNCONFIRMED = 1000

_CONFIGURATION = """\
# Written by `pomona server init`, which writes it again: change settings there.
# Start with: mosquitto -c {own}

{user}
pid_file {process}
per_listener_settings true

listener {port}{bind}
cafile {trusted}
certfile {certificate}
keyfile {key}
crlfile {revoked}
tls_version tlsv1.2
# The certificate's common name is user name and client id, so that nobody can take another's session.
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {access}
max_qos 1

# The broker is no store. A message stays in the device's outbox until the server has committed it, so writing
# the broker's queue to disk would cost wear and promise nothing; what a restart loses, devices send again.
persistence false
# Told to each client when it connects; one that sends more all the same is disconnected.
max_packet_size {most_packet}
# Per client. A full queue drops what comes, and devices send it again.
max_queued_messages 10000
max_queued_bytes 67108864
max_inflight_messages {unconfirmed}
# All clients together, so that one that was taken over cannot fill the machine; who would exceed it is thrown out.
memory_limit 1073741824
set_tcp_nodelay true
sys_interval 0
log_dest stderr
"""

_ACCESS = """\
# Written by `pomona server init`. %u is the common name of the client's certificate.

pattern write {root}/%u/up/#
pattern write {root}/%u/state
pattern read {root}/%u/down/#
"""

_SERVER_ACCESS = """
user {name}
topic read {up}
topic read {state}
topic write {root}/+/down/#
topic write {root}/+/stored/#
"""

# a reader is no device, though the patterns above take it for one
_READER_ACCESS = """
user {name}
topic deny {root}/{name}/#
topic read {stored}
topic read {up}
topic read {state}
"""


def initialise(folder: ServerFolder, settings: ServerSettings, *, new_keys: bool = False) -> Path:
    """Make authority, certificates and the broker's files; again for changed settings, keeping keys and devices.

    Args:
        folder: the server's folder.
        settings: host names, ports and address.
        new_keys: give broker, HTTPS and the server's client new keys, and revoke their certificates.

    Returns:
        Mosquitto's configuration file.

    Raises:
        FolderError: the folder cannot be written, or its path cannot stand in Mosquitto's configuration.
        IdentityError: what is there is damaged, or a host name is none.
    """
    folder.make()
    authority = Authority.create(folder)
    with folder.explained():
        if new_keys:
            authority.revoke_servers()
            clients = (*folder.ingest.glob("*.key"), *folder.ingest.glob("*.pem"))
            for file in (folder.broker / "broker.key", folder.https / "https.key", *clients):
                file.unlink(missing_ok=True)
        hosts = [*settings.hosts, settings.local_host]
        authority.issue_broker(hosts, folder.broker / "broker.key", folder.broker / "broker.pem")
        authority.issue_https(hosts, folder.https / "https.key", folder.https / "https.pem")
        for number in range(MOST_PROCESSES + 1):  # 0 is for commands
            authority.issue_ingest(number)
        write_access_list(folder)
        write_whole(folder.broker / "mosquitto.conf", configuration(folder, settings).encode())
    folder.write_settings(settings)
    return folder.broker / "mosquitto.conf"


def write_access_list(folder: ServerFolder) -> None:
    """Write the access list for the readers there are; the broker reads it when it starts or is told to (SIGHUP)."""
    readers = sorted(file.stem for file in folder.readers.glob("*.pem"))
    write_whole(folder.broker / "access", access_list(readers).encode())


def access_list(readers: Iterable[str] = ()) -> str:
    """The access list: each client its own topics, the server everyone's other end, readers what is sent and stored.

    Args:
        readers: common names of the readers.
    """
    names = {
        "root": topics.ROOT,
        "up": topics.EVERY_UPWARD_MESSAGE,
        "state": topics.EVERY_STATE,
        "stored": topics.EVERY_STORED_RECORD,
    }
    servers = [topics.server_name(number) for number in range(MOST_PROCESSES + 1)]
    return (
        _ACCESS.format(**names)
        + "".join(_SERVER_ACCESS.format(name=name, **names) for name in servers)
        + "".join(_READER_ACCESS.format(name=name, **names) for name in readers)
    )


def configuration(folder: ServerFolder, settings: ServerSettings) -> str:
    """Mosquitto's configuration.

    Raises:
        FolderError: the folder's path holds a line break.
    """
    home = folder.broker.resolve()
    if not str(home).isprintable():
        raise FolderError(f"{home} cannot stand in the broker's configuration; choose a plainer folder name")
    return _CONFIGURATION.format(
        own=home / "mosquitto.conf",
        user=_run_as(home),
        process=home / folder.broker_process.name,
        port=settings.port,
        bind=f" {settings.bind}" if settings.bind else "",
        trusted=folder.trusted.resolve(),
        certificate=home / "broker.pem",
        key=home / "broker.key",
        revoked=folder.revoked.resolve(),
        access=home / "access",
        most_packet=MOST_PACKET_BYTES,
        unconfirmed=MOST_UNCONFIRMED,
    )


def _run_as(home: Path) -> str:
    try:
        owner = home.owner()
    except KeyError:  # a container's user that has no name; then the broker is not started as root
        return "# started as the owner of these files, who alone can read the key"
    return f"# started as root it becomes the owner of these files, who alone can read the key\nuser {owner}"
