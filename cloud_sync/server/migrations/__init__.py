"""The database's versions, one after the other, both ways; Alembic walks them."""
