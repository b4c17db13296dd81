"""For PostgreSQL and several processes: one dead letter a message, JSONB. For pruning: when revisions were replaced."""

from __future__ import annotations

from datetime import datetime, timezone

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Forth."""
    moment = sa.DateTime(timezone=True)
    op.add_column("replaced_revision", sa.Column("replaced_at", moment))
    table = sa.table("replaced_revision", sa.column("replaced_at", moment))
    # when they were replaced nobody knows any more; they are kept as long as those of today
    op.execute(table.update().values(replaced_at=datetime.now(timezone.utc)))
    with op.batch_alter_table("replaced_revision") as batch:
        batch.alter_column("replaced_at", existing_type=moment, nullable=False)
    op.drop_index("dead_letter_by_message", "dead_letter")
    op.create_index("dead_letter_by_message", "dead_letter", ["device", "message"], unique=True)
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("record", "body", type_=postgresql.JSONB(), postgresql_using="body::jsonb")
        # a key can be longer than an entry of the usual index, which would refuse the record
        op.drop_index("ix_record_natural_key", "record")
        op.create_index("ix_record_natural_key", "record", ["natural_key"], postgresql_using="hash")


def downgrade() -> None:
    """Back."""
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_record_natural_key", "record")
        op.create_index("ix_record_natural_key", "record", ["natural_key"])
        op.execute("ALTER TABLE record DROP COLUMN IF EXISTS position")  # it is computed from the body
        op.alter_column("record", "body", type_=postgresql.JSON(), postgresql_using="body::json")
    op.drop_index("dead_letter_by_message", "dead_letter")
    op.create_index("dead_letter_by_message", "dead_letter", ["device", "message"])
    with op.batch_alter_table("replaced_revision") as batch:
        batch.drop_column("replaced_at")
