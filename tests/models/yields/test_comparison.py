"""A model searched, fitted and tested on each year: nothing of the test year gets in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.yields.candidates import Candidate, apyieldnet, linear_candidates, sceptical_candidates, wide_and_deep
from models.yields.comparison import Outcome, run_on_splits
from models.yields.splits import leave_year_out
from models.yields.table import TableError
from tests.models.yields.tables import drawn_table


def _ours() -> Candidate:
    ours = wide_and_deep(apyieldnet(drawn_table().months_until(5), 1), "ours")
    return replace(ours, default=dict(ours.default) | {"epochs": 10})


@pytest.mark.parametrize(
    "candidate", [linear_candidates()[1], sceptical_candidates()[0], _ours()], ids=lambda c: c.name
)
def test_no_test_year_row_enters_search_fit_or_interval(candidate: Candidate) -> None:
    """The canary: yields of the test year may be anything; what is predicted for it stays, to the last digit."""
    table = drawn_table(years=(2019, 2020, 2021)).months_until(5)
    splits = [split for split in leave_year_out(table) if split.name == "2021"]
    yields = table.yield_kg_per_ha.copy()
    yields[table.year == 2021] = 1e9
    honest, poisoned = (run_on_splits(candidate, t, splits, 1) for t in (table, table.with_yields(yields)))
    assert np.array_equal(honest.predicted, poisoned.predicted, equal_nan=True)
    assert np.array_equal(honest.half_widths, poisoned.half_widths, equal_nan=True)
    assert np.isfinite(honest.predicted[splits[0].test]).all()
    assert np.isnan(honest.predicted[splits[0].train]).all()


def test_features_of_other_test_rows_do_not_matter_either() -> None:
    table = drawn_table(years=(2019, 2020, 2021))
    splits = [split for split in leave_year_out(table) if split.name == "2021"]
    season = table.season.copy()
    season[splits[0].test[1:]] = 1e6
    one, other = (run_on_splits(linear_candidates()[1], t, splits, 5) for t in (table, replace(table, season=season)))
    assert one.predicted[splits[0].test[0]] == other.predicted[splits[0].test[0]]


def test_intervals_cover_nine_in_ten() -> None:
    table = drawn_table(counties=40, years=range(2015, 2023), noise=1000)
    found = run_on_splits(linear_candidates()[1], table, leave_year_out(table), 5)
    inside = np.abs(found.predicted - table.yield_kg_per_ha) <= found.half_widths
    assert 0.86 < inside.mean() < 0.94


def test_chosen_settings_are_used_without_a_search() -> None:
    table = drawn_table()
    ridge, splits = linear_candidates()[1], list(leave_year_out(table))
    searched = run_on_splits(ridge, table, splits, 8)
    again = run_on_splits(ridge, table, splits, 8, chosen=searched.parameters)
    assert np.array_equal(searched.predicted, again.predicted)
    assert np.array_equal(searched.half_widths, again.half_widths)


def test_results_survive_json() -> None:
    table = drawn_table()
    found = run_on_splits(sceptical_candidates()[2], table, list(leave_year_out(table))[:2], 1)
    again = Outcome.from_dict(json.loads(json.dumps(found.as_dict())))
    assert np.array_equal(found.predicted, again.predicted, equal_nan=True)


def test_a_row_in_two_tests_is_refused() -> None:
    split = next(leave_year_out(drawn_table()))
    with pytest.raises(TableError, match="in another test too"):
        run_on_splits(sceptical_candidates()[2], drawn_table(), [split, split], 1)
