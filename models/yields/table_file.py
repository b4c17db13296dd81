"""Yield tables as GeoParquet files: one row a place and year, one column a feature and month."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.yields.table import Feature, FloatArray, TableError, Texts, YieldTable

_KEY = b"pomona"
_VERSION = 1
_WKB_POINT = struct.Struct("<BIdd")
_WKB_POINT_TYPE = 1


def write_table(table: YieldTable, path: Path) -> None:
    """Write a table; places with coordinates become points on WGS 84 (GeoParquet 1.1).

    Args:
        table: what to write.
        path: file, whole or not there.
    """
    columns: dict[str, Any] = {
        "county": table.county.tolist(),
        "orchard": pa.array([name or None for name in table.orchard.tolist()], pa.string()),
        "year": table.year,
        "area_ha": table.area_ha,
        "yield_kg_per_ha": pa.array(table.yield_kg_per_ha, from_pandas=True),
        "source": table.source.tolist(),
        "weight": table.weight,
    }
    for i, month in enumerate(table.months):
        for j, feature in enumerate(table.features):
            columns[_column(feature, month)] = table.season[:, i, j]
    header = {
        "version": _VERSION,
        "crop": table.crop,
        "region": table.region,
        "months": table.months,
        "features": [{"name": f.name, "group": f.group, "unit": f.unit} for f in table.features],
    }
    metadata = {_KEY: json.dumps(header, ensure_ascii=False).encode()}
    if np.isfinite(table.lon_lat).any():
        columns["geometry"] = pa.array([_point(place) for place in table.lon_lat], pa.binary())
        geometry = {"encoding": "WKB", "geometry_types": ["Point"]}
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
        metadata[b"geo"] = json.dumps(geo).encode()
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), partial)
    partial.replace(path)


def read_table(path: Path) -> YieldTable:
    """Read and check a table.

    Raises:
        TableError: there is none, it is no yield table, or a column is missing, of the wrong kind or out of range.
    """
    if not path.is_file():
        raise TableError(f"{path} is not there; name a yield table in Parquet format")
    try:
        file = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise TableError(f"{path} is no Parquet file; write it with models.yields.table_file or pandas") from error
    try:
        return _table(file)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error


def _table(file: pa.Table) -> YieldTable:
    header = _header(file)
    months = tuple(int(month) for month in header["months"])
    features = tuple(Feature(str(f["name"]), str(f["group"]), str(f.get("unit", "1"))) for f in header["features"])
    rows = file.num_rows
    season = np.empty((rows, len(months), len(features)))
    for i, month in enumerate(months):
        for j, feature in enumerate(features):
            season[:, i, j] = _numbers(file, _column(feature, month))
    year = _numbers(file, "year")
    if not np.array_equal(year, np.round(year)):
        raise TableError("column year has values that are no whole numbers; give the year of the harvest in every row")
    return YieldTable(
        crop=str(header["crop"]),
        region=str(header["region"]),
        months=months,
        features=features,
        county=_texts(file, "county"),
        orchard=_texts(file, "orchard", optional=True),
        year=year.astype(np.int64),
        season=season,
        area_ha=_numbers(file, "area_ha"),
        yield_kg_per_ha=_numbers(file, "yield_kg_per_ha"),
        source=_texts(file, "source"),
        weight=_numbers(file, "weight") if "weight" in file.column_names else np.ones(rows),
        lon_lat=_places(file),
    )


def _header(file: pa.Table) -> dict[str, Any]:
    found = (file.schema.metadata or {}).get(_KEY)
    if found is None:
        raise TableError(
            "the Parquet schema has no metadata named 'pomona'; write crop, region, months and features there as JSON"
        )
    try:
        header = json.loads(found)
        version = header["version"]
        names = [feature["name"] and feature["group"] for feature in header["features"]]
        complete = bool(names) and all(name in header for name in ("crop", "region", "months"))
    except (ValueError, TypeError, KeyError) as error:
        raise TableError(f"the metadata named 'pomona' is incomplete ({error}); add what is missing") from error
    if version != _VERSION:
        raise TableError(f"this table is of version {version}, this program reads {_VERSION}; write it anew")
    if not complete:
        raise TableError("the metadata named 'pomona' needs crop, region, months and features; add what is missing")
    return dict(header)


def _column(feature: Feature, month: int) -> str:
    return f"{feature.name}_{month:02d}"


def _numbers(file: pa.Table, name: str) -> FloatArray:
    """A column of numbers; NaN where it is empty."""
    if name not in file.column_names:
        raise TableError(f"column {name} is missing; add it, a number a row")
    kind = file.schema.field(name).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise TableError(f"column {name} holds {kind}; make it numbers")
    values: FloatArray = np.array([np.nan if v is None else v for v in file.column(name).to_pylist()], dtype=np.float64)
    return values


def _texts(file: pa.Table, name: str, *, optional: bool = False) -> Texts:
    """A column of texts; empty where there is none."""
    if name not in file.column_names:
        if optional:
            return np.full(file.num_rows, "", dtype=np.str_)
        raise TableError(f"column {name} is missing; add it, a text a row")
    kind = file.schema.field(name).type
    if optional and pa.types.is_null(kind):
        return np.full(file.num_rows, "", dtype=np.str_)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        raise TableError(f"column {name} holds {kind}; make it text, codes with their leading zeros")
    return np.array([text or "" for text in file.column(name).to_pylist()], dtype=np.str_)


def _point(place: NDArray[np.float64]) -> bytes | None:
    """Well-known binary of a point; none where it is not known."""
    if not np.isfinite(place).all():
        return None
    return _WKB_POINT.pack(1, _WKB_POINT_TYPE, *place)


def _places(file: pa.Table) -> FloatArray:
    places = np.full((file.num_rows, 2), np.nan)
    if "geometry" not in file.column_names:
        return places
    for row, place in enumerate(file.column("geometry").to_pylist()):
        if place is None:
            continue
        if len(place) != _WKB_POINT.size or place[0] != 1:
            raise TableError("column geometry has other shapes than points; give a point for each place")
        places[row] = _WKB_POINT.unpack(place)[2:]
    return places
