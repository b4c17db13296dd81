"""Retraining: labels come in, evaluation rows never do, and only what the gate lets pass is released."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pytest

from cloud_sync.messages import pack_series
from cloud_sync.server.database import Database
from cloud_sync.server.errors import RetrainError
from cloud_sync.server.releases.releasing import release, releases
from cloud_sync.server.retraining.reading import read_labels
from cloud_sync.server.retraining.yields import Retrained, Retraining, retrain
from cloud_sync.server.worker import Delivery, Worker
from export.build.yields import YieldRecipe, build_yield_bundle
from export.runtime.bundle import YieldBundle
from models.yields.fitted import fit_season, fitted_model
from models.yields.lineup import lineup
from models.yields.simulated import Simulation, simulate_counties
from models.yields.table import TableError, YieldTable
from models.yields.table_file import write_table
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.processes import run_pomona_process
from tests.releases import Releases

TABLE = simulate_counties(Simulation(counties=24, first_year=2003, years=20))
HELD_OUT = (2019, 2020, 2021, 2022)
SEASON = simulate_counties(Simulation(counties=24, first_year=2024, years=1))


def _bundle(folder: Path, table: YieldTable, model: str) -> YieldBundle:
    candidate = lineup(table, 1)[model]
    season = fit_season(candidate, table, candidate.default, half_width_kg_per_ha=3000, metrics={})
    fitted = fitted_model(
        table, [season], training_data="drawn", simulated=True, licence="CC0-1.0", attribution=(), commit="unknown"
    )
    return build_yield_bundle(fitted, folder, YieldRecipe("apples", "1.0.0"))


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> YieldBundle:
    """County means of three years."""
    rows = TABLE.take((TABLE.year >= 2014) & (TABLE.year <= 2016))
    return _bundle(tmp_path_factory.mktemp("champion") / "bundle", rows, "county-mean")


class Fleet:
    """Devices whose estimates the server stores."""

    def __init__(self, database: Database) -> None:
        self._worker = Worker(database, queue.Queue(), lambda _device, _answers: None)

    def observe(
        self,
        device: str = "kiwi",
        *,
        county: int = 0,
        kg_per_ha: float = 24_000.0,
        half: float = 1.2,
        revision: int = 1,
        season: Any = None,
        told: dict[str, Any] | None = None,
        **body: Any,
    ) -> None:
        values = SEASON.season[county] if season is None else season
        prediction = {
            "bundle": "apples-1.0.0+abc",
            "year": 2024,
            "months": SEASON.months,
            "features": [feature.name for feature in SEASON.features],
            "series": pack_series(values.tolist()),
            "acquisitions": ["2024-06-01"],
            "county": str(SEASON.county[county]),
            "area_ha": 5000.0,
            "season_sha256": "0" * 64,
            "half_width_kg_per_ha": 3000.0,
            "distance": 1.0,
            "outside": False,
            **(told or {}),
        }
        estimate = {
            **EXAMPLES["estimate"],
            "day": "2024-09-20",
            "stage": "ripening",
            "label": "apple",
            "block_kg_per_ha": kg_per_ha,
            "block_low_kg_per_ha": kg_per_ha / half,
            "block_high_kg_per_ha": kg_per_ha * half,
            "prediction": prediction,
            **body,
        }
        record = str(uuid5(NAMESPACE_OID, f"{device} {estimate['block']}"))
        fields = envelope("estimate", device=device, body=estimate, record=record, revision=revision, sequence=revision)
        self._worker.process([Delivery(received(fields), lambda: None)])


@pytest.fixture
def fleet(database: Database) -> Fleet:
    return Fleet(database)


@pytest.fixture
def server(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


Run = Callable[..., Retrained]


@pytest.fixture
def run(server: Releases, database: Database, champion: YieldBundle, tmp_path: Path) -> Run:
    """Retrain; by default county effects, which take no time, against county means."""

    def go(table: YieldTable = TABLE, **changes: Any) -> Retrained:
        file = tmp_path / "table.parquet"
        write_table(table, file)
        asked = Retraining(file, HELD_OUT, champion.folder, model="county-effects", trials=1)
        return retrain(server.server, database, replace(asked, **changes), lambda _text: None, 2024)

    return go


def test_a_better_model_is_released_and_the_decision_kept(fleet: Fleet, run: Run, server: Releases) -> None:
    fleet.observe()
    done = run(model="ridge", trials=10)
    assert done.labels == 1
    assert done.decision.is_better
    assert done.record.is_file()
    (made,) = releases(server.repository)
    assert made.name == "apples-1.1.0"
    assert made.told["decision"]["released"] is True
    assert made.told["region"] == "simulated"


def test_a_model_that_is_no_better_is_not_released_but_its_decision_is_kept(
    fleet: Fleet, run: Run, server: Releases
) -> None:
    fleet.observe()
    done = run(model="county-mean")
    assert not done.decision.released
    assert done.record.is_file()
    assert not releases(server.repository)


def test_the_newest_release_is_the_champion(fleet: Fleet, run: Run, server: Releases, champion: YieldBundle) -> None:
    release(server.repository, champion.folder, ungated="the first model of these counties")
    fleet.observe()
    assert run(champion=None).decision.champion == champion.identity


def test_without_a_champion_nothing_can_be_judged(fleet: Fleet, run: Run) -> None:
    fleet.observe()
    with pytest.raises(RetrainError, match="--champion BUNDLE"):
        run(champion=None)


def test_without_labels_or_without_new_ones_nothing_is_trained(fleet: Fleet, run: Run) -> None:
    with pytest.raises(RetrainError, match="no device has sent a label"):
        run()
    fleet.observe()
    run()
    with pytest.raises(RetrainError, match="learned from already"):
        run()
    fleet.observe(revision=2, kg_per_ha=25_000)
    assert run().labels == 1


def test_a_reviewed_count_replaces_what_it_was(fleet: Fleet, database: Database) -> None:
    fleet.observe(kg_per_ha=24_000)
    fleet.observe(kg_per_ha=26_000, revision=2)
    with database.read() as session:
        (label,) = read_labels(session).labels
    assert label.kg_per_ha == 26_000
    assert label.key[2] == 2
    assert label.standard_error_kg_per_ha == pytest.approx(26_000 * np.log(1.2) / 1.96)
    np.testing.assert_allclose(label.season, SEASON.season[0], rtol=1e-6)


def test_flowers_and_tables_are_no_labels(fleet: Fleet, database: Database) -> None:
    fleet.observe(stage="flowering")
    fleet.observe("pear", prediction=None, block="C")
    fleet.observe("plum", block_low_kg_per_ha=None, block="D")
    with database.read() as session:
        read = read_labels(session)
    assert not read.labels
    assert read.passed_over >= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kg_per_ha": 240_000.0}, "a yield of 240000 kg/ha is not within"),
        ({"kg_per_ha": 700.0}, "a yield of 700 kg/ha is not within"),
        ({"half": 1000.0}, "a standard error"),
        ({"told": {"year": 2031}}, "a harvest of 2031"),
        ({"told": {"area_ha": 1e9}}, "ha of orchards"),
        ({"season": SEASON.season[0] * 50}, "is not within"),
    ],
)
def test_a_label_that_cannot_be_true_stops_it_and_names_the_device(
    fleet: Fleet, run: Run, changes: dict[str, Any], said: str
) -> None:
    fleet.observe("liar", **changes)
    with pytest.raises(RetrainError, match=rf"from device liar cannot be true: .*{said}"):
        run()
    fleet.observe("honest", block="C")
    assert run(without=("liar",)).labels == 1


def test_labels_of_a_test_year_or_of_no_county_are_left_out(fleet: Fleet, run: Run) -> None:
    fleet.observe(told={"year": 2022})
    fleet.observe("pear", block="C", told={"county": None})
    with pytest.raises(RetrainError, match="no device has sent a label"):
        run()


def test_what_evaluation_rows_say_reaches_no_fit(fleet: Fleet, run: Run, server: Releases) -> None:
    """The canary: the challenger's errors move by as much as the yields of the test years, and its fit not at all."""
    fleet.observe()
    honest = run()
    moved = TABLE.yield_kg_per_ha + np.where(np.isin(TABLE.year, HELD_OUT), 1e6, 0)
    for path in (server.server.path / "retraining" / "yields").iterdir():
        path.unlink()
    poisoned = run(TABLE.with_yields(moved), name="others")
    assert poisoned.decision.challenger_value == pytest.approx(1e6, rel=0.02)
    assert honest.decision.challenger_value < 5000


def test_an_evaluation_row_under_another_name_is_found(fleet: Fleet, run: Run) -> None:
    fleet.observe()
    twin = TABLE.take(TABLE.year == 2022).take([0])
    hidden = replace(twin, year=np.array([2002]), county=np.array(["elsewhere"]))
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(TABLE, name), getattr(hidden, name)])
        for name in ("county", "orchard", "year", "season", "area_ha", "yield_kg_per_ha", "source", "weight", "lon_lat")
    }
    with pytest.raises(TableError, match="elsewhere 2002 is of the evaluation, as simulated county 01 2022"):
        run(replace(TABLE, **columns))


def test_the_evaluation_is_frozen(fleet: Fleet, run: Run, server: Releases) -> None:
    fleet.observe()
    first = run()
    with pytest.raises(RetrainError, match="frozen to 2019, 2020, 2021, 2022"):
        run(evaluation_years=(2018,))
    fleet.observe(revision=2, kg_per_ha=25_000)
    moved = TABLE.yield_kg_per_ha + np.where(np.isin(TABLE.year, HELD_OUT), 1e6, 0)
    assert run(TABLE.with_yields(moved), evaluation_years=()).decision.evaluation == first.decision.evaluation
    file = server.server.path / "retraining" / "yields" / "evaluation.parquet"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(RetrainError, match="was altered since it was frozen"):
        run()


def test_a_champion_that_has_seen_the_evaluation_is_refused(fleet: Fleet, run: Run) -> None:
    fleet.observe()
    with pytest.raises(RetrainError, match="was trained on 2016, so it cannot be judged on it"):
        run(evaluation_years=(2016, 2022))


def test_a_server_that_learns_yields_needs_no_detector(tmp_path: Path) -> None:
    absent = tmp_path / "table.parquet"
    options = ("--table", absent, "--evaluation-year", 2024, "--champion", tmp_path, "--folder", tmp_path / "server")
    done = run_pomona_process("server", "retrain", "apyieldnet", *options, blocked=["ultralytics", "albumentations"])
    assert (done.returncode, "not installed" in done.stderr, "Traceback" in done.stderr) == (2, False, False), (
        done.stderr
    )
