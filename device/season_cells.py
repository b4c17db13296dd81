"""What the satellite saw of each cell of an orchard in each month of a season, as a season file holds it."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import InputError
from device.season_grid import Cells, SeasonGrid, parse_grid

SCHEMA = "pomona-season/1"
_MISSING = np.iinfo(np.int16).min
# of the cells asked for, that many must have been seen in a month for the rest to speak for all
LEAST_SEEN = 0.5
_MOST_CELLS = 4_000_000  # 400 km²; a larger one is no orchard's and would not fit into a device's memory
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CellMeans:
    """A season's means over some cells.

    Attributes:
        source: the file and the season, for messages.
        what: whose cells, for messages.
        months: calendar months.
        values: by variable, (months,); NaN where too few of the cells were seen.
        clear_share: (months,) mean share of the month's acquisitions in which a cell was clear.
    """

    source: str
    what: str
    months: tuple[int, ...]
    values: dict[str, _Floats]
    clear_share: _Floats

    def features(self, names: Sequence[str], months: Sequence[int]) -> _Floats:
        """What a model is fed.

        Args:
            names: variables in the order it wants.
            months: calendar months in the order it wants.

        Returns:
            (months, variables), all finite.

        Raises:
            InputError: a variable or a month is missing; names it and the remedy. Nothing is put in its place.
        """
        for name in names:
            if name not in self.values:
                raise InputError(f"{self.source} has no variable {name!r}; fetch a file made for this model")
        absent = [month for month in months if month not in self.months]
        if absent:
            raise InputError(
                f"{self.source} ends before or leaves out {named_months(absent)}, and the model needs them; fetch "
                "the file again once those months are over"
            )
        table = np.stack([self.values[name] for name in names], axis=1)[[self.months.index(month) for month in months]]
        unseen = [month for month, row in zip(months, table, strict=True) if not np.isfinite(row).all()]
        if unseen:
            raise InputError(
                f"{self.source}: in {named_months(unseen)} too little was clear where {self.what} stand; sample trees "
                "elsewhere in the orchard, or fetch a file made with more scenes"
            )
        return table


@dataclass(frozen=True)
class SeasonCells:
    """A season of an orchard, cell by cell.

    Attributes:
        grid: which cell a place lies in.
        year: of the harvest; None where the file does not say.
        months: calendar months, in order.
        units: by variable, its unit.
        series: by variable that differs from cell to cell, (months, rows, columns); NaN where a cell was never clear.
        environment: by variable that is one for the orchard, (months,).
        orchard: (rows, columns) the cells of the orchard; the others are its margin.
        days: of the acquisitions.
        clear: (acquisitions, rows, columns) whether the cell was clear.
    """

    grid: SeasonGrid
    year: int | None
    months: tuple[int, ...]
    units: dict[str, str]
    series: dict[str, _Floats]
    environment: dict[str, _Floats]
    orchard: NDArray[np.bool_]
    days: tuple[date, ...]
    clear: NDArray[np.bool_]

    def at_trees(self, block: str, trees: Mapping[str, tuple[float | None, float | None]]) -> CellMeans:
        """Mean over sampled trees of the cell each stands in.

        Args:
            block: name of the block, for messages.
            trees: latitude and longitude of each tree by its code.

        Raises:
            InputError: no tree, or one without a place or outside the grid.
        """
        if not trees:
            raise InputError(f"no tree of block {block} is sampled, so there is nothing to average")
        return self._means(self.grid.cells(block, trees), f"the trees of block {block}")

    def in_polygon(self, name: str, polygon: _Floats) -> CellMeans:
        """Mean over the cells whose middle lies in a polygon.

        Args:
            name: of the polygon, for messages.
            polygon: (corners, 2) latitude and longitude of its corners, in order.

        Raises:
            InputError: no cell's middle lies in it.
        """
        cells = self.grid.cells_inside(polygon)
        if not len(cells[0]):
            raise InputError(
                f"no cell of {self.grid.source} has its middle in {name}; draw it larger than a cell, or fetch the "
                "season file of this orchard"
            )
        return self._means(cells, f"the trees of {name}")

    def of_orchard(self) -> CellMeans:
        """Mean over the orchard's own cells."""
        rows, columns = np.nonzero(self.orchard)
        return self._means((rows, columns), "the orchard's trees")

    def clear_share(self) -> _Floats:
        """(months, rows, columns) Share of the month's acquisitions in which a cell was clear; NaN without any."""
        return self._clear_share(self.clear)

    def _clear_share(self, clear: NDArray[np.bool_]) -> _Floats:
        shares = np.full((len(self.months), *clear.shape[1:]), np.nan)
        for number, month in enumerate(self.months):
            members = [day.month == month for day in self.days]
            if any(members):
                shares[number] = clear[members].mean(axis=0)
        return shares

    def _means(self, cells: Cells, what: str) -> CellMeans:
        values = {}
        for name, series in self.series.items():
            some = series[:, cells[0], cells[1]]
            seen = np.isfinite(some)
            count = np.maximum(seen.sum(axis=1), 1)
            mean = np.where(seen, some, 0).sum(axis=1) / count
            values[name] = np.where(seen.mean(axis=1) >= LEAST_SEEN, mean, np.nan)
        share = self._clear_share(self.clear[:, cells[0], cells[1]]).mean(axis=1)
        return CellMeans(self.grid.source, what, self.months, values | self.environment, share)


def has_series(content: Mapping[str, Any]) -> bool:
    """Whether a season file tells what the satellite saw in each month, besides predicted yields or instead."""
    return "months" in content


def check_schema(content: Mapping[str, Any], name: str) -> None:
    """Refuse what is no season file this Pomona reads.

    Raises:
        InputError: it is of another schema.
    """
    if content.get("schema") != SCHEMA:
        raise InputError(
            f"season file {name} is of schema {content.get('schema')!r} and this Pomona reads {SCHEMA!r}; "
            "upgrade Pomona, or fetch the file again from the server"
        )


def parse_season_cells(content: Mapping[str, Any], name: str) -> SeasonCells:
    """Check and unpack a season file's series.

    Args:
        content: the parsed JSON.
        name: the file, for messages.

    Raises:
        InputError: another schema, or a field that is missing or wrong.
    """
    check_schema(content, name)
    if not has_series(content):
        raise InputError(f"season file {name} has predicted yields alone; make one with: pomona earth season")
    try:
        return _parsed(content, name)
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, binascii.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"season file {name} is damaged ({error!r}); fetch it again from the server") from error


def _parsed(content: Mapping[str, Any], name: str) -> SeasonCells:
    months = tuple(int(month) for month in content["months"])
    shape = int(content["grid"]["rows"]), int(content["grid"]["columns"])
    if not months or not set(months) <= set(range(1, 13)) or not 0 < shape[0] * shape[1] <= _MOST_CELLS:
        raise ValueError(f"months {months}, rows and columns {shape}")
    series, environment, units = {}, {}, {}
    for variable, entry in content["variables"].items():
        units[variable] = str(entry["unit"])
        if "packed" in entry:
            series[variable] = _series(entry["packed"], float(entry["step"]), (len(months), *shape))
        elif np.shape(entry["values"]) == (len(months),):
            environment[variable] = np.array(entry["values"], dtype=np.float64)
    days = tuple(date.fromisoformat(entry["day"]) for entry in content["acquisitions"])
    year = content.get("season")
    return SeasonCells(
        grid=parse_grid(content, name, shape),
        year=year if isinstance(year, int) else None,
        months=months,
        units=units,
        series=series,
        environment=environment,
        orchard=_bits(content["orchard_cells"], shape),
        days=days,
        clear=_bits(content["clear"], (len(days), *shape)),
    )


def _series(packed: str, step: float, shape: tuple[int, ...]) -> _Floats:
    """Undo: 16-bit steps, differences along rows, low bytes before high ones, zlib, base64."""
    size = int(np.prod(shape))
    planes = np.frombuffer(_unpacked(packed, 2 * size), dtype=np.uint8).reshape(2, size)
    differences = planes.T.copy().view("<u2").reshape(shape)
    steps = np.cumsum(differences, axis=-1, dtype=np.uint16).view(np.int16)
    return np.where(steps == _MISSING, np.nan, steps * step)


def _bits(packed: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    size = int(np.prod(shape))
    held = np.frombuffer(_unpacked(packed, -(-size // 8)), dtype=np.uint8)
    return np.unpackbits(held, count=size).astype(np.bool_).reshape(shape)


def _unpacked(packed: str, size: int) -> bytes:
    """Bytes of a known number: a file that would unpack into more is not taken into memory."""
    inflate = zlib.decompressobj()
    content = inflate.decompress(base64.b64decode(packed, validate=True), size + 1)
    if len(content) != size:
        raise ValueError(f"{size} bytes expected, {len(content)} found")
    return content


def span_words(months: Sequence[int]) -> str:
    """Months that follow each other, as people write them."""
    first, last = (_MONTHS[month - 1] for month in (months[0], months[-1]))
    return first if first == last else f"{first} to {last}"


def named_months(months: Sequence[int]) -> str:
    """Each month's name."""
    return ", ".join(_MONTHS[month - 1] for month in months)
