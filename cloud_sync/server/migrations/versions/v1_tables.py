"""The tables as they were before the database had versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "record",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("record", sa.String(36), primary_key=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("message", sa.String(36), nullable=False),
        sa.Column("natural_key", sa.String, nullable=False),
        sa.Column("orchard", sa.String(200)),
        sa.Column("block", sa.String(200)),
        sa.Column("store", sa.String(36), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("boot", sa.String(64), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_synchronised", sa.Boolean, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_index("ix_record_natural_key", "record", ["natural_key"])
    op.create_index("record_by_place", "record", ["orchard", "block", "type"])
    op.create_table(
        "replaced_revision",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("record", sa.String(36), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("message", sa.String(36), nullable=False),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("device", sa.String(63)),
        sa.Column("message", sa.String(36)),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("correlation", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("dead_letter_by_message", "dead_letter", ["device", "message"])
    op.create_table(
        "device",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("store", sa.String(36)),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("device", "dead_letter", "replaced_revision", "record"):
        op.drop_table(table)
