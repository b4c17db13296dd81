"""The tables, as numbered migrations. Every change of the schema is a new function; old ones never change."""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from cloud_sync import clock
from cloud_sync.messages import HarvestBody
from cloud_sync.outbox import Outbox, new_id

MIGRATIONS = Migrations("device")

_STAGE = "CHECK (stage IN ('flowering', 'young_fruit', 'fruit_expansion', 'ripening'))"


@MIGRATIONS()
def m001_create_records(db: Database) -> None:
    """Orchards down to counts and estimates. ``revision`` rises with every change that is sent to the server."""
    for statement in (
        """
        CREATE TABLE orchard (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            name TEXT NOT NULL UNIQUE,
            crop TEXT NOT NULL,
            area_m2 REAL CHECK (area_m2 > 0),
            yield_unit TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE block (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            orchard TEXT NOT NULL REFERENCES orchard (id),
            name TEXT NOT NULL UNIQUE,
            area_m2 REAL CHECK (area_m2 > 0),
            trees INTEGER CHECK (trees > 0),
            trees_per_ha REAL CHECK (trees_per_ha > 0),
            variety TEXT,
            fruit_weight_g REAL CHECK (fruit_weight_g > 0)
        ) STRICT
        """,
        """
        CREATE TABLE tree (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            block TEXT NOT NULL REFERENCES block (id),
            code TEXT NOT NULL,
            provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
            latitude REAL,
            longitude REAL,
            UNIQUE (block, code)
        ) STRICT
        """,
        f"""
        CREATE TABLE visit (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            block TEXT NOT NULL REFERENCES block (id),
            day TEXT NOT NULL,
            stage TEXT NOT NULL {_STAGE},
            area_m2 REAL CHECK (area_m2 > 0),
            area_trees INTEGER CHECK (area_trees > 0),
            UNIQUE (block, day, stage),
            CHECK ((area_m2 IS NULL) = (area_trees IS NULL))
        ) STRICT
        """,
        """
        CREATE TABLE photo (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            visit TEXT NOT NULL REFERENCES visit (id),
            tree TEXT NOT NULL REFERENCES tree (id),
            side TEXT NOT NULL,
            sha256 TEXT NOT NULL UNIQUE,
            suffix TEXT NOT NULL,
            file_name TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            width_px INTEGER NOT NULL,
            height_px INTEGER NOT NULL,
            taken_at TEXT,
            latitude REAL,
            longitude REAL
        ) STRICT
        """,
        "CREATE INDEX photo_by_tree ON photo (visit, tree)",
        """
        CREATE TABLE detections (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            photo TEXT NOT NULL REFERENCES photo (id),
            model TEXT NOT NULL,
            engine TEXT NOT NULL,
            labels TEXT NOT NULL,
            counts TEXT NOT NULL,
            boxes BLOB NOT NULL,
            milliseconds REAL NOT NULL,
            UNIQUE (photo, model)
        ) STRICT
        """,
        """
        CREATE TABLE tree_count (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            visit TEXT NOT NULL REFERENCES visit (id),
            tree TEXT NOT NULL REFERENCES tree (id),
            label TEXT NOT NULL,
            machine INTEGER NOT NULL CHECK (machine >= 0),
            reviewed INTEGER CHECK (reviewed >= 0),
            model TEXT NOT NULL,
            sides_rule TEXT NOT NULL,
            attribution TEXT NOT NULL,
            photos TEXT NOT NULL,
            UNIQUE (visit, tree, label)
        ) STRICT
        """,
        """
        CREATE TABLE estimate (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            visit TEXT NOT NULL REFERENCES visit (id),
            label TEXT NOT NULL,
            made_at TEXT NOT NULL,
            body TEXT NOT NULL,
            UNIQUE (visit, label)
        ) STRICT
        """,
    ):
        db.execute(statement)


@MIGRATIONS()
def m002_count_by_hand(db: Database) -> None:
    """What a person counted on a tree itself, or of its own fruit in its photos; it teaches what photos miss."""
    db.execute("ALTER TABLE tree_count ADD COLUMN by_hand INTEGER CHECK (by_hand >= 0)")
    db.execute("ALTER TABLE tree_count ADD COLUMN own INTEGER CHECK (own >= 0)")


@MIGRATIONS()
def m003_create_harvest(db: Database) -> None:
    """What was weighed of a block on a day of picking."""
    db.execute(
        """
        CREATE TABLE harvest (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            block TEXT NOT NULL REFERENCES block (id),
            day TEXT NOT NULL,
            weight_kg REAL NOT NULL CHECK (weight_kg >= 0),
            trees INTEGER CHECK (trees > 0),
            fruit_weight_g REAL CHECK (fruit_weight_g > 0),
            UNIQUE (block, day)
        ) STRICT
        """
    )


@MIGRATIONS()
def m004_queue_harvests(db: Database) -> None:
    """Harvests that were entered before a message carried them go to the server as they stand."""
    rows = db.query(
        "SELECT harvest.id, harvest.revision, orchard.name AS orchard, block.name AS block, day, weight_kg, "
        "harvest.trees, harvest.fruit_weight_g FROM harvest JOIN block ON block.id = harvest.block "
        "JOIN orchard ON orchard.id = block.orchard ORDER BY harvest.rowid"
    )
    for row in list(rows):
        record, revision = row.pop("id"), row.pop("revision")
        Outbox(db).enqueue(record, revision, HarvestBody.model_validate(row))


@MIGRATIONS()
def m005_add_training_system(db: Database) -> None:
    """How the trees of a block are trained; leaves hide more fruit in one form than in another."""
    db.execute("ALTER TABLE block ADD COLUMN training_system TEXT")


@MIGRATIONS()
def m006_join_sides(db: Database) -> None:
    """How a visit makes one count of a tree's sides, what a person saw from both, what hand counts told an estimate."""
    db.execute(
        "ALTER TABLE visit ADD COLUMN sides TEXT NOT NULL DEFAULT 'larger' CHECK (sides IN ('larger', 'sum', 'one'))"
    )
    db.execute("ALTER TABLE tree_count ADD COLUMN both INTEGER CHECK (both >= 0)")
    db.execute("ALTER TABLE estimate ADD COLUMN by_hand TEXT")
    # what few trees tell is asked for with each estimate that is shown
    for field in ("by_hand", "own", "both"):
        db.execute(f"CREATE INDEX told_{field} ON tree_count (label) WHERE {field} IS NOT NULL")


@MIGRATIONS()
def m007_keep_documents(db: Database) -> None:
    """What the server gives this device, and the codes it gives trees that got theirs in the field."""
    for statement in (
        """
        CREATE TABLE document (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            version INTEGER NOT NULL CHECK (version >= 1),
            sha256 TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('announced', 'applied', 'refused')),
            reason TEXT NOT NULL,
            used TEXT,
            PRIMARY KEY (kind, name)
        ) STRICT
        """,
        """
        CREATE TABLE tree_alias (
            block TEXT NOT NULL REFERENCES block (id),
            code TEXT NOT NULL,
            tree TEXT NOT NULL REFERENCES tree (id),
            PRIMARY KEY (block, code)
        ) STRICT
        """,
        "ALTER TABLE tree ADD COLUMN row INTEGER",
        "ALTER TABLE tree ADD COLUMN position INTEGER",
        "ALTER TABLE tree ADD COLUMN vigour REAL",
    ):
        db.execute(statement)


@MIGRATIONS()
def m008_create_thumbnail(db: Database) -> None:
    """Thumbnails that were sent, without their pictures, which the photos give again; and settings of the device."""
    db.execute(
        """
        CREATE TABLE thumbnail (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            photo TEXT NOT NULL UNIQUE REFERENCES photo (id)
        ) STRICT
        """
    )
    db.execute("CREATE TABLE device_setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")


@MIGRATIONS()
def m009_create_reviews(db: Database) -> None:
    """What people corrected of a model's work: the boxes of a photo, packed as on the wire, or the count of a tree."""
    for statement in (
        """
        CREATE TABLE photo_review (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            photo TEXT NOT NULL REFERENCES photo (id),
            model TEXT NOT NULL,
            label TEXT NOT NULL,
            labels TEXT NOT NULL,
            removed TEXT NOT NULL,
            added TEXT NOT NULL,
            reviewer TEXT,
            reviewed_at TEXT NOT NULL,
            taken_back INTEGER NOT NULL CHECK (taken_back IN (0, 1)),
            UNIQUE (photo, model, label)
        ) STRICT
        """,
        """
        CREATE TABLE tree_review (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1,
            visit TEXT NOT NULL REFERENCES visit (id),
            tree TEXT NOT NULL REFERENCES tree (id),
            label TEXT NOT NULL,
            model TEXT NOT NULL,
            count INTEGER NOT NULL CHECK (count >= 0),
            reviewer TEXT,
            reviewed_at TEXT NOT NULL,
            taken_back INTEGER NOT NULL CHECK (taken_back IN (0, 1)),
            UNIQUE (visit, tree, label)
        ) STRICT
        """,
    ):
        db.execute(statement)


@MIGRATIONS()
def m010_create_model_state(db: Database) -> None:
    """What counts on this device: one row, begun with what counted last. It is told once the device has a name."""
    db.execute(
        """
        CREATE TABLE model_state (
            id TEXT PRIMARY KEY,
            revision INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 0),
            device TEXT,
            model TEXT,
            engine TEXT,
            since TEXT,
            candidate TEXT,
            refused TEXT,
            CHECK ((model IS NULL) = (engine IS NULL) AND (model IS NULL) = (since IS NULL)),
            CHECK ((revision = 0) = (device IS NULL))
        ) STRICT
        """
    )
    last = next(iter(db.query("SELECT model, engine FROM detections ORDER BY rowid DESC LIMIT 1")), None)
    if last is not None:
        # when it began nobody noted; the upgrade is the first that is known of it
        since = clock.now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
        db.table("model_state").insert({"id": new_id(), "revision": 0, **last, "since": since})


@MIGRATIONS()
def m011_create_active_model(db: Database) -> None:
    """Which installed bundle serves for each task, and which did before; an empty name is what comes with Pomona."""
    db.execute(
        """
        CREATE TABLE active_model (
            task TEXT PRIMARY KEY,
            bundle TEXT NOT NULL,
            previous TEXT,
            since TEXT NOT NULL,
            reason TEXT NOT NULL
        ) STRICT
        """
    )


@MIGRATIONS()
def m012_place_orchards(db: Database) -> None:
    """Where an orchard is, as yield models ask."""
    for column in ("region TEXT", "county TEXT", "county_area_ha REAL CHECK (county_area_ha > 0)"):
        db.execute(f"ALTER TABLE orchard ADD COLUMN {column}")
