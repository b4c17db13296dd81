"""Training tiles from folders of scenes: only what holds a label is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.maps.errors import MapError
from models.yields.pixels.cleaning import CleaningSettings
from models.yields.pixels.labels import crops_on, read_table, yields_on
from models.yields.pixels.layers import SceneFiles, open_scene
from models.yields.pixels.scenes import NO_FIELD, OVERLAP, TILE_PX, UNLABELLED, Points, Scene, step_of

_TABLES = (".gpkg", ".parquet", ".geojson", ".csv")


@dataclass(frozen=True)
class Gathered:
    """Tiles of several scenes.

    Attributes:
        labelled: with a yield or a crop, or both.
        unlabelled: without, to pre-train on.
        bands: of their images.
        days: of the year of their dates; none where the scenes' dates differ.
    """

    labelled: list[Scene]
    unlabelled: list[Scene]
    bands: tuple[str, ...]
    days: tuple[int, ...]


def gather(
    data: Path,
    crops: Sequence[str],
    *,
    side: int = TILE_PX,
    overlap: float = OVERLAP,
    indices: bool = False,
    cleaning: CleaningSettings | None = None,
    unlabelled: bool = False,
) -> Gathered:
    """Read the tiles of every scene in a folder.

    A scene is a folder with dated images (:func:`models.yields.pixels.layers.open_scene`), ``yields`` and ``crops``
    as GeoPackage, (Geo)Parquet, GeoJSON or CSV, one of them at least.

    Args:
        data: folder of the scenes.
        crops: names of the crops by their index.
        side: of a tile in px.
        overlap: share of a tile that neighbours share.
        indices: whether vegetation indices are put behind the bands.
        cleaning: with it, yields are a combine harvester's points and are cleaned.
        unlabelled: whether tiles without labels are read too.

    Raises:
        MapError: no scenes, scenes of other bands, or labels that cannot be used.
    """
    folders = sorted(folder for folder in data.glob("*") if folder.is_dir()) if data.is_dir() else []
    if not folders:
        raise MapError(f"{data} holds no folder of a scene")
    scenes = [open_scene(folder, indices=indices) for folder in folders]
    for scene in scenes:
        if scene.names != scenes[0].names:
            raise MapError(
                f"scene {scene.name} has the bands {', '.join(scene.names)} and {scenes[0].name} has "
                f"{', '.join(scenes[0].names)}; give all the same in one order"
            )
    found: tuple[list[Scene], list[Scene]] = [], []
    for number, (folder, scene) in enumerate(zip(folders, scenes, strict=True)):
        known = _Known.of(folder, scene, crops, cleaning, number)
        for tile, labelled in known.tiles(scene, side, step_of(side, overlap)):
            if labelled or unlabelled:
                found[not labelled].append(tile())
    days = {scene.days for scene in scenes}
    return Gathered(*found, scenes[0].names, days.pop() if len(days) == 1 else ())


@dataclass(frozen=True, eq=False)
class _Known:
    points: Points
    crops: NDArray[np.uint8]
    fields: NDArray[np.int32]

    @classmethod
    def of(
        cls, folder: Path, scene: SceneFiles, crops: Sequence[str], cleaning: CleaningSettings | None, number: int
    ) -> _Known:
        crop_file, yield_file = _table(folder, "crops"), _table(folder, "yields")
        if crop_file is None and yield_file is None:
            raise MapError(f"{folder} holds neither yields nor crops ({', '.join(_TABLES)}); add one, or remove it")
        classes, fields = np.full(scene.shape, UNLABELLED, np.uint8), np.full(scene.shape, NO_FIELD, np.int32)
        if crop_file is not None:
            classes, fields = crops_on(scene.grid, read_table(crop_file), crops)
            if "field" not in read_table(crop_file):
                # fields without a number of their own are those of this scene
                fields = np.where(fields == NO_FIELD, fields, fields + number * 1_000_000).astype(np.int32)
        points = Points.none()
        if yield_file is not None:
            points = yields_on(scene.grid, read_table(yield_file), crops, fields, cleaning)
        return cls(points, classes, fields)

    def tiles(self, scene: SceneFiles, side: int, step: int) -> list[tuple[_Reader, bool]]:
        """A reader for each tile, and whether it holds a label."""
        height, width = scene.shape
        shared = side - step
        readers = [
            _Reader(self, scene, row, column, side)
            for row in range(0, max(1, height - shared), step)
            for column in range(0, max(1, width - shared), step)
        ]
        return [(reader, reader.labels.labelled) for reader in readers]


class _Reader:
    """Reads the images of a tile only when it is asked to."""

    def __init__(self, known: _Known, files: SceneFiles, row: int, column: int, side: int) -> None:
        self.files, self.place = files, (row, column, side)
        nothing = np.zeros((0, 0, *files.shape), np.float32)
        whole = Scene(
            files.name,
            nothing,
            np.zeros((0, *files.shape), bool),
            np.zeros(0, np.float32),
            known.crops,
            known.fields,
            known.points,
        )
        self.labels = whole.window(row, column, side)

    def __call__(self) -> Scene:
        seen = self.files.read(*self.place)
        return replace(
            self.labels,
            images=seen.images,
            clear=seen.clear,
            days=seen.days,
            radar=seen.radar,
            radar_days=seen.radar_days,
        )


def _table(folder: Path, name: str) -> Path | None:
    found = [folder / f"{name}{suffix}" for suffix in _TABLES if (folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise MapError(f"{folder} holds {name} twice: {found[0].name} and {found[1].name}; keep one")
    return found[0] if found else None
