"""Indexes for who reads: records by type, and what tells that a block has changed. None is searched by natural key."""

from __future__ import annotations

from alembic import op

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Forth."""
    op.drop_index("ix_record_natural_key", "record")
    op.create_index("record_by_type", "record", ["type", "device", "record"])
    op.drop_index("record_by_place", "record")
    op.create_index("record_by_place", "record", ["orchard", "block", "type", "digest"])


def downgrade() -> None:
    """Back."""
    op.drop_index("record_by_place", "record")
    op.create_index("record_by_place", "record", ["orchard", "block", "type"])
    op.drop_index("record_by_type", "record")
    op.create_index("ix_record_natural_key", "record", ["natural_key"], postgresql_using="hash")
