"""Full photos that devices are asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Forth."""
    op.create_table(
        "photo_request",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("photo", sa.String(64), primary_key=True),
        sa.Column("suffix", sa.String(9), nullable=False),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("metered", sa.Boolean, nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("settled_at", _MOMENT),
    )
    op.create_index("photo_request_by_state", "photo_request", ["state", "device", "asked_at"])


def downgrade() -> None:
    """Back."""
    op.drop_table("photo_request")
