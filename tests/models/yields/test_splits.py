"""Splits: what is tested on is never trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.yields.splits import (
    Split,
    hold_out_years,
    leave_county_out,
    leave_year_out,
    validation_rows,
    validation_years,
)
from models.yields.table import TableError, YieldTable
from tests.models.yields.tables import drawn_table


@st.composite
def _tables(draw: st.DrawFn) -> YieldTable:
    """Tables with counties and years missing here and there, and orchards beside counties."""
    table = drawn_table(draw(st.integers(2, 5)), range(2010, 2010 + draw(st.integers(3, 6))))
    rows = np.array(draw(st.lists(st.integers(0, len(table) - 1), min_size=6, max_size=30, unique=True)))
    orchards = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    return replace(table.take(rows), orchard=np.array(["orchard" if own else "" for own in orchards]))


def _check(table: YieldTable, splits: list[Split], key: str) -> None:
    values = getattr(table, key)
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(range(len(table)))
    for split in splits:
        assert not set(values[split.train]) & set(values[split.test])
        assert sorted([*split.train, *split.test]) == list(range(len(table)))
        assert set(values[split.test].astype(str)) == {split.name}


@settings(max_examples=40, deadline=None)
@given(_tables())
def test_each_year_and_each_county_is_tested_once_and_never_trained_on(table: YieldTable) -> None:
    if len(table.years) > 1:
        _check(table, list(leave_year_out(table)), "year")
    if len(table.counties) > 1:
        _check(table, list(leave_county_out(table)), "county")


@settings(max_examples=40, deadline=None)
@given(_tables(), st.floats(0.15, 0.6), st.integers(0, 9))
def test_validation_takes_whole_county_years_of_the_training_rows(table: YieldTable, share: float, seed: int) -> None:
    train = np.arange(0, len(table), 2)
    keys = np.array([f"{c} {y}" for c, y in zip(table.county, table.year, strict=True)])
    try:
        fit, validate = validation_rows(table, train, share, np.random.default_rng(seed))
    except TableError:
        assert round(share * len(set(keys[train]))) in {0, len(set(keys[train]))}
        return
    assert sorted([*fit, *validate]) == train.tolist()
    assert not set(keys[fit]) & set(keys[validate])
    assert len(set(keys[validate])) == round(share * len(set(keys[train])))


def test_validation_is_the_same_for_the_same_seed_only() -> None:
    table = drawn_table()
    one, same, other = (validation_rows(table, np.arange(30), 0.2, np.random.default_rng(s))[1] for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@settings(max_examples=40, deadline=None)
@given(_tables())
def test_validation_years_stay_within_the_training_rows(table: YieldTable) -> None:
    train = np.flatnonzero(table.year < table.years[-1])
    if len(np.unique(table.year[train])) < 2:
        return
    for fit, validate in validation_years(table, train):
        assert not set(table.year[fit]) & set(table.year[validate])
        assert sorted([*fit, *validate]) == train.tolist()


def test_held_out_years_follow_the_training_years() -> None:
    table = drawn_table()
    split = hold_out_years(table, 2021, 2022)
    assert set(table.year[split.train].tolist()) == {2019, 2020}
    assert set(table.year[split.test].tolist()) == {2021, 2022}
    assert split.name == "2021 to 2022"
    assert hold_out_years(table, 2023).name == "2023"


def test_nothing_to_train_on_is_refused() -> None:
    one_year = drawn_table(years=(2020,))
    with pytest.raises(TableError, match="one year only"):
        list(leave_year_out(one_year))
    with pytest.raises(TableError, match="one county only"):
        list(leave_county_out(drawn_table(counties=1)))
    with pytest.raises(TableError, match="leaves 0 rows to train on"):
        hold_out_years(drawn_table(), 2019)
    with pytest.raises(TableError, match="needs a second one"):
        list(validation_years(one_year, np.arange(6)))
    with pytest.raises(TableError, match="leaves none for fitting"):
        validation_rows(one_year, np.arange(6), 0.01, np.random.default_rng(0))
