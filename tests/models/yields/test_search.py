"""The comparison: every candidate fits, none sees the test rows, and the search judges by years left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.yields.augmentation import AugmentationSettings, augment
from models.yields.candidates import (
    Candidate,
    Parameters,
    apyieldnet,
    linear_candidates,
    on_county_effects,
    recurrent_candidates,
    sceptical_candidates,
    wide_alone,
    wide_and_deep,
)
from models.yields.conformal import half_width
from models.yields.linear import Predictor, fit_county_effects, fit_county_mean, fit_last_year, fit_ridge
from models.yields.samples import Samples, samples_of
from models.yields.search import tune, tune_each
from models.yields.splits import leave_year_out
from models.yields.table import TableError, YieldTable
from models.yields.tvae import TvaeSettings
from tests.models.yields.tables import drawn_table

ADDED = AugmentationSettings(noise_copies=1, mixup_rows=1, tvae_rows=1, tvae=TvaeSettings(epochs=3))


def _table() -> YieldTable:
    return drawn_table(counties=10, years=(2019, 2020, 2021)).months_until(5)


def _candidates() -> list[Candidate]:
    table = _table()
    ours = apyieldnet(table, 1)
    added = apyieldnet(table, 1, "augmented", lambda rows, random: augment(rows, ADDED, random))
    return [
        *linear_candidates(),
        *sceptical_candidates(),
        *recurrent_candidates(table, 1),
        ours,
        on_county_effects(ours, "on county effects"),
        wide_alone("wide alone"),
        wide_and_deep(ours, "wide and deep"),
        added,
    ]


def _quick(candidate: Candidate) -> dict[str, object]:
    parameters = dict(candidate.default)
    return parameters | ({"epochs": 2, "width": 8} if "epochs" in parameters else {})


@pytest.mark.parametrize("candidate", _candidates(), ids=lambda candidate: candidate.name)
def test_no_test_year_row_enters_any_fit(candidate: Candidate) -> None:
    """The canary: with absurd values in every row of the test year, all predictions are the same to the last digit."""
    table = _table()
    real = samples_of(table)
    poisoned_year = real.year == 2021
    poisoned = replace(
        real,
        yields=np.where(poisoned_year, 1e9, real.yields),
        area_ha=np.where(poisoned_year, 1e9, real.area_ha),
        season=np.where(poisoned_year[:, None, None], 1e6, real.season),
    )
    (split,) = (split for split in leave_year_out(table) if split.name == "2021")
    seen = real.take(split.train)
    predictions = []
    for rows in (real, poisoned):
        fitted = candidate.fit(rows.take(split.train), _quick(candidate), 0)
        predictions.append(fitted(seen))
    assert np.array_equal(predictions[0], predictions[1])
    assert np.isfinite(predictions[0]).all()


def test_the_search_never_asks_for_a_test_row() -> None:
    table = _table()
    seen: list[Samples] = []

    def spy(candidate: Candidate) -> Candidate:
        def fit(rows: Samples, parameters: object, seed: int) -> Callable[[Samples], np.ndarray]:
            seen.append(rows)
            predict = candidate.fit(rows, parameters, seed)  # type: ignore[arg-type]

            def predict_and_note(samples: Samples) -> np.ndarray:
                assert not set(samples.year.tolist()) & set(rows.years), "judged on a year that was fitted to"
                seen.append(samples)
                return predict(samples)

            return predict_and_note

        return replace(candidate, fit=fit)

    for split in leave_year_out(table):
        seen.clear()
        tune(spy(linear_candidates()[1]), samples_of(table).take(split.train), 5, 0)
        assert seen
        assert all(split.name not in map(str, rows.years) for rows in seen)


def test_the_search_finds_better_settings_than_the_default_and_errors_for_intervals() -> None:
    rows = samples_of(drawn_table(counties=20, noise=100.0))
    ridge = replace(linear_candidates()[1], default={"alpha": 1e5, "monthly": False, "county": 0.0})
    alone, searched = tune(ridge, rows, 1, 0), tune(ridge, rows, 25, 0)
    assert (alone.trials, searched.trials) == (1, 25)
    assert searched.rmse < 0.7 * alone.rmse
    assert half_width(searched.left_out - rows.yields, rows.year) < half_width(alone.left_out - rows.yields, rows.year)


def test_searches_of_several_trainings_are_those_of_each() -> None:
    rows = samples_of(drawn_table(counties=20, noise=100.0))
    trainings = [rows.take(rows.year != year) for year in rows.years]
    ridge, fitted = linear_candidates()[1], []

    def fit(part: Samples, parameters: Parameters, seed: int) -> Predictor:
        fitted.append(part.years)
        return ridge.fit(part, parameters, seed)

    together = tune_each(replace(ridge, fit=fit), trainings, 4, 0)
    assert len(fitted) == 4 * 10  # each pair of five years is left out once a trial, not twice
    for training, found in zip(trainings, together, strict=True):
        alone = tune(ridge, training, 4, 0)
        assert found.parameters == alone.parameters
        assert np.array_equal(found.left_out, alone.left_out)


def test_one_year_is_too_few_to_search() -> None:
    for candidate in (linear_candidates()[0], sceptical_candidates()[2]):
        with pytest.raises(TableError, match="second year"):
            tune(candidate, samples_of(drawn_table(years=(2020,))), 2, 0)


def test_a_model_without_settings_is_tried_once() -> None:
    mean = sceptical_candidates()[2]
    assert tune(mean, samples_of(_table()), 20, 0).trials == 1


# --- what needs no season -------------------------------------------------------------------------------------------


def test_county_mean_and_last_year() -> None:
    rows = samples_of(_table())
    train = rows.take(rows.year != 2020)
    wanted = rows.take((rows.county == "county 2") & (rows.year == 2020))
    own = train.yields[train.county == "county 2"]
    assert fit_county_mean(train)(wanted)[0] == pytest.approx(own.mean())
    assert fit_last_year(train)(wanted)[0] == own[0]  # 2019
    later = rows.take(rows.year > 2019)
    assert fit_last_year(later)(rows.take(rows.year == 2019))[2] == later.yields[later.county == "county 2"][0]
    stranger = replace(wanted, county=np.array(["elsewhere"]))
    for fit in (fit_county_mean, fit_last_year):
        assert fit(train)(stranger)[0] == pytest.approx(train.yields.mean())


def test_county_effects_lie_between_the_county_and_all() -> None:
    rows = samples_of(_table())
    everywhere, own = rows.yields.mean(), rows.yields[rows.county == "county 2"].mean()
    one = rows.take(rows.county == "county 2")
    for shrink, share in ((0.0, 1.0), (3.0, 0.5), (1e9, 0.0)):
        found = fit_county_effects(rows, shrink=shrink)(one)[0]
        assert found == pytest.approx(everywhere + share * (own - everywhere), rel=1e-4)


def test_ridge_with_counties_is_a_model_of_county_effects() -> None:
    rows = samples_of(drawn_table(counties=20, noise=100.0))
    train, test = rows.take(rows.year < 2023), rows.take(rows.year == 2023)
    without, with_counties = (fit_ridge(train, alpha=1.0, monthly=False, county=county)(test) for county in (0.0, 25.0))
    assert abs(with_counties - test.yields).mean() < 0.7 * abs(without - test.yields).mean()


def test_a_network_on_county_effects_with_no_share_is_the_effects() -> None:
    rows = samples_of(_table())
    candidate = on_county_effects(apyieldnet(_table(), 1), "ours")
    parameters = {**_quick(candidate), "share": 0.0, "shrink": 0.5}
    found = candidate.fit(rows, parameters, 0)(rows)
    assert np.allclose(found, fit_county_effects(rows, shrink=0.5)(rows))


def test_what_effects_leave_is_judged_by_years_they_were_not_fitted_to() -> None:
    rows = samples_of(_table())
    given: list[Samples] = []

    def fit(samples: Samples, _parameters: object, _seed: int) -> Callable[[Samples], np.ndarray]:
        given.append(samples)
        return lambda asked: np.zeros(len(asked))

    candidate = on_county_effects(replace(apyieldnet(_table(), 1), fit=fit, fit_parts=None), "ours")
    candidate.fit(rows, {"share": 1.0, "shrink": 0.0}, 0)
    own = (rows.county == "county 2") & (rows.year == 2020)
    others = rows.yields[(rows.county == "county 2") & (rows.year != 2020)].mean()
    assert given[0].yields[own][0] == pytest.approx(rows.yields[own][0] - others)


def test_members_are_averaged() -> None:
    rows = samples_of(_table())
    candidate = replace(apyieldnet(_table(), 2), members=2)
    each = [predict(rows) for predict in candidate.fit_each([rows, rows], _quick(candidate), [5, 6])]
    assert not np.allclose(each[0], each[1])
    assert np.allclose(candidate.fit_members(rows, _quick(candidate), 5)(rows), np.mean(each, axis=0))
