"""What Alembic runs: it works on the connection, and in the transaction, that it is given."""

from __future__ import annotations

from alembic import context

from cloud_sync.server.database import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
