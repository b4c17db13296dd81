"""From a raster of features and labelled points to the map of the orchards; stopped at any moment, it goes on."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import sklearn

from models.maps.blocks import block_of
from models.maps.errors import MapError
from models.maps.rasters import BaseMask, FeatureRasters
from models.maps.runs import Told, Work, alone, hashed, identity, make_tiles, open_store, write_json
from models.maps.tiles import windows
from models.orchards.area import M2_PER_HA, MU_PER_HA
from models.orchards.blocks import split
from models.orchards.classifiers import fit
from models.orchards.cog import MappedAreas, write_map
from models.orchards.evaluation import Evaluation, Validation, evaluate
from models.orchards.page import write_page
from models.orchards.plans import columns_of, groups_of_plan
from models.orchards.points import LabelledPoints
from models.orchards.polygons import write_polygons
from models.orchards.style import qgis_style, quick_look
from models.orchards.tiles import TileJob, tile_side

MAP, STYLE, POLYGONS, QUICK_LOOK, RECORD = "orchards.tif", "orchards.qml", "orchards.gpkg", "orchards.png", "map.json"


@dataclass(frozen=True)
class MapSettings:
    """What decides a map, beside its features and points.

    Attributes:
        classifier: key in :data:`models.orchards.classifiers.CLASSIFIERS`.
        plan: key in :data:`models.orchards.plans.PLANS`.
        validation: how the classifier is judged, and by which blocks its settings are chosen.
        base: land cover that orchards can stand on; everywhere where None.
        smallest_ha: smaller polygons are left out.
    """

    classifier: str = "random-forest"
    plan: str = "all"
    validation: Validation = field(default_factory=Validation)
    base: BaseMask | None = None
    smallest_ha: float = 0.05


@dataclass(frozen=True, eq=False)
class OrchardMap:
    """A finished map.

    Attributes:
        folder: of its files.
        areas: of its classes.
        orchards: polygons.
        evaluation: of its classifier on blocks it had not seen.
        resumed: tiles that an earlier run had left.
        tiles: all tiles.
    """

    folder: Path
    areas: MappedAreas
    orchards: int
    evaluation: Evaluation
    resumed: int
    tiles: int


def map_orchards(
    features: FeatureRasters,
    points: LabelledPoints,
    settings: MapSettings,
    work: Work,
    out: Path,
    told: Told = lambda _stage, _done, _all: None,
) -> OrchardMap:
    """Map the orchards of a raster and leave map, style, polygons, quick look, page and record in a folder.

    Args:
        features: the raster's bands.
        points: labelled; where they carry all features of the plan these are taken, else the raster's at the points.
        settings: what decides the map.
        work: what it is made with.
        out: the folder; an unfinished run of the same map is gone on with.
        told: is told the stage, and how many of its steps are done.

    Raises:
        MapError: inputs that do not make a map, or a folder with an unfinished other map.
        ClusterError: the cluster fails.
    """
    names = [features.names[i] for i in columns_of(features.names, groups_of_plan(settings.plan, features.names))]
    chosen = features.select(names)
    trained_on = training_points(chosen, points)
    validation = settings.validation
    blocks = block_of(trained_on.lon, trained_on.lat, validation.block_km)
    # points in too few blocks are found out now and not when all is mapped
    next(split(trained_on.orchard, blocks, validation.folds, validation.seed))
    plan = _plan(chosen, trained_on, settings)
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        store = open_store(out, plan)
        told("training", 0, 1)
        classifier = fit(
            settings.classifier,
            trained_on.features,
            trained_on.orchard,
            blocks,
            seed=validation.seed,
        )
        job = TileJob(chosen, classifier, settings.base)
        every = list(windows(chosen.grid, tile_side(len(names), work.memory_mb)))
        resumed = make_tiles(job, every, store, work, told)
        told("judging the classifier on blocks it has not seen", 0, 1)
        evaluation = evaluate(trained_on, settings.classifier, settings.plan, validation)
        told("joining tiles", 0, 1)
        areas = write_map(out / MAP, chosen.grid, store, every, {"POMONA_MAP": plan["sha256"]})
        (out / STYLE).write_text(qgis_style(), encoding="utf-8")
        told("outlining orchards", 0, 1)
        orchards = write_polygons(out / POLYGONS, out / MAP, settings.smallest_ha)
        (out / QUICK_LOOK).write_bytes(quick_look(out / MAP))
        finished = OrchardMap(out, areas, orchards, evaluation, resumed, len(every))
        record = _record(finished, plan, classifier.chosen)
        write_json(out / RECORD, record)
        write_page(out, out / MAP, out / POLYGONS, record)
        shutil.rmtree(store.folder)
    return finished


def training_points(features: FeatureRasters, points: LabelledPoints) -> LabelledPoints:
    """Points with the raster's features in its order: their own where they carry all of them, else the raster's.

    Points outside the raster, or where it does not know a feature, are left out.

    Raises:
        MapError: no point is left of a class.
    """
    if set(features.names) <= set(points.names):
        with_features = points.columns([points.names.index(name) for name in features.names])
    else:
        values = features.at_points(points.lon, points.lat)
        with_features = LabelledPoints(points.lon, points.lat, points.orchard, features.names, values)
    known = np.flatnonzero(np.isfinite(with_features.features).all(1))
    left = with_features.take(known)
    for name, there in (("orchard", left.orchard), ("other", ~left.orchard)):
        if not there.any():
            raise MapError(
                f"no point of class {name} lies on known pixels of the raster ({len(points)} points, {len(left)} of "
                "them on known pixels); give points of both classes inside the raster"
            )
    return left


def _plan(features: FeatureRasters, points: LabelledPoints, settings: MapSettings) -> dict[str, Any]:
    """All that decides the map's bytes, with a hash over it."""
    table = hashlib.sha256()
    for array in (points.features, points.orchard, points.lon, points.lat):
        table.update(np.ascontiguousarray(array).tobytes())
    paths = dict.fromkeys([path for path, _ in features.bands] + ([settings.base.path] if settings.base else []))
    decided = {
        "classifier": settings.classifier,
        "plan": settings.plan,
        "features": list(features.names),
        "rasters": [{"path": path, **identity(path)} for path in paths],
        "base_mask_classes": list(settings.base.classes) if settings.base else None,
        "points": {
            "number": len(points),
            "orchards": int(points.orchard.sum()),
            "sha256": table.hexdigest(),
        },
        "validation": asdict(settings.validation),
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "gdal": rasterio.__gdal_version__},
    }
    return hashed(decided)


def _record(finished: OrchardMap, plan: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    evaluation = finished.evaluation
    return {
        "areas_ha": {name: round(m2 / M2_PER_HA, 4) for name, m2 in asdict(finished.areas).items()},
        "orchard_mu": round(finished.areas.orchard / M2_PER_HA * MU_PER_HA, 2),
        "orchards": finished.orchards,
        "accuracy": {
            name: {part: round(value, 6) if isfinite(value) else None for part, value in asdict(interval).items()}
            for name, interval in evaluation.accuracy.items()
        },
        "error_matrix": evaluation.matrix.tolist(),
        "settings": chosen,
        "made_of": plan,
    }
