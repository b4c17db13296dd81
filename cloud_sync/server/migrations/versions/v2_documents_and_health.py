"""Documents for devices, codes that trees got in the field, and how devices fare."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2"
down_revision = "1"

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_OF_A_DEVICE: dict[str, sa.types.TypeEngine[Any]] = {
    "clock_error_s": sa.Double(),
    "clock_synchronised": sa.Boolean(),
    "health": _JSON,
    "health_at": _MOMENT,
}


def upgrade() -> None:
    """Forth."""
    for name, kind in _OF_A_DEVICE.items():
        op.add_column("device", sa.Column(name, kind))
    op.create_table(
        "health_sample",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("received_at", _MOMENT, primary_key=True),
        sa.Column("waiting", sa.BigInteger),
        sa.Column("disk_free_bytes", sa.BigInteger),
        sa.Column("memory_free_bytes", sa.BigInteger),
        sa.Column("temperature_c", sa.Double),
        sa.Column("battery_percent", sa.Double),
        sa.Column("load", sa.Double),
    )
    op.create_table(
        "document",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.String(401), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("published_at", _MOMENT, nullable=False),
        sa.UniqueConstraint("kind", "name", "device", "version"),
    )
    op.create_index("document_by_device", "document", ["device", "kind", "name"])
    op.create_table(
        "tree_code",
        sa.Column("orchard", sa.String(200), primary_key=True),
        sa.Column("block", sa.String(200), primary_key=True),
        sa.Column("code", sa.String(200), primary_key=True),
        sa.Column("tree", sa.String(200), nullable=False),
    )


def downgrade() -> None:
    """Back; what the older Pomona has no place for is lost."""
    for table in ("tree_code", "document", "health_sample"):
        op.drop_table(table)
    with op.batch_alter_table("device") as batch:
        for name in _OF_A_DEVICE:
            batch.drop_column(name)
