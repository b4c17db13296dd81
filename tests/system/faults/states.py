"""The states in which a process is killed, one row each, and what is there afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.system.faults.moments import AtCall, AtSystemCall, Moment
from tests.system.faults.world import BY_HAND, IMPORT, SERVER, UPLINK

STORE = "store"
_LOG, _DATABASE, _SERVER_LOG = "store.sqlite-wal", "store.sqlite", "pomona.sqlite-wal"
_PUBLISH = "paho.mqtt.client:Client.publish"


@dataclass(frozen=True)
class State:
    """A state of a process that is killed in it.

    Attributes:
        stage: what the process is about.
        name: the state, in words.
        there: what is there afterwards, in words.
        process: who is killed.
        moment: when.
        left: how much more there is afterwards than before: recorded ``photos``, whole ``files``, ``partial`` files,
            messages that ``wait``, records at the ``server``; what may differ is left out.
        watching: the folder watcher is killed rather than an import.
        refused: the server does not know the version of what it gets.
        abandoned: a copy that was never finished lies there from long ago.
    """

    stage: str
    name: str
    there: str
    process: str
    moment: Moment
    left: dict[str, int] = field(default_factory=dict)
    watching: bool = False
    refused: bool = False
    abandoned: bool = False

    @property
    def row(self) -> str:
        """The state as a row of the table in the documentation."""
        return f"| {self.stage} | {self.name} | {self.there} |"


# One tree is brought in, photo by photo; the second is the one in whose import the process is killed. The first leaves
# five messages (tree, photo, detections, count, thumbnail), the second four (all but the tree).
_FIRST, _BOTH = {"photos": 1, "wait": 5}, {"photos": 2, "wait": 9}
_ONLY_FIRST = "the first photo, whole"
_NOTHING_MORE = "all messages wait"

STATES = (
    State(
        "import",
        "photo read, not counted",
        _ONLY_FIRST,
        IMPORT,
        AtCall("export.runtime.counter:Counter.count", 2),
        {**_FIRST, "files": 1},
    ),
    State(
        "import",
        "counted, not kept",
        _ONLY_FIRST,
        IMPORT,
        AtCall("device.store.photo_files:PhotoFiles.add", 2),
        {**_FIRST, "files": 1},
    ),
    State(
        "import",
        "file copied, not synced",
        f"{_ONLY_FIRST}, and a copy without a name",
        IMPORT,
        AtCall("os:fsync", 5),
        {**_FIRST, "files": 1, "partial": 1},
    ),
    State(
        "import",
        "file synced, not named",
        f"{_ONLY_FIRST}, and a copy without a name",
        IMPORT,
        AtCall("pathlib:Path.replace", 2),
        {**_FIRST, "files": 1, "partial": 1},
    ),
    State(
        "import",
        "file named, folder not synced",
        f"{_ONLY_FIRST}, and the second file",
        IMPORT,
        AtCall("device.store.photo_files:sync_folder", 4),
        {**_FIRST, "files": 2},
    ),
    State(
        "import",
        "file kept, no transaction begun",
        f"{_ONLY_FIRST}, and the second file",
        IMPORT,
        AtCall("device.store:Store.change", 2),
        {**_FIRST, "files": 2},
    ),
    State(
        "import",
        "photo recorded, detections not",
        f"{_ONLY_FIRST}, and the second file",
        IMPORT,
        AtCall("device.visits:record_detections", 2),
        {**_FIRST, "files": 2},
    ),
    State(
        "import",
        "all recorded, nothing told",
        "both photos",
        IMPORT,
        AtCall("device.commands.visit:_tell"),
        {**_BOTH, "files": 2},
    ),
    State(
        "count",
        "detections recorded, the tree's count not",
        f"{_ONLY_FIRST}, and the second file",
        IMPORT,
        AtCall("device.visits:record_tree_count", 2),
        {**_FIRST, "files": 2},
    ),
    State(
        "count",
        "the tree's count recorded, not committed",
        f"{_ONLY_FIRST}, and the second file",
        IMPORT,
        AtCall("device.visits:record_tree_count", 2, after=True),
        {**_FIRST, "files": 2},
    ),
    State(
        "count",
        "counted by the watcher, not moved",
        "the first photo, in the inbox too",
        IMPORT,
        AtCall("device.watching:InboxWatcher._move"),
        {"photos": 1, "wait": 5},
        watching=True,
    ),
    State(
        "count",
        "moved by the watcher",
        "the first photo",
        IMPORT,
        AtCall("device.watching:InboxWatcher._move", after=True),
        {"photos": 1, "wait": 5},
        watching=True,
    ),
    State(
        "count",
        "hand counts read, not recorded",
        "nothing of them",
        BY_HAND,
        AtCall("device.by_hand:record_hand_counts"),
        {"wait": 0},
    ),
    State(
        "count",
        "hand counts recorded, not told",
        "all of them",
        BY_HAND,
        AtCall("device.by_hand:record_hand_counts", after=True),
        {"wait": 1},
    ),
    State(
        "enqueue",
        "row there, its message not",
        "neither",
        IMPORT,
        AtCall("cloud_sync.outbox:Outbox.enqueue", 7),
        _FIRST,
    ),
    State(
        "enqueue",
        "message there, not committed",
        "neither",
        IMPORT,
        AtCall("cloud_sync.outbox:Outbox.enqueue", 9, after=True),
        _FIRST,
    ),
    State(
        "enqueue",
        "commit half in the database's log",
        "nothing of the first photo but its file",
        IMPORT,
        AtSystemCall("pwrite64", _LOG, 4),
        {"photos": 0, "wait": 0, "files": 1},
    ),
    State(
        "enqueue",
        "commit whole in the log, not synced",
        "the first photo: a kill takes nothing from the kernel, a power cut might",
        IMPORT,
        AtSystemCall("fdatasync", _LOG, 2),
        {"photos": 1, "wait": 5, "files": 1},
    ),
    State(
        "publish",
        "connection asked for",
        _NOTHING_MORE,
        UPLINK,
        AtCall("cloud_sync.connection:Connection.begin", after=True),
        {"wait": 0, "server": 0},
    ),
    State(
        "publish",
        "connected, nothing sent",
        _NOTHING_MORE,
        UPLINK,
        AtCall("cloud_sync.sender:Sender.attach"),
        {"wait": 0, "server": 0},
    ),
    State(
        "publish",
        "message read, not sent",
        _NOTHING_MORE,
        UPLINK,
        AtCall(_PUBLISH, 2),
        {"wait": 0, "server": 0},
    ),
    State(
        "publish",
        "message sent, not confirmed by the broker",
        _NOTHING_MORE,
        UPLINK,
        AtCall(_PUBLISH, 2, after=True),
        {"wait": 0},
    ),
    State(
        "publish",
        "confirmed by the broker, not noted",
        _NOTHING_MORE,
        UPLINK,
        AtCall("cloud_sync.sender:Sender.note_puback", 2),
        {"wait": 0},
    ),
    State(
        "acknowledge",
        "answer come, not read",
        f"{_NOTHING_MORE}; the server has some",
        UPLINK,
        AtCall("cloud_sync.sender:Sender.note_answers"),
        {"wait": 0},
    ),
    State(
        "acknowledge",
        "answer read, message not forgotten",
        f"{_NOTHING_MORE}; the server has some",
        UPLINK,
        AtCall("cloud_sync.outbox:Outbox.stored"),
        {"wait": 0},
    ),
    State(
        "acknowledge",
        "forgetting half in the log",
        f"{_NOTHING_MORE}; the server has some",
        UPLINK,
        AtSystemCall("pwrite64", _LOG, 2),
        {"wait": 0},
    ),
    State(
        "acknowledge",
        "message forgotten, window not told",
        "the others wait",
        UPLINK,
        AtCall("cloud_sync.outbox:Outbox.stored", after=True),
    ),
    State(
        "acknowledge",
        "refusal come, not noted",
        "the refused message waits",
        UPLINK,
        AtCall("cloud_sync.outbox:Outbox.rejected"),
        refused=True,
    ),
    State(
        "acknowledge",
        "refusal noted, window not told",
        "the refused message is kept with the reason",
        UPLINK,
        AtCall("cloud_sync.outbox:Outbox.rejected", after=True),
        refused=True,
    ),
    State(
        "prune",
        "abandoned copy found, not removed",
        "the copy",
        IMPORT,
        AtCall("pathlib:Path.unlink"),
        {"photos": 0, "partial": 0},
        abandoned=True,
    ),
    State(
        "prune",
        "abandoned copy removed",
        "nothing of it",
        IMPORT,
        AtCall("pathlib:Path.unlink", after=True),
        {"photos": 0, "partial": -1},
        abandoned=True,
    ),
    State(
        "prune",
        "log half taken over into the database",
        "both photos",
        IMPORT,
        AtSystemCall("pwrite64", _DATABASE, 2),
        _BOTH,
    ),
    State(
        "prune",
        "log taken over, database not synced",
        "both photos",
        IMPORT,
        AtSystemCall("fdatasync", _DATABASE, 1),
        _BOTH,
    ),
    State(
        "prune",
        "log taken over, not removed",
        "both photos",
        IMPORT,
        AtSystemCall("unlink", _LOG, 1),
        _BOTH,
    ),
    State(
        "ingest",
        "connected, nothing received",
        _NOTHING_MORE,
        SERVER,
        AtCall("cloud_sync.connection:Connection.wait_open", after=True),
        {"wait": 0, "server": 0},
    ),
    State(
        "ingest",
        "received, not stored",
        _NOTHING_MORE,
        SERVER,
        AtCall("cloud_sync.server.worker:Worker.process"),
        {"wait": 0, "server": 0},
    ),
    State(
        "ingest",
        "stored in a transaction, not committed",
        _NOTHING_MORE,
        SERVER,
        AtCall("cloud_sync.server.worker:store", after=True),
        {"wait": 0, "server": 0},
    ),
    State(
        "ingest",
        "commit half in the log",
        _NOTHING_MORE,
        SERVER,
        AtSystemCall("pwrite64", _SERVER_LOG, 2),
        {"wait": 0, "server": 0},
    ),
    State(
        "ingest",
        "commit whole in the log, not synced",
        _NOTHING_MORE,
        SERVER,
        AtSystemCall("fdatasync", _SERVER_LOG, 2),
        {"wait": 0},
    ),
    State(
        "ingest",
        "committed, not answered",
        f"{_NOTHING_MORE}; the server has some",
        SERVER,
        AtCall("cloud_sync.server.ingest:Ingest._answer"),
        {"wait": 0},
    ),
    State(
        "ingest",
        "answered, not confirmed to the broker",
        "the server has some; what it answered for may be forgotten",
        SERVER,
        AtCall("cloud_sync.server.ingest:Ingest._answer", after=True),
    ),
    State(
        "ingest",
        "confirmed to the broker",
        "the same",
        SERVER,
        AtCall("paho.mqtt.client:Client.ack", after=True),
    ),
    State(
        "ingest",
        "dead letter stored, not committed",
        "all messages wait, the refused one too",
        SERVER,
        AtCall("cloud_sync.server.storing:_keep_dead_letters", after=True),
        {"wait": 0, "server": 0},
        refused=True,
    ),
)

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
        AtSystemCall("pwrite64", _LOG, 4),
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
        AtSystemCall("pwrite64", _SERVER_LOG, 4),
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
        AtSystemCall("pwrite64", _LOG, 2),
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
