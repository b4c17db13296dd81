"""Wide and deep: effects of places, a line and a network, and what decides how much of each is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.yields.candidates import Parameters, apyieldnet, wide_alone, wide_and_deep
from models.yields.effects import best_effects, fit_effects
from models.yields.graphs import GraphPredictor, predict_with
from models.yields.samples import Samples, samples_of
from models.yields.search import tune, untuned
from models.yields.wide_and_deep import Line, fit_line, fit_wide_and_deep, settle_shares
from tests.models.yields.tables import drawn_table


def _rows(**changes: object) -> Samples:
    return samples_of(drawn_table(**changes).months_until(6))  # type: ignore[arg-type]


# --- effects --------------------------------------------------------------------------------------------------------


def test_a_county_is_not_judged_by_which_years_it_has() -> None:
    rows = _rows(counties=8, noise=0.0)
    good_year = rows.year == 2020
    rows = replace(rows, yields=np.where(good_year, 30000.0, 20000.0))
    kept = rows.take(~((rows.county == "county 1") & ~good_year))  # it has the good year alone
    effects = fit_effects(kept, shrink=0.1, trend=False)
    assert abs(effects.counties["county 1"] - effects.counties["county 2"]) < 1500
    raw = kept.yields[kept.county == "county 1"].mean() - kept.yields[kept.county == "county 2"].mean()
    assert raw == 8000


def test_effects_are_drawn_in_and_an_unknown_place_has_the_level() -> None:
    rows = _rows()
    free, drawn = (fit_effects(rows, shrink=shrink, trend=False) for shrink in (1e-6, 100.0))
    own = rows.yields[rows.county == "county 2"].mean() - rows.yields.mean()
    assert free.counties["county 2"] == pytest.approx(own, rel=1e-3)
    assert abs(drawn.counties["county 2"]) < 0.1 * abs(own)
    stranger = replace(rows.take(rows.county == "county 2"), county=np.full(5, "elsewhere"))
    assert free(stranger) == pytest.approx(np.full(5, free.level))


@pytest.mark.parametrize("slope", [0.0, 800.0])
def test_a_trend_is_taken_where_it_predicts_years_left_out(slope: float) -> None:
    rows = _rows(counties=8, years=range(2010, 2020))
    yields = np.array(rows.yields + slope * (rows.year - 2010), dtype=np.float64)
    rows = replace(rows, yields=yields)
    effects, left_out = best_effects(rows)
    assert effects.trend == pytest.approx(slope, abs=0.3 * slope)
    changed = replace(rows, yields=np.where(rows.year == 2015, 1e6, rows.yields))
    # what is expected of a year left out does not know it, whatever was chosen
    chosen = fit_effects(rows.take(rows.year != 2015), shrink=0.1, trend=slope > 0)(rows.take(rows.year == 2015))
    assert np.abs(left_out[rows.year == 2015] - chosen).max() < 0.3 * rows.yields.std()
    assert best_effects(changed)[1][rows.year == 2015].max() < 1e5


def test_rows_of_one_year_have_effects_too() -> None:
    effects, expected = best_effects(_rows(years=(2020,)))
    assert effects.trend == 0
    assert np.isfinite(expected).all()


# --- the line -------------------------------------------------------------------------------------------------------


def test_the_line_finds_what_yields_follow_within_years() -> None:
    rows = _rows(counties=40)
    june = rows.season[:, 2, 3]
    line = fit_line(replace(rows, yields=4000 * (june - june.mean())), 1e-3)
    assert line.slope[2, 3] == pytest.approx(4000, rel=0.05)
    assert (
        np.abs(np.delete(line.slope.ravel(), 2 * 4 + 3) * rows.season.reshape(len(rows), -1).std(axis=0)[0]).max() < 400
    )


def test_what_sets_years_apart_does_not_enter_the_line() -> None:
    rows = _rows(counties=40)
    # one feature tells the years apart and nothing else; their yields follow it
    season = rows.season.copy()
    season[:, 0, 0] = rows.year - 2021
    line = fit_line(replace(rows, season=season, yields=1000 * (rows.year - 2021).astype(np.float64)), 1e-3)
    assert line.slope[0, 0] == 0


def test_a_feature_that_never_changes_has_no_slope() -> None:
    rows = _rows()
    season = rows.season.copy()
    season[:, 1, 1] = 7
    assert fit_line(replace(rows, season=season), 1.0).slope[1, 1] == 0


# --- shares ---------------------------------------------------------------------------------------------------------


def _components(line: float, network: float, seed: int = 0) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Rows whose remainder is so much of what line and network find, and an error."""
    rows = _rows(counties=60)
    found = np.random.default_rng(seed).normal(0, 1000, (2, len(rows)))
    error = np.random.default_rng(seed + 1).normal(0, 300, len(rows))
    return replace(rows, yields=20000 + line * found[0] + network * found[1] + error), np.full(len(rows), 2e4), found


@pytest.mark.parametrize("shares", [(0.6, 0.3), (0.0, 0.8), (0.5, 0.0)])
def test_shares_are_what_remainders_hold_of_each(shares: tuple[float, float]) -> None:
    rows, expected, found = _components(*shares)
    settled, left_out = settle_shares(rows, expected, found)
    assert settled == pytest.approx(shares, abs=0.06)
    assert np.abs(left_out - rows.yields).std() < 300


def test_what_does_not_help_in_years_left_out_is_not_taken() -> None:
    rows, expected, found = _components(0.0, 0.0)
    flipped = np.where(rows.year % 2 == 0, 1.0, -1.0)  # helps in some years what it harms in others
    found[0] = 0
    rows = replace(rows, yields=expected + flipped * found[1])
    settled, left_out = settle_shares(rows, expected, found)
    assert settled == (0.0, 0.0)
    assert np.array_equal(left_out, expected)


def test_a_share_of_a_year_does_not_know_it() -> None:
    rows, expected, found = _components(0.6, 0.3)
    of_year = rows.year == 2021
    _, left_out = settle_shares(rows, expected, found)
    _, poisoned = settle_shares(
        replace(rows, yields=np.where(of_year, 1.01 * rows.yields, rows.yields)), expected, found
    )
    assert np.array_equal(left_out[of_year], poisoned[of_year])


# --- all together ---------------------------------------------------------------------------------------------------


def test_the_network_is_given_what_effects_leave_in_years_they_do_not_know() -> None:
    rows = _rows(counties=10)
    given: list[Samples] = []

    def fit_networks(parts: Sequence[Samples]) -> list[None]:
        given.extend(parts)
        return [None] * len(parts)

    fit_wide_and_deep([rows], fit_networks, 1.0, (1.0, 0.0))
    _, expected = best_effects(rows)
    for year in rows.years:
        own = rows.year == year
        left = rows.yields[own] - expected[own]
        assert given[0].yields[own] == pytest.approx(left - left.mean())


def test_all_is_one_network() -> None:
    table = drawn_table(counties=10, years=(2019, 2020, 2021)).months_until(6)
    rows = samples_of(table)
    candidate = wide_and_deep(apyieldnet(table, 2), "ours")
    quick: Parameters = {**candidate.default, "width": 8, "epochs": 2, "line_share": 0.7, "network_share": 0.4}
    predictor = candidate.fit_members(rows, quick, 0)
    assert isinstance(predictor, GraphPredictor)
    stranger = replace(rows, county=np.where(rows.county == "county 1", "elsewhere", rows.county))
    for asked in (rows, stranger):
        by_graph = predict_with(predictor.graph, predictor.counties, asked)
        assert np.abs(by_graph - predictor(asked)).max() < 1e-2
    parts = candidate.fit_each([rows, rows], quick, [0, 1])
    assert np.allclose(np.mean([part(rows) for part in parts], axis=0), predictor(rows))


def test_the_search_settles_shares_by_years_left_out() -> None:
    rows = _rows(counties=30, noise=50.0)
    found = tune(wide_alone("wide"), rows, 3, 0)
    assert found.parameters["line_share"] > 0.8
    assert found.parameters["network_share"] == 0
    effects_alone = untuned(wide_alone("wide"), replace(rows, season=0 * rows.season), {**found.parameters}, 0)
    assert found.rmse < 0.8 * effects_alone.rmse


def test_a_line_tells_what_its_season_adds() -> None:
    rows = _rows()
    line = Line(np.zeros((3, 4)), np.zeros((3, 4)))
    line.slope[1, 2] = 10
    assert line(rows) == pytest.approx(10 * rows.season[:, 1, 2])
