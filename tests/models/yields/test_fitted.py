"""Fitted models as networks and as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.yields.candidates import (
    Candidate,
    apyieldnet,
    linear_candidates,
    on_county_effects,
    recurrent_candidates,
    sceptical_candidates,
    wide_and_deep,
)
from models.yields.fitted import (
    SETTINGS,
    FittedError,
    FittedModel,
    fit_season,
    fitted_model,
    load_fitted,
    save_fitted,
)
from models.yields.graphs import NoGraphError, assemble, describe, export_form, graph_of, predict_with
from models.yields.samples import Samples, samples_of
from models.yields.table import TableError
from models.yields.training_range import TrainingRange
from tests.models.yields.tables import drawn_table

TABLE = drawn_table()
ROWS = samples_of(TABLE)


def _quick(candidate: Candidate) -> Candidate:
    return replace(candidate, default={**candidate.default, "epochs": 2} if candidate.tunable else {})


def _candidates() -> dict[str, Candidate]:
    network = replace(apyieldnet(TABLE, 2), members=2)
    named = [*linear_candidates(), *sceptical_candidates()]
    chosen = [c for c in named if c.name not in ("Boosted trees", "Last year's yield")]
    joined = [on_county_effects(network, "on effects"), wide_and_deep(network, "wide and deep")]
    networks = [network, *joined, *recurrent_candidates(TABLE, 1)]
    return {c.name: c for c in chosen} | {c.name: _quick(c) for c in networks}


CANDIDATES = _candidates()
WITH_STRANGER = replace(ROWS, county=np.where(ROWS.year == 2021, "elsewhere", ROWS.county))


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_network_of_a_model_says_what_the_model_says(name: str) -> None:
    candidate = CANDIDATES[name]
    fitted = graph_of(candidate.fit_members(ROWS, candidate.default, 0))
    again = assemble(json.loads(json.dumps(describe(fitted.graph))))
    again.load_state_dict(fitted.graph.state_dict())
    for graph in (fitted.graph, export_form(again)):
        found = predict_with(graph.eval(), fitted.counties, WITH_STRANGER)
        assert np.allclose(found, fitted(WITH_STRANGER), rtol=2e-5)


def test_what_is_exported_has_no_weight_normalisation_and_leaves_the_model_as_it_was() -> None:
    candidate = CANDIDATES["APYieldNet"]
    fitted = graph_of(candidate.fit_members(ROWS, candidate.default, 0))
    before = fitted(ROWS)
    assert any("parametrizations" in key for key in fitted.graph.state_dict())
    assert not any("parametrizations" in key for key in export_form(fitted.graph).state_dict())
    assert np.array_equal(fitted(ROWS), before)


@pytest.mark.parametrize("name", ["Boosted trees", "Last year's yield"])
def test_a_model_without_a_network_is_refused_by_name(name: str) -> None:
    (candidate,) = (c for c in sceptical_candidates() if c.name == name)
    with pytest.raises(NoGraphError, match=name):
        fit_season(candidate, TABLE, candidate.default, half_width_kg_per_ha=1, metrics={})


def _fitted() -> FittedModel:
    ridge = CANDIDATES["Ridge"]
    network = CANDIDATES["on effects"]
    return fitted_model(
        TABLE,
        [
            fit_season(ridge, TABLE.months_until(6), ridge.default, half_width_kg_per_ha=900, metrics={"RMSE": 500}),
            fit_season(network, TABLE, network.default, half_width_kg_per_ha=700, metrics={"RMSE": 400}),
        ],
        training_data="drawn",
        simulated=True,
        licence="AGPL-3.0-or-later",
        attribution=(),
        commit="unknown",
    )


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    return _fitted()


def test_a_fitted_model_comes_back_from_its_files(fitted: FittedModel, tmp_path: Path) -> None:
    save_fitted(tmp_path, fitted)
    again = load_fitted(tmp_path)
    assert [season.months for season in again.seasons] == [(4, 5, 6, 7, 8, 9, 10), (4, 5, 6)]
    for name in ("crop", "region", "features", "counties", "years", "rows", "simulated", "licence", "commit"):
        assert getattr(again, name) == getattr(fitted, name)
    for months in (7, 3):
        samples = replace(WITH_STRANGER, season=WITH_STRANGER.season[:, :months])
        assert np.array_equal(again.predict(samples), fitted.predict(samples))
        before, after = (next(s for s in m.seasons if len(s.months) == months) for m in (fitted, again))
        assert (before.half_width_kg_per_ha, before.metrics) == (after.half_width_kg_per_ha, after.metrics)
        asked = samples.season
        assert np.array_equal(before.training_range.distance(asked), after.training_range.distance(asked))
    with pytest.raises(FittedError, match="5 months"):
        again.predict(replace(ROWS, season=ROWS.season[:, :5]))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _other_format(folder: Path) -> None:
    path = folder / SETTINGS
    path.write_text(path.read_text().replace("pomona-fitted-yields/1", "pomona-fitted-yields/9"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / SETTINGS).unlink(), "cannot be read"),
        (lambda folder: (folder / "until-06.npz").unlink(), "until-06.npz"),
        (lambda folder: _cut(folder / "until-10.npz"), "damaged"),
        (lambda folder: _cut(folder / SETTINGS), "damaged"),
        (_other_format, "format"),
    ],
)
def test_a_damaged_folder_is_refused(
    fitted: FittedModel, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    save_fitted(tmp_path, fitted)
    harm(tmp_path)
    with pytest.raises(FittedError, match=said):
        load_fitted(tmp_path)


def test_seasons_are_the_whole_one_and_its_beginnings(fitted: FittedModel) -> None:
    whole, early = fitted.seasons
    with pytest.raises(FittedError, match="whole season first"):
        replace(fitted, seasons=(early, whole))
    with pytest.raises(FittedError, match="whole season first"):
        replace(fitted, seasons=(whole, replace(early, months=(5, 6, 7))))


def test_distances_are_those_of_a_fit_without_the_row() -> None:
    """With the same drawing in, each row's distance is what leaving it out and starting again gives."""
    few = samples_of(drawn_table(counties=4))
    # features that go together, so that the covariance is hardly drawn in
    few = replace(few, season=few.season @ np.array([[1, 0.9, 0, 0], [0, 0.3, 0, 0], [0, 0, 1, 0.1], [0, 0, 0, 1.0]]))
    means = few.season.mean(axis=1)
    found = TrainingRange.fit(few)
    apart = (means - found.mean) / found.std
    count, features = apart.shape
    own = apart.T @ apart / count
    # what was added to the covariance of all rows
    added = np.linalg.inv(found.precision)
    shrinkage = 1 - added[0, 1] / own[0, 1]
    assert shrinkage < 0.5
    drawn_in = added - (1 - shrinkage) * own
    distances = []
    for row in range(count):
        others = np.delete(apart, row, axis=0)
        centre = others.mean(axis=0)
        covariance = (others - centre).T @ (others - centre) / (count - 1)
        apart_now = apart[row] - centre
        squared = apart_now @ np.linalg.inv((1 - shrinkage) * covariance + drawn_in) @ apart_now
        distances.append(np.sqrt(squared / features))
    assert found.limit == pytest.approx(np.percentile(distances, 99), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-100, 100), seed=st.integers(0, 20))
def test_distances_do_not_depend_on_units(scale: float, shift: float, seed: int) -> None:
    rows = samples_of(drawn_table(seed=seed))
    asked = drawn_table(seed=seed + 1).season

    def in_other_units(season: np.ndarray) -> np.ndarray:
        return np.concatenate([season[..., :1] * scale + shift, season[..., 1:]], axis=2)

    here = TrainingRange.fit(rows)
    there = TrainingRange.fit(replace(rows, season=in_other_units(rows.season)))
    assert there.limit == pytest.approx(here.limit, rel=1e-4)
    assert np.allclose(there.distance(in_other_units(asked)), here.distance(asked), rtol=1e-4)


def test_a_season_unlike_all_others_is_far() -> None:
    found = TrainingRange.fit(ROWS)
    assert (found.distance(ROWS.season) <= found.limit).mean() > 0.95
    drought = ROWS.season.copy()
    drought[..., 2] -= 40
    assert (found.distance(drought) > 2 * found.limit).all()


def test_a_feature_that_never_changed_counts_once_it_does() -> None:
    season = ROWS.season.copy()
    season[..., 0] = 7.0
    same: Samples = replace(ROWS, season=season)
    found = TrainingRange.fit(same)
    assert np.isfinite(found.distance(season)).all()
    season = season.copy()
    season[..., 0] = 70.0
    assert (found.distance(season) > found.limit).all()


def test_too_few_rows_have_no_range() -> None:
    with pytest.raises(TableError, match="2 rows"):
        TrainingRange.fit(ROWS.take(np.array([0, 1])))
