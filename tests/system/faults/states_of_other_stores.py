"""States in which a process is killed whose store, or whose server's, is new or was put back to an earlier day."""

from __future__ import annotations

from tests.system.faults.moments import AtCall, AtSystemCall
from tests.system.faults.state import SERVER_LOG, STORE, STORE_LOG, State
from tests.system.faults.world import SERVER, UPLINK

# of a store that is opened for the first time, and of a server's first start
FIRST_STATES = (
    State(
        "import",
        "store's folder made, no database in it",
        "an empty folder",
        STORE,
        AtCall("device.store.database:make_folder", after=True),
    ),
    State(
        "import",
        "tables of a new store half made",
        "no table",
        STORE,
        AtCall("sqlite_utils.migrations:Migrations.apply", after=True),
    ),
    State(
        "import",
        "tables of a new store half in the log",
        "no table",
        STORE,
        AtSystemCall("pwrite64", STORE_LOG, 4),
    ),
    State(
        "import",
        "tables of a new store made, nothing in them",
        "the tables",
        STORE,
        AtCall("device.orchards:_record_orchard"),
    ),
    State(
        "ingest",
        "a new database without tables",
        "an empty database",
        SERVER,
        AtCall("cloud_sync.server.database:Database.write"),
    ),
    State(
        "ingest",
        "tables of a new database half in the log",
        "no table",
        SERVER,
        AtSystemCall("pwrite64", SERVER_LOG, 4),
    ),
)

# of a device that was restored from a backup, and is told so by the server
OUTDATED_STATES = (
    State(
        "acknowledge",
        "`outdated` come, nothing done",
        "the message waits as it was",
        UPLINK,
        AtCall("cloud_sync.outbox:Outbox.outdated"),
    ),
    State(
        "acknowledge",
        "`outdated` half acted on",
        "the message waits as it was",
        UPLINK,
        AtSystemCall("pwrite64", STORE_LOG, 2),
    ),
    State(
        "acknowledge",
        "queued anew above the server's revision, window not told",
        "the message waits under a new id",
        UPLINK,
        AtCall("cloud_sync.outbox:Outbox.outdated", after=True),
    ),
)

# of a device whose server was restored from a backup and has lost what it answered for
LOST_STATES = (
    State(
        "acknowledge",
        "found what the server has lost, not put back",
        "no message waits",
        UPLINK,
        AtCall("cloud_sync.sent:SentLog.queue_again"),
    ),
    State(
        "acknowledge",
        "put back what the server has lost, not sent",
        "what was lost waits again",
        UPLINK,
        AtCall("cloud_sync.sent:SentLog.queue_again", after=True),
    ),
)
