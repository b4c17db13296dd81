"""Real sets of pixels with yields or crops, as scenes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyproj import Transformer

from models.yields.pixels.cleaning import clean
from models.yields.pixels.scenes import NO_FIELD, UNLABELLED, Points, Scene
from models.yields.pixels.vegetation import with_indices

BAVARIAN_CROPS = ("winter wheat", "winter barley")
Labels = Literal["grid", "cleaned"]
_FULL_SCALE = 10_000.0


def bavaria(data: Path, labels: Labels = "grid", *, every_date: bool = False) -> list[Scene]:
    """31 cereal fields of 2018, a scene each, with bands, indices and the harvester's yields in t/ha dry.

    Args:
        data: folder of the real data.
        labels: ``grid``, the mean of the raw points in each pixel as it is published; ``cleaned``, points that pass
            the filters of :mod:`models.yields.pixels.cleaning`.
        every_date: all dates of each field; else the twelve that all have.
    """
    folder = data / "satellite" / "bavaria_yield_s2"
    table = pd.read_csv(folder / "fields.csv")
    points = _cleaned(folder, table) if labels == "cleaned" else None
    with np.load(folder / "fields_s2_10m.npz") as held:
        bands = [str(name) for name in held["bands"]]
        common = set.intersection(*(set(held[f"{name}__dates"].tolist()) for name in table["field"]))
        scenes = []
        for number, row in table.iterrows():
            dates = held[f"{row.field}__dates"].tolist()
            kept = [at for at, day in enumerate(dates) if every_date or day in common]
            raw = held[f"{row.field}__s2"][kept]
            crop = int(row.crop == "winter_barley")
            seen = (raw > 0).all((0, 1))
            own = (
                _of_grid(held[f"{row.field}__yield_dry_t_ha"], crop, int(str(number)))
                if points is None
                else points[row.field]
            )
            scenes.append(
                Scene(
                    row.field,
                    with_indices(raw.astype(np.float32) / np.float32(_FULL_SCALE), bands),
                    np.broadcast_to(seen, (len(kept), *seen.shape)).copy(),
                    np.array([date.fromisoformat(dates[at]).timetuple().tm_yday for at in kept], np.float32),
                    np.where(seen, crop, UNLABELLED).astype(np.uint8),
                    np.full(seen.shape, number, np.int32),
                    own.take(seen[own.row, own.column]),
                )
            )
    return scenes


def _of_grid(grid: NDArray[np.float32], crop: int, field: int) -> Points:
    row, column = np.nonzero(np.isfinite(grid))
    same = np.full(len(row), 1, np.int64)
    return Points(row, column, grid[row, column].astype(float), np.zeros(len(row)), same * crop, same * field)


def _cleaned(folder: Path, table: pd.DataFrame) -> dict[str, Points]:
    raw = pd.read_parquet(folder / "harvester_points_raw.parquet").rename(columns={"yield_dry_t_ha": "yield"})
    east, north = Transformer.from_crs(4326, 3857, always_xy=True).transform(raw["lon"], raw["lat"])
    # a metre of that projection is cos(latitude) metres on the ground
    shrink = np.cos(np.radians(raw["lat"].mean()))
    kept = clean(raw.assign(x_m=np.asarray(east) * shrink, y_m=np.asarray(north) * shrink)).points
    found = {}
    for number, row in table.iterrows():
        own = kept[kept["field"] == row.field]
        column = np.floor((own["x_m"].to_numpy() / shrink - row.x0) / row.dx).astype(np.int64)
        line = np.floor((own["y_m"].to_numpy() / shrink - row.y0) / row.dy).astype(np.int64)
        inside = (column >= 0) & (column < row.W) & (line >= 0) & (line < row.H)
        found[str(row.field)] = _of_pixels(line[inside], column[inside], own["yield"].to_numpy()[inside], row, number)
    return found


def _of_pixels(
    row: NDArray[np.int64], column: NDArray[np.int64], yields: NDArray[np.float64], field: Any, number: Any
) -> Points:
    """One point a pixel: the mean of its points and its standard error."""
    pixels = pd.DataFrame({"row": row, "column": column, "yields": yields}).groupby(["row", "column"])["yields"]
    joined = pixels.agg(["mean", "std", "size"]).reset_index()
    spread = joined["std"].fillna(joined["std"].median())
    same = np.ones(len(joined), np.int64)
    return Points(
        joined["row"].to_numpy(),
        joined["column"].to_numpy(),
        joined["mean"].to_numpy(float),
        (spread / np.sqrt(joined["size"])).to_numpy(float),
        same * int(field.crop == "winter_barley"),
        same * int(number),
    )


AGRIFIELDNET_CROPS = (
    "wheat", "mustard", "lentil", "no crop", "green pea", "sugarcane", "garlic",
    "maize", "gram", "coriander", "potato", "bersem", "rice",
)  # fmt: skip
# codes of the set's documentation, in the order of the names
_AGRIFIELDNET_CODES = (1, 2, 3, 4, 5, 6, 8, 9, 13, 14, 15, 16, 36)


def agrifieldnet(data: Path) -> list[Scene]:
    """75 tiles of northern India with sparse labels of 13 crops; one image each, 8 bits a band."""
    with np.load(data / "satellite" / "agrifieldnet" / "tiles_s2_uint8.npz") as held:
        images, labels, fields, names = held["X"], held["labels"], held["field_ids"], held["tile_id"]
    index = np.full(256, UNLABELLED, np.uint8)
    index[list(_AGRIFIELDNET_CODES)] = np.arange(len(_AGRIFIELDNET_CODES))
    return [
        Scene(
            str(name),
            image[None].astype(np.float32) / np.float32(255),
            np.ones((1, *label.shape), bool),
            np.zeros(1, np.float32),
            index[label],
            np.where(field > 0, field.astype(np.int32), NO_FIELD).astype(np.int32),
            Points.none(),
        )
        for name, image, label, field in zip(names, images, labels, fields, strict=True)
    ]
