"""Digests of messages, by which a device finds what was lost; and whether a record came as history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud_sync.digests import digest_of

revision = "4"
down_revision = "3"

_MOST_AT_ONCE = 10_000


def upgrade() -> None:
    """Forth."""
    op.add_column("record", sa.Column("historical", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("record", sa.Column("digest", sa.BigInteger))
    _fill()
    with op.batch_alter_table("record") as batch:
        batch.alter_column("historical", existing_type=sa.Boolean(), existing_nullable=False, server_default=None)
        batch.alter_column("digest", existing_type=sa.BigInteger(), nullable=False)
    op.create_index("record_by_sequence", "record", ["device", "store", "sequence", "digest"])


def _fill() -> None:
    table = sa.table("record", sa.column("device"), sa.column("record"), sa.column("message"), sa.column("digest"))
    connection = op.get_bind()
    key = (table.c.device == sa.bindparam("of_device")) & (table.c.record == sa.bindparam("of_record"))
    change = sa.update(table).where(key).values(digest=sa.bindparam("its_digest"))
    rows = sa.select(table.c.device, table.c.record, table.c.message).where(table.c.digest.is_(None))
    while some := connection.execute(rows.limit(_MOST_AT_ONCE)).all():
        connection.execute(
            change,
            [{"of_device": row[0], "of_record": row[1], "its_digest": digest_of(row[2])} for row in some],
        )


def downgrade() -> None:
    """Back."""
    op.drop_index("record_by_sequence", "record")
    with op.batch_alter_table("record") as batch:
        batch.drop_column("digest")
        batch.drop_column("historical")
