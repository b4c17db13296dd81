"""Labelled points: where orchards are and are not, with or without features of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.maps.errors import MapError
from models.orchards.plans import group_of

_TRUE = {"1", "1.0", "true", "yes", "orchard"}
_FALSE = {"0", "0.0", "false", "no", "other"}


@dataclass(frozen=True, eq=False)
class LabelledPoints:
    """Points with a label and features.

    Attributes:
        lon: (n,) degrees east.
        lat: (n,) degrees north.
        orchard: (n,) whether an orchard is there.
        names: the features' names.
        features: (n, f) float32, NaN where unknown.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    orchard: NDArray[np.bool_]
    names: tuple[str, ...]
    features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.orchard)

    def take(self, points: NDArray[np.int64]) -> LabelledPoints:
        """Some of the points.

        Args:
            points: their positions.
        """
        return LabelledPoints(
            self.lon[points], self.lat[points], self.orchard[points], self.names, self.features[points]
        )

    def columns(self, columns: Sequence[int]) -> LabelledPoints:
        """All points with some of the features, in the given order."""
        names = tuple(self.names[column] for column in columns)
        return LabelledPoints(self.lon, self.lat, self.orchard, names, self.features[:, list(columns)])


def read_points(path: Path, label: str = "orchard", orchard_values: Sequence[str] = ()) -> LabelledPoints:
    """Read labelled points from CSV, (Geo)Parquet, GeoPackage, GeoJSON or whatever else GDAL reads.

    Features are the numeric columns whose name says what they are (:func:`models.orchards.plans.group_of`); other
    columns, such as numbers of fields, are no features.

    Args:
        path: the file, with a geometry or with columns ``lon`` and ``lat``.
        label: the column that says what is there.
        orchard_values: values of that column that mean an orchard, all others meaning other; without any the column
            holds 1 or 0, true or false, yes or no, orchard or other.

    Raises:
        MapError: no such file or column, no coordinates, labels that cannot be read.
    """
    table, lon, lat = _read(path)
    if label not in table:
        raise MapError(f"{path} has no column {label!r}; name its label column (it has: {_some(table.columns)})")
    names = tuple(
        str(name)
        for name in table.columns
        if name != label and pd.api.types.is_numeric_dtype(table[name]) and group_of(str(name))
    )
    features = table[list(names)].to_numpy(dtype=np.float32, na_value=np.nan)
    return LabelledPoints(lon, lat, _labels(table[label], orchard_values, path), names, features)


def _read(path: Path) -> tuple[pd.DataFrame, NDArray[np.float64], NDArray[np.float64]]:
    if not path.exists():
        raise MapError(f"there are no points at {path}")
    if path.suffix.lower() == ".parquet":
        table = _read_parquet(path)
    elif path.name.lower().endswith((".csv", ".csv.gz")):
        table = pd.read_csv(path)
    else:
        try:
            table = geopandas.read_file(path)
        except (OSError, RuntimeError, ValueError) as error:
            raise MapError(f"{path} cannot be read as points: {error}") from error
    if isinstance(table, geopandas.GeoDataFrame):
        if table.crs is None:
            raise MapError(f"{path} does not say its coordinate reference system; write it with one")
        points = table.geometry.representative_point().to_crs(4326)
        return pd.DataFrame(table.drop(columns=table.geometry.name)), points.x.to_numpy(), points.y.to_numpy()
    if not {"lon", "lat"} <= set(table.columns):
        raise MapError(f"{path} has neither a geometry nor columns lon and lat (it has: {_some(table.columns)})")
    return table.drop(columns=["lon", "lat"]), table["lon"].to_numpy(np.float64), table["lat"].to_numpy(np.float64)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return geopandas.read_parquet(path)
    except ValueError:  # a Parquet file without a geometry
        return pd.read_parquet(path)


def _labels(column: pd.Series, orchard_values: Sequence[str], path: Path) -> NDArray[np.bool_]:
    words = column.astype("string").str.strip()
    if words.isna().any():
        raise MapError(f"{path}: {int(words.isna().sum())} points have no {column.name!r}; label or remove them")
    if orchard_values:
        known = set(words.unique())
        for value in orchard_values:
            if value not in known:
                raise MapError(f"{path}: no point has the {column.name!r} {value!r} (there are: {_some(known)})")
        return np.asarray(words.isin(list(orchard_values)), dtype=bool)
    lower = words.str.lower()
    unknown = set(lower.unique()) - _TRUE - _FALSE
    if unknown:
        raise MapError(
            f"{path}: {column.name!r} holds {_some(unknown)}, neither 1 nor 0; say which values are orchards"
        )
    return np.asarray(lower.isin(_TRUE), dtype=bool)


def _some(names: Iterable[object]) -> str:
    listed = sorted(map(str, names))
    return ", ".join(listed[:12]) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
