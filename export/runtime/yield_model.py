"""Runs a bundle that predicts yields: ONNX Runtime on one core, no torch."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from export.runtime.bundle import YieldBundle, open_yield_bundle
from export.runtime.errors import BundleError, EngineError, SeasonError
from export.runtime.onnx_session import onnxruntime_for, single_threaded, start_session
from export.runtime.yield_manifest import SeasonEntry

INPUTS = ("season", "county", "year", "area_ha")
OUTPUT = "yield_kg_per_ha"
# processors and releases of the runtime round differently; a graph of other constants is off by far more
MOST_DIFFERENCE = 1e-4
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """Predicted yields.

    Attributes:
        kg_per_ha: (n,).
        half_width_kg_per_ha: of the 90 % interval of each.
        distance: (n,) to the seasons trained on; those are at about 1.
        outside: (n,) whether it is farther than 99 of 100 of those are from each other.
        strangest: for each prediction, the feature that is farthest from its training values.
        warnings: what to know of inputs: counties that are not known, areas that none was trained on.
    """

    kg_per_ha: _Floats
    half_width_kg_per_ha: float
    distance: _Floats
    outside: NDArray[np.bool_]
    strangest: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Range:
    """Season means of the training rows: see :mod:`models.yields.training_range`."""

    mean: _Floats
    std: _Floats
    precision: _Floats

    def distances(self, season: _Floats) -> tuple[_Floats, NDArray[np.intp]]:
        """(n,) of seasons (n, months, features), and (n,) the feature that is most standard deviations off."""
        apart = (season.mean(axis=1) - self.mean) / self.std
        squared = np.einsum("nc,cd,nd->n", apart, self.precision, apart)
        return np.sqrt(squared / apart.shape[1]), np.abs(apart).argmax(axis=1)


class YieldModel:
    """The graphs of a bundle. Each is started when it is first asked, and tried on its parity sample before it answers.

    Args:
        bundle: a verified bundle.

    Raises:
        MissingPartError: onnxruntime is not installed.
        EngineError: it is too old.
    """

    def __init__(self, bundle: YieldBundle) -> None:
        self.bundle = bundle
        self._onnxruntime = onnxruntime_for(bundle)
        self._entries = {len(entry.months): entry for entry in bundle.manifest.seasons}
        self._started: dict[int, tuple[Any, _Range]] = {}

    def check(self) -> None:
        """Try every graph, one after the other, as whoever installs a bundle does.

        Raises:
            EngineError: a graph does not load or run.
            BundleError: a graph is of other features or months than the manifest says, or computes something else than
                when the bundle was built.
        """
        for entry in self.bundle.manifest.seasons:
            self._start(entry)

    @property
    def identity(self) -> str:
        """See :attr:`export.runtime.bundle.ModelBundle.identity`."""
        return self.bundle.identity

    def season_for(self, known_months: Collection[int]) -> SeasonEntry:
        """The longest of the bundle's seasons whose months are all known.

        Raises:
            SeasonError: not even the shortest one's are.
        """
        for entry in self.bundle.manifest.seasons:
            if set(entry.months) <= set(known_months):
                return entry
        shortest = self.bundle.manifest.seasons[-1].months
        missing = ", ".join(str(month) for month in shortest if month not in known_months)
        raise SeasonError(
            f"{self.identity} needs months {shortest[0]} to {shortest[-1]} at least, and {missing} is missing; "
            "fetch the season file again once they are over, or take a bundle for shorter seasons"
        )

    def predict(self, season: ArrayLike, county: Sequence[str], year: ArrayLike, area_ha: ArrayLike) -> Prediction:
        """Predict yields; the number of months decides by which graph.

        Args:
            season: (n, months, features) in the manifest's units and order.
            county: (n,) names; one that is not known is no error.
            year: (n,) of the harvest.
            area_ha: (n,) planted area of the county, also for an orchard in it.

        Raises:
            SeasonError: another number of months or features, or a value that is missing or no area.
            EngineError: the graph does not load or the runtime failed.
            BundleError: see :meth:`check`.
        """
        values = np.asarray(season, dtype=np.float64)
        entry = self._fitting(values)
        areas = np.broadcast_to(np.asarray(area_ha, dtype=np.float64), len(values))
        years = np.broadcast_to(np.asarray(year, dtype=np.float64), len(values))
        if len(county) != len(values):
            raise SeasonError(f"{len(county)} counties for {len(values)} seasons; name one for each")
        if not np.isfinite(values).all() or not np.isfinite(years).all() or not (areas > 0).all():
            raise SeasonError("a value of the season, a year or an area is missing or not above 0; it is never guessed")
        known = self.bundle.manifest.counties
        if values.shape[1] not in self._started:
            self._started[values.shape[1]] = self._start(entry)
        session, own = self._started[values.shape[1]]
        index = np.array([known.get(name, 0) for name in county], dtype=np.int64)
        kg_per_ha = _run(session, values, index, years, areas)
        distance, strangest = own.distances(values)
        names = self.bundle.manifest.names
        return Prediction(
            kg_per_ha,
            entry.half_width_kg_per_ha,
            distance,
            distance > entry.farthest,
            tuple(names[feature] for feature in strangest),
            tuple(self._warnings(county, areas)),
        )

    def _fitting(self, values: _Floats) -> SeasonEntry:
        names = self.bundle.manifest.names
        if values.ndim != 3 or values.shape[2] != len(names):
            raise SeasonError(
                f"a season of the shape {values.shape} is none of (n, months, {len(names)}); give the features "
                f"{', '.join(names)} in this order"
            )
        if values.shape[1] not in self._entries:
            lengths = ", ".join(map(str, sorted(self._entries)))
            raise SeasonError(f"a season of {values.shape[1]} months; {self.identity} predicts from {lengths}")
        return self._entries[values.shape[1]]

    def _start(self, entry: SeasonEntry) -> tuple[Any, _Range]:
        options = single_threaded(self._onnxruntime)
        options.enable_cpu_mem_arena = False  # a season is some hundred numbers
        session = start_session(self._onnxruntime, self.bundle.folder / entry.graph, options)
        self._check_header(entry, session)
        sample = _sample(self.bundle.folder / entry.sample)
        self._check_parity(entry, session, sample)
        return session, _Range(sample["range_mean"], sample["range_std"], sample["range_precision"])

    def _warnings(self, county: Sequence[str], areas: _Floats) -> list[str]:
        manifest = self.bundle.manifest
        found = []
        if unknown := sorted({name for name in county if name not in manifest.counties}):
            found.append(
                f"{', '.join(name or 'no county' for name in unknown)}: not among the {len(manifest.counties)} "
                "counties of the model, which predicts as for any place"
            )
        least, most = manifest.area_ha
        if (areas < least).any() or (areas > most).any():
            odd = areas[(areas < least) | (areas > most)][0]
            found.append(
                f"a planted area of {odd:,.0f} ha is outside the {least:,.0f} to {most:,.0f} ha of the counties the "
                "model was trained on; give the planted area of the county, not the orchard's own"
            )
        return found

    def _check_header(self, entry: SeasonEntry, session: Any) -> None:
        manifest = self.bundle.manifest
        told = session.get_modelmeta().custom_metadata_map
        for what, ours in (
            ("features", manifest.names),
            ("units", tuple(feature.unit for feature in manifest.features)),
            ("months", entry.months),
            ("counties", tuple(sorted(manifest.counties, key=manifest.counties.__getitem__))),
        ):
            if told.get(what) != header(ours):
                raise BundleError(
                    f"{self.bundle.folder}: manifest.json and {entry.graph} differ in {what}; install the bundle again"
                )

    def _check_parity(self, entry: SeasonEntry, session: Any, sample: dict[str, NDArray[Any]]) -> None:
        found = _run(session, *(sample[name] for name in INPUTS))
        difference = relative_difference(found, sample[OUTPUT])
        if not difference <= MOST_DIFFERENCE:
            raise BundleError(
                f"{self.identity}: {entry.graph} predicts otherwise here than where it was built, by {difference:.1e} "
                f"of the yield; at most {MOST_DIFFERENCE:g} is accepted; install the bundle again, or report this"
            )


def open_yield_model(folder: Path) -> YieldModel:
    """Verify a bundle's files.

    Raises:
        BundleError: no bundle there, one of another task, or a file that is missing or was altered.
        MissingPartError: onnxruntime is not installed.
        EngineError: it is too old.
    """
    return YieldModel(open_yield_bundle(folder))


def header(values: Sequence[object]) -> str:
    """A list as a graph's metadata hold it."""
    return "\n".join(str(value) for value in values)


def relative_difference(found: _Floats, expected: NDArray[Any]) -> float:
    """Largest difference as a share of the expected yield, or of 1 kg/ha where that is less."""
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1)).max())


def _run(session: Any, season: _Floats, county: NDArray[np.int64], year: _Floats, area_ha: _Floats) -> _Floats:
    inputs = (
        season.astype(np.float32),
        county.astype(np.int64),
        year.astype(np.float32),
        area_ha.astype(np.float32),
    )
    # see start_session: every exception of the library is translated
    try:
        (found,) = session.run([OUTPUT], dict(zip(INPUTS, inputs, strict=True)))
    except Exception as error:
        raise EngineError(f"onnxruntime failed on a season: {error}") from error
    return np.asarray(found, dtype=np.float64)


def _sample(path: Path) -> dict[str, NDArray[Any]]:
    names = (*INPUTS, OUTPUT, "range_mean", "range_std", "range_precision")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {name: held[name] for name in names}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} is no parity sample ({error}); install the bundle again") from error
