"""Where trees stand and photos were taken, as points that PostGIS can search."""

from __future__ import annotations

import logging

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

_log = logging.getLogger(__name__)

# Computed by the database, so that it cannot differ from the body. Only where the model has checked the two numbers.
_COLUMN = """
ALTER TABLE record ADD COLUMN position geometry(Point, 4326) GENERATED ALWAYS AS (
    CASE WHEN type IN ('tree', 'photo') THEN ST_SetSRID(ST_MakePoint(
        CAST(body ->> 'longitude' AS double precision), CAST(body ->> 'latitude' AS double precision)), 4326) END
) STORED
"""
_INDEX = "CREATE INDEX record_by_position ON record USING gist (position) WHERE position IS NOT NULL"


def add_positions(connection: Connection) -> None:
    """Give records a point of their latitude and longitude where PostGIS is at hand; nothing else needs it.

    Args:
        connection: of an upgraded database, in a transaction.

    Raises:
        SQLAlchemyError: the database does not take it.
    """
    if connection.dialect.name != "postgresql":
        return
    has_column = connection.exec_driver_sql(
        "SELECT FROM pg_attribute WHERE attrelid = 'record'::regclass AND attname = 'position' AND NOT attisdropped"
    ).first()
    if has_column is None and _has_postgis(connection):
        connection.exec_driver_sql(_COLUMN)
        connection.exec_driver_sql(_INDEX)


def _has_postgis(connection: Connection) -> bool:
    installed, available = connection.exec_driver_sql(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis'), "
        "EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis')"
    ).one()
    if installed:
        return True
    if not available:
        _log.info(
            "without PostGIS: positions cannot be searched. Should they be, install it beside PostgreSQL "
            "(Debian's package postgresql-postgis) and start the server again"
        )
        return False
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION postgis")
    except DBAPIError as error:
        _log.warning(
            "PostGIS is there but not in this database (%s); as its superuser: CREATE EXTENSION postgis; "
            "then start the server again",
            str(error.orig).splitlines()[0],
        )
        return False
    return True
