"""Predicted yields by a model on this device, from what a season file says the satellite saw."""

from __future__ import annotations

import hashlib
import json
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_sync.messages import EstimatePrediction, pack_series
from device.documents.shelf import in_use
from device.errors import InputError, unreadable
from device.feature_words import spoken
from device.names import LONGEST
from device.orchard_places import OrchardPlace, crop_of, place_of
from device.orchards import Block
from device.prediction_told import Told
from device.predictions import Features, Place, Predictions, read_predictions
from device.sampled_visits import SampledVisit
from device.season_cells import CellMeans, SeasonCells, has_series, named_months, parse_season_cells, span_words
from device.season_file import YIELD, parse_season_file
from device.seasons.years import season_of
from device.store import Store
from device.yield_bundles import DEFAULT_CHOICE, ModelChoice, chosen_yield_model, unfit
from export.runtime.errors import SeasonError
from export.runtime.fitting import fits
from export.runtime.yield_manifest import SeasonEntry, YieldManifest
from export.runtime.yield_model import Prediction, YieldModel

# a month's median needs pictures of most of it: the last one at most so many days before the month's end
_MOST_OPEN_DAYS = 20
# weather data of a month come weeks after its end
_MOST_LAG_DAYS = 62


@dataclass(frozen=True)
class _Season:
    """A season file's content.

    Attributes:
        name: of it, for messages.
        content: the parsed JSON.
        sha256: of the file.
    """

    name: str
    content: dict[str, Any]
    sha256: str


@dataclass(frozen=True)
class ModelPredictions:
    """Predictions of an orchard and its sampling areas by a model; see :class:`device.predictions.Predictions`.

    Attributes:
        model: the model.
        entry: which of its seasons.
        cells: what the satellite saw.
        sha256: of the season file.
        place: where the orchard is; its county's planted area is known.
        year: of the harvest.
        notes: what to know whatever is predicted.
    """

    model: YieldModel
    entry: SeasonEntry
    cells: SeasonCells
    sha256: str
    place: OrchardPlace
    year: int
    notes: tuple[str, ...]

    @property
    def source(self) -> str:
        """Model and season file."""
        return f"{self.model.identity} from the season file {self.cells.grid.source}"

    def orchard_kg_per_ha(self) -> float:
        """Predicted from the mean of the orchard's own cells.

        Raises:
            InputError: a month was not seen in most of them.
        """
        return float(self._orchard.kg_per_ha[0])

    def at_trees_kg_per_ha(self, block: str, trees: Mapping[str, Place]) -> NDArray[np.float64]:
        """Predicted from the mean of the cells the trees stand in, the same for each tree.

        Raises:
            InputError: a tree has no place, or a month was not seen in most of their cells.
        """
        return np.full(len(trees), self._predict(self._series(self.cells.at_trees(block, trees))).kg_per_ha[0])

    def features(self, block: str, trees: Mapping[str, Place]) -> Features:
        """Means over the season of what differs from cell to cell."""
        months = [self.cells.months.index(month) for month in self.entry.months]
        means = {
            name: self.cells.series[name][months].mean(axis=0)
            for name in self.model.bundle.manifest.names
            if name in self.cells.series
        }
        cells = self.cells.grid.cells(block, trees)
        return (
            {name: grid[cells][np.isfinite(grid[cells])] for name, grid in means.items()},
            {name: grid[self.cells.orchard & np.isfinite(grid)] for name, grid in means.items()},
        )

    def told(self, block: str, trees: Mapping[str, Place]) -> Told:
        """What the estimate records, and flags of seasons unlike those trained on."""
        series = self._series(self.cells.at_trees(block, trees))
        area = self._predict(series)
        both = {"the sampling area": area, "the orchard": self._orchard}
        strange = {what: found for what, found in both.items() if found.outside[0]}
        flags = _strangeness(strange, self.entry)
        prediction = EstimatePrediction(
            bundle=self.model.identity[:LONGEST],
            year=self.year,
            months=self.entry.months,
            features=self.model.bundle.manifest.names,
            series=pack_series(series.tolist()),
            acquisitions=tuple(sorted({day for day in self.cells.days if day.month in self.entry.months})),
            county=self.place.county,
            area_ha=self._area_ha,
            season_sha256=self.sha256,
            half_width_kg_per_ha=self.entry.half_width_kg_per_ha,
            distance=float(area.distance[0]),
            outside=bool(strange),
        )
        return Told((*self.notes, *area.warnings, *flags), prediction)

    @cached_property
    def _orchard(self) -> Prediction:
        return self._predict(self._series(self.cells.of_orchard()))

    @property
    def _area_ha(self) -> float:
        assert self.place.county_area_ha is not None  # see predict_by_model
        return self.place.county_area_ha

    def _series(self, means: CellMeans) -> NDArray[np.float64]:
        return means.features(self.model.bundle.manifest.names, self.entry.months)

    def _predict(self, series: NDArray[np.float64]) -> Prediction:
        found = self.model.predict(series[None], [self.place.county or ""], self.year, self._area_ha)
        if not found.kg_per_ha[0] > 0:
            raise InputError(
                f"{self.model.identity} predicts {found.kg_per_ha[0]:,.0f} kg/ha from {self.cells.grid.source}, which "
                "cannot be: the season is unlike those it was trained on, most of all in "
                f"{spoken(found.strangest[0])}; fetch the file again, or give predictions as a table"
            )
        return found


def _strangeness(strange: Mapping[str, Prediction], entry: SeasonEntry) -> tuple[str, ...]:
    """A word on seasons unlike those trained on, by whose they are."""
    if not strange:
        return ()
    worst = max(strange.values(), key=lambda found: found.distance[0])
    flag = (
        f"the season of {' and '.join(strange)} is unlike those the model was trained on, most of all in "
        f"{spoken(worst.strangest[0])}: {worst.distance[0] / entry.farthest:.1f} times as far as the farthest of 100 "
        "of them; rely on the counts more than on the prediction"
    )
    return (flag,)


def predictions_for(
    store: Store, block: Block, visit: SampledVisit, given: Path | None, choice: ModelChoice = DEFAULT_CHOICE
) -> Predictions:
    """Predicted yields for a visit: those a file has ready, else those of a model on this device.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        given: a file with predictions, or a season file; None takes the season file that the server has sent.
        choice: which model; a folder that is named predicts also where the season file has predictions.

    Raises:
        InputError: nothing predicts, the file cannot be read, or model, season file and orchard do not fit each other.
        BundleError: the model cannot be used.
        EngineError: its graph does not run.
    """
    if given is not None and not _is_season(given):
        if choice.folder is not None:
            raise InputError(f"{given} is no season file, so no model can predict from it; leave out --yield-model")
        return read_predictions(given, block.trees_per_ha)
    season = _season(store, block, given)
    if choice.folder is None and (YIELD in season.content.get("variables", {}) or not has_series(season.content)):
        return parse_season_file(season.content, season.name, block.trees_per_ha)
    cells = parse_season_cells(season.content, season.name)
    came_back: list[str] = []
    model = chosen_yield_model(store, block.orchard, choice, came_back.append)
    found = predict_by_model(store, block, visit, model, (cells, season.sha256), anywhere=choice.anywhere)
    return replace(found, notes=(*came_back, *found.notes))


def predict_by_model(
    store: Store,
    block: Block,
    visit: SampledVisit,
    model: YieldModel,
    season: tuple[SeasonCells, str],
    *,
    anywhere: bool = False,
) -> ModelPredictions:
    """See that model, orchard and season file fit each other and the visit.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        model: the model.
        season: what the satellite saw, and the SHA-256 of its file.
        anywhere: whether the owner takes a model of another region.

    Raises:
        InputError: they do not fit; says why and what to do.
    """
    cells, sha256 = season
    manifest = model.bundle.manifest
    place = place_of(store, block.orchard)
    notes = []
    if reason := unfit(manifest, crop_of(store, block.orchard), place):
        same_crop = fits(manifest, crop_of(store, block.orchard)) is None
        if not (anywhere and same_crop):
            remedy = (
                f"say where it is with pomona block add {block.name} --orchard '{block.orchard}' --region REGION, take "
                "another model, or --any-region if its owner wants this one"
            )
            raise InputError(f"{reason}; {remedy if same_crop else 'take another model with --yield-model'}")
        notes.append(f"{reason}: taken because the owner wants it")
    if place.county_area_ha is None:
        raise InputError(
            f"the planted area of {block.orchard}'s county is unknown, and the model asks for it; give it: pomona "
            f"block add {block.name} --orchard '{block.orchard}' --county NAME --county-area 12000ha"
        )
    if manifest.simulated:
        notes.append("the model was trained on simulated counties: its figures show how it works and are no forecast")
    year = season_of(visit.day, visit.stage)
    _check_units(cells, manifest)
    entry = _entry(cells, model, visit.day, year)
    if entry.months != manifest.months:
        missing = [month for month in manifest.months if month not in cells.months]
        notes.append(
            f"predicted in season, from {span_words(entry.months)} alone: {named_months(missing)} not in the season "
            f"file yet{_widening(entry, manifest)}"
        )
    return ModelPredictions(model, entry, cells, sha256, place, year, tuple(notes))


def _widening(entry: SeasonEntry, manifest: YieldManifest) -> str:
    """How much less is known than once the season is over; nothing where the model has learned nothing after."""
    wider = entry.half_width_kg_per_ha / manifest.seasons[0].half_width_kg_per_ha - 1
    return (
        f"; the model's interval is {wider * 100:.0f} % wider than once all months are known" if wider >= 0.005 else ""
    )


def _entry(cells: SeasonCells, model: YieldModel, visited: date, year: int) -> SeasonEntry:
    """Which of the model's seasons the file has.

    Raises:
        InputError: it is of another year, too old, or has not even the shortest.
    """
    source, wanted = cells.grid.source, model.bundle.manifest.months
    if cells.year != year:
        raise InputError(f"{source}, is of another year than the visit, {year}; fetch the season file of {year}")
    ends = {month: date(year, month, monthrange(year, month)[1]) for month in wanted}
    overdue = [
        month
        for month in wanted
        if month not in cells.months and visited - ends[month] > timedelta(days=_MOST_LAG_DAYS)
    ]
    if overdue:
        raise InputError(
            f"{source} is too old: {named_months(overdue)} is not in it and was over more than {_MOST_LAG_DAYS} days "
            f"before the visit of {visited}; fetch the season file again"
        )
    try:
        entry = model.season_for(cells.months)
    except SeasonError as error:
        shortest = model.bundle.manifest.seasons[-1].months
        missing = [month for month in shortest if month not in cells.months]
        raise InputError(
            f"{source} lacks {named_months(missing)}, and {model.identity} predicts from {span_words(shortest)} at "
            "the earliest; fetch the season file again once they are over, or give predictions as a table"
        ) from error
    end = ends[entry.months[-1]]
    last = max((day for day in cells.days if day <= end), default=None)
    if last is None or end - last > timedelta(days=_MOST_OPEN_DAYS):
        raise InputError(
            f"{source} is too old for {named_months(entry.months[-1:])}: its last picture until then is of "
            f"{last or 'no day'}, {_MOST_OPEN_DAYS} days at most before the month's end are taken; fetch it again"
        )
    return entry


def _check_units(cells: SeasonCells, manifest: YieldManifest) -> None:
    for feature in manifest.features:
        if (unit := cells.units.get(feature.name)) not in (None, feature.unit):
            raise InputError(
                f"{cells.grid.source} has {feature.name} in {unit} and {manifest.name} takes it in {feature.unit}; "
                "fetch a file made for this model"
            )


def _is_season(path: Path) -> bool:
    """Whether a file is a season file with what the satellite saw; what cannot be read is told by who reads it."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "schema" in content


def _season(store: Store, block: Block, given: Path | None) -> _Season:
    file = given or in_use(store, "season", block.orchard)
    if file is None:
        raise InputError(
            f"nothing predicts the yield of {block.orchard}: the server has sent no season file; name one with "
            "--predictions FILE"
        )
    name = str(given) if given else f"of {block.orchard}"
    try:
        text = file.read_bytes()
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise unreadable(f"season file {name}", error) from error
    if not isinstance(content, dict):
        raise InputError(f"season file {name} is no JSON object; fetch it again")
    return _Season(name, content, hashlib.sha256(text).hexdigest())
