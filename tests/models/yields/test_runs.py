"""A training run: every model on years left out, the best that a device can run is kept, and a stopped run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.yields.fitted import load_fitted
from models.yields.run_page import comparison_rows, in_season_rows, write_run_page
from models.yields.runs import RunError, YieldTraining, early_months, rows_to_train_on, train_yields
from models.yields.samples import samples_of
from models.yields.simulated import Simulation, simulate_counties
from models.yields.table import TableError, YieldTable
from models.yields.table_file import write_table
from tests.models.yields.tables import drawn_table

TABLE = simulate_counties(Simulation(counties=6, first_year=2019, years=5))


def _training(folder: Path, table: YieldTable = TABLE, **changes: object) -> YieldTraining:
    file = folder / "table.parquet"
    write_table(table, file)
    plain = YieldTraining(file, folder / "run", compare=("plsr", "county-mean", "last-year"), trials=2, commit="none")
    return replace(plain, **changes)  # type: ignore[arg-type]


def _silent(_step: str, _done: int, _total: int) -> None:
    pass


def test_the_best_model_that_a_device_can_run_is_fitted_to_all_years_and_saved(tmp_path: Path) -> None:
    training = _training(tmp_path, in_season=True)
    run = train_yields(training, _silent)
    allowed = {name: error for name, error in run.rmse.items() if name != "last-year"}
    assert run.chosen == min(allowed, key=lambda name: allowed[name])
    fitted = load_fitted(training.output)
    assert fitted.years == TABLE.years
    assert fitted.simulated
    assert [season.months[-1] for season in fitted.seasons] == [10, 9, 8, 7, 6]
    assert np.isfinite(fitted.predict(samples_of(TABLE))).all()
    assert len(comparison_rows(run)) == 3
    assert [row[0] for row in in_season_rows(run)] == ["Apr–Jun", "Apr–Jul", "Apr–Aug", "Apr–Sep", "Apr–Oct"]
    page = write_run_page(training.output, run, {"trials": 2}).read_text(encoding="utf-8")
    assert "Last year&#x27;s yield" in page
    assert page.count("<svg") == 3


def test_a_season_that_has_only_begun_takes_of_its_line_what_its_own_months_bear_out(tmp_path: Path) -> None:
    table = drawn_table(8, range(2016, 2024))
    # October alone decides: in June there is nothing to see yet
    table = table.with_yields(table.yield_kg_per_ha.mean() + 2000 * table.season[:, -1, 0])
    training = _training(tmp_path, table, model="effects-and-line", compare=("effects-and-line",), in_season=True)
    seasons = train_yields(training, _silent).fitted.seasons
    shares = {season.months[-1]: season.parameters["line_share"] for season in seasons}
    assert shares[10] > 0.7
    assert shares[6] < 0.2


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    training = _training(tmp_path)
    steps: list[str] = []

    def stop(step: str, done: int, _total: int) -> None:
        steps.append(step)
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_yields(training, stop)
    after: list[str] = []
    resumed = train_yields(training, lambda step, _done, _total: after.append(step))
    assert not set(steps) & set(after)
    whole = train_yields(replace(training, output=tmp_path / "whole"), _silent)
    assert resumed.rmse == whole.rmse


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    train_yields(_training(tmp_path, compare=("county-mean",)), _silent)
    with pytest.raises(RunError, match="holds a run with another trials; go on with that"):
        train_yields(_training(tmp_path, trials=3), _silent)


def test_a_year_held_out_is_in_no_figure_and_no_fit(tmp_path: Path) -> None:
    """The canary: yields of a year held out may be anything."""
    poisoned = TABLE.with_yields(np.where(TABLE.year == 2023, 1e9, TABLE.yield_kg_per_ha))
    rmse = []
    for name, table in (("honest", TABLE), ("poisoned", poisoned)):
        (tmp_path / name).mkdir()
        training = _training(tmp_path / name, table, hold_out=(2023,))
        rmse.append(train_yields(training, _silent).rmse)
        assert load_fitted(training.output).years == (2019, 2020, 2021, 2022)
    assert rmse[0] == rmse[1]


def test_a_model_that_no_device_runs_is_not_shipped_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="last-year cannot run on a device"):
        train_yields(_training(tmp_path, model="last-year", compare=("last-year",)), _silent)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.take(TABLE.year < 2021), "has yields of 2019, 2020 to learn from; .* give 3 years or more"),
        (TABLE.take(TABLE.county == TABLE.county[0]), "has yields of simulated county 01 alone; give 2 counties"),
        (TABLE.with_yields(np.full(len(TABLE), np.nan)), "no row to learn from has a yield"),
    ],
)
def test_too_little_is_said_in_words(tmp_path: Path, table: YieldTable, said: str) -> None:
    write_table(table, tmp_path / "table.parquet")
    with pytest.raises(TableError, match=said):
        rows_to_train_on(tmp_path / "table.parquet")


def test_a_model_or_year_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no model 'oracle'"):
        train_yields(_training(tmp_path, compare=("oracle",)), _silent)
    with pytest.raises(TableError, match="has no year 1999 to hold out"):
        train_yields(_training(tmp_path, hold_out=(1999,)), _silent)


def test_seasons_that_have_only_begun_have_three_months_at_least() -> None:
    assert early_months(TABLE) == (6, 7, 8, 9)
