"""The trees of a block as somebody lists them: a CSV or GeoJSON with a line for each, or rows of so many trees."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import InputError, unreadable
from device.names import clean_name, require_name

MOST_TREES = 1_000_000
_COLUMNS = ("tree", "row", "position", "latitude", "longitude", "vigour")
_BOUNDS = {"latitude": 90.0, "longitude": 180.0, "vigour": math.inf}
_ROW_AND_POSITION = re.compile(r"(?:.*\D)?(\d{1,9})\D+(\d{1,9})")
_GRID = re.compile(r"(\d{1,7})\s*[x×]\s*(\d{1,7})")


@dataclass(frozen=True, eq=False)
class TreeList:
    """The trees of a block.

    Attributes:
        codes: (N,) code of each tree.
        row: (N,) number of its row, None where rows are not known.
        position: (N,) its place in the row, likewise.
        latitude: (N,) degrees north, NaN where unknown.
        longitude: (N,) degrees east, NaN where unknown.
        vigour: (N,) a number that says how strong the tree is, NaN where unknown.
    """

    codes: tuple[str, ...]
    row: NDArray[np.int64] | None
    position: NDArray[np.int64] | None
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    vigour: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def placed(self) -> NDArray[np.bool_]:
        """(N,) whether it is known where on Earth the tree stands."""
        return np.asarray(np.isfinite(self.latitude) & np.isfinite(self.longitude))

    @property
    def names_follow_rows(self) -> bool:
        """Whether a tree's code says no more than its row and position."""
        return self.row is not None and self.position is not None and self.codes == _codes(self.row, self.position)


def trees_in_rows(lengths: Sequence[int]) -> TreeList:
    """Trees that stand in rows of so many places each, named after them (R03-T07).

    Raises:
        InputError: no row, an empty one, or more trees than are planned at once.
    """
    if not lengths or min(lengths) < 1 or sum(lengths) > MOST_TREES:
        raise InputError(
            f"rows of {', '.join(map(str, lengths[:5])) or 'no'} trees cannot be planned; give each row one tree or "
            f"more and the block at most {MOST_TREES:,}"
        )
    row = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    position = np.concatenate([np.arange(1, length + 1) for length in lengths])
    return _without_places(_codes(row, position), row, position)


def trees_counted_on(trees: int) -> TreeList:
    """Trees of which only the number is known; they are counted on from row to row (T0001).

    Raises:
        InputError: more trees than are planned at once, or fewer than two.
    """
    if not 2 <= trees <= MOST_TREES:
        raise InputError(f"a block of {trees:,} trees cannot be planned; plan parts of 2 to {MOST_TREES:,} trees")
    return _without_places(tuple(f"T{number:04d}" for number in range(1, trees + 1)), None, None)


def _without_places(
    codes: tuple[str, ...], row: NDArray[np.int64] | None, position: NDArray[np.int64] | None
) -> TreeList:
    unknown = np.full(len(codes), np.nan)
    return TreeList(codes, row, position, unknown, unknown, unknown)


def _code(row: int, position: int) -> str:
    return f"R{row:02d}-T{position:02d}"


def _codes(row: NDArray[np.int64], position: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(map(_code, row.tolist(), position.tolist()))


def row_and_position(code: str) -> tuple[int, int] | None:
    """The two numbers, row and position, that a code such as R03-T07 or B1-3-7 ends in; None where it does not."""
    match = _ROW_AND_POSITION.fullmatch(code)
    return None if match is None else (int(match[1]), int(match[2]))


def read_rows(text: str, trees: int | None) -> tuple[int, ...]:
    """Lengths of rows from what somebody typed.

    Args:
        text: ``28x60`` for 28 rows of 60 trees, ``60,58,61`` for three rows, or ``28`` for rows that share all trees.
        trees: trees of the block, for the last.

    Raises:
        InputError: it is none of these, or the number of trees is not known.
    """
    if match := _GRID.fullmatch(text.strip()):
        return (int(match[2]),) * min(int(match[1]), MOST_TREES + 1)
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,7}", part) for part in parts):
        raise InputError(f"--rows is {text!r}; write 28x60 for 28 rows of 60 trees, or each row's length: 60,58,61")
    numbers = [int(part) for part in parts]
    if len(numbers) > 1:
        return tuple(numbers)
    if trees is None:
        raise InputError(f"--rows is {text!r} and the number of trees unknown; write {text}x60 for rows of 60 trees")
    if not 1 <= numbers[0] <= trees:
        raise InputError(f"--rows is {text!r}, and the block has {trees} trees; give 1 to {trees} rows")
    shared, more = divmod(trees, numbers[0])
    return tuple(shared + (number < more) for number in range(numbers[0]))


def read_tree_list(path: Path) -> TreeList:
    """Read the trees of a block.

    Args:
        path: a CSV with the columns ``tree`` or ``row,position``, and as far as known ``latitude,longitude`` and
            ``vigour``; or a GeoJSON of points with the same names as properties.

    Raises:
        InputError: the file cannot be read, or a line is incomplete, wrong, or of a tree that another has named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(f"trees {path}", error) from error
    lines = _csv_lines(path, text) if path.suffix.lower() == ".csv" else _geojson_lines(path, text)
    if not 2 <= len(lines) <= MOST_TREES:
        listed = f"{len(lines)} {'tree' if len(lines) == 1 else 'trees'}"
        raise InputError(f"{path} lists {listed}; list all trees of the block, 2 to {MOST_TREES:,}")
    trees = [_Line.read(f"{path}, tree number {number}", line) for number, line in enumerate(lines, start=1)]
    return _listed(path, trees)


def _csv_lines(path: Path, text: str) -> list[Mapping[str, Any]]:
    try:
        reader = csv.DictReader(text.splitlines())
        names = {name.strip().lower(): name for name in reader.fieldnames or ()}
        if "tree" not in names and not {"row", "position"} <= set(names):
            raise InputError(f"{path} lacks the column tree, or row and position; known are {', '.join(_COLUMNS)}")
        return [{column: row.get(names.get(column, "")) for column in _COLUMNS} for row in reader]
    except csv.Error as error:
        raise unreadable(f"trees {path}", error) from error


def _geojson_lines(path: Path, text: str) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"trees {path} are neither CSV (by name) nor GeoJSON: {error}") from error
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise InputError(f"{path} is no GeoJSON FeatureCollection; export the trees as points, or as a CSV")
    return [_geojson_line(f"{path}, tree number {number}", feature) for number, feature in enumerate(features, start=1)]


def _geojson_line(where: str, feature: dict[str, Any]) -> Mapping[str, Any]:
    properties, geometry = feature.get("properties"), feature.get("geometry")
    line = {column: (properties or {}).get(column) for column in _COLUMNS} if isinstance(properties, dict) else {}
    if geometry is None:
        return line
    coordinates = (
        geometry.get("coordinates") if isinstance(geometry, dict) and geometry.get("type") == "Point" else None
    )
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        raise InputError(f"{where}: its geometry is no point; export the trees as points")
    return {**line, "longitude": coordinates[0], "latitude": coordinates[1]}


@dataclass(frozen=True)
class _Line:
    """One tree as it is listed."""

    where: str
    code: str
    place: tuple[int, int] | None
    numbers: dict[str, float]

    @classmethod
    def read(cls, where: str, line: Mapping[str, Any]) -> _Line:
        code = clean_name(_text(line.get("tree")))
        row, position = (_whole(where, line, name) for name in ("row", "position"))
        place = None if row is None or position is None else (row, position)
        if place is None and (row, position) != (None, None):
            raise InputError(f"{where}: row and position belong together; give both or neither")
        if not code:
            if place is None:
                raise InputError(f"{where} has neither a code nor a row and position; give one of the two")
            code = _code(*place)
        require_name(code, f"the code of {where}")
        numbers = {name: _number(where, line, name, bound) for name, bound in _BOUNDS.items()}
        if math.isnan(numbers["latitude"]) != math.isnan(numbers["longitude"]):
            raise InputError(f"{where}: latitude and longitude belong together; give both or neither")
        return cls(where, code, place, numbers)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _whole(where: str, line: Mapping[str, Any], name: str) -> int | None:
    text = _text(line.get(name))
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}(\.0+)?", text):
        raise InputError(f"{where}: {name} is {text!r}; number rows and the trees in them from 1")
    return int(float(text))


def _number(where: str, line: Mapping[str, Any], name: str, bound: float) -> float:
    text = _text(line.get(name))
    if not text or text.lower() == "nan":
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value) or abs(value) > bound:
        limits = "" if math.isinf(bound) else f" from {-bound:g} to {bound:g}"
        raise InputError(f"{where}: {name} is {text!r}; write a number{limits} with a decimal point, or leave it empty")
    return value


def _listed(path: Path, trees: list[_Line]) -> TreeList:
    told = [tree.place or row_and_position(tree.code) for tree in trees]
    if all(tree.place is not None for tree in trees):
        _require_once(path, trees, [f"row {row}, position {position}" for row, position in filter(None, told)])
    codes = tuple(tree.code for tree in trees)
    _require_once(path, trees, codes)
    columns = {name: np.array([tree.numbers[name] for tree in trees]) for name in _BOUNDS}
    return TreeList(codes, *rows_of(told), **columns)


def rows_of(told: Sequence[tuple[int, int] | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | tuple[None, None]:
    """Rows and positions as columns; none where a tree lacks them or two trees share a place."""
    places = [place for place in told if place is not None]
    if len(set(places)) < len(told):
        return None, None
    table = np.array(places, np.int64)
    return table[:, 0], table[:, 1]


def _require_once(path: Path, trees: list[_Line], names: Sequence[str]) -> None:
    seen = set()
    for tree, name in zip(trees, names, strict=True):
        if name in seen:
            raise InputError(f"{tree.where}: {name} is listed before; list each tree of {path.name} once")
        seen.add(name)
