"""A device predicts yields itself: which model and season file fit a visit, and what the estimate keeps of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud_sync.messages import EstimateBody, OrchardBody, decode_body, decode_envelope, unpack_series
from device.errors import InputError
from device.estimates import estimate
from device.model_predictions import ModelPredictions, predict_by_model, predictions_for
from device.orchard_places import OrchardPlace, place_of, set_place
from device.orchards import Block, BlockSettings, register_block
from device.queries import get_visit
from device.sampled_visits import SampledVisit, find_visit
from device.season_cells import parse_season_cells
from device.season_file import SeasonFile
from device.store import Store
from device.wording import visit_lines, warnings_of
from device.yield_bundles import ModelChoice
from export.runtime.bundle import YieldBundle
from export.runtime.counter import Counter
from export.runtime.yield_model import YieldModel
from tests.conftest import Pomona
from tests.device.predicting import (
    GANSU,
    YEAR,
    days_of,
    gansu_bundle,
    photograph_west,
    season_file,
    unseen,
    write_season,
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> YieldBundle:
    return gansu_bundle(tmp_path_factory.mktemp("yields") / "gansu", 6, 8)


@pytest.fixture
def visited(store: Store, block: Block, counter: Counter, tmp_path: Path) -> SampledVisit:
    photograph_west(store, counter, block, tmp_path / "photos")
    set_place(store, block.orchard, GANSU)
    return find_visit(store, block)


@pytest.fixture
def predicted(store: Store, block: Block, visited: SampledVisit, bundle: YieldBundle, tmp_path: Path) -> Any:
    """Predictions from a season file with changes."""

    def make(content: dict[str, Any] | None = None, **choice: Any) -> ModelPredictions:
        file = write_season(tmp_path / "season.json", content or season_file())
        found = predictions_for(store, block, visited, file, ModelChoice(bundle.folder, **choice))
        assert isinstance(found, ModelPredictions)
        return found

    return make


def last_estimate(store: Store) -> EstimateBody:
    body = decode_body(decode_envelope(store.outbox.waiting("jetson-1", 0, 1000)[-1].payload))
    assert isinstance(body, EstimateBody)
    return body


def test_orchard_and_sampling_area_are_what_the_model_says_of_their_means(
    predicted: Any, visited: SampledVisit, bundle: YieldBundle
) -> None:
    found = predicted()
    months, east = 5, np.arange(4) / 10
    model = YieldModel(bundle)

    def by_hand(columns: slice) -> float:
        green = east[columns].mean()
        season = np.tile([0.1 - green, 0.2 + green, 50.0, 0.5 + green], (1, months, 1))
        return float(model.predict(season, ["county 2"], YEAR, 1200).kg_per_ha[0])

    assert found.orchard_kg_per_ha() == pytest.approx(by_hand(slice(None)), rel=1e-6)
    at_trees = found.at_trees_kg_per_ha("B1", visited.places)
    assert at_trees.shape == (4,)
    assert at_trees == pytest.approx(by_hand(slice(2)), rel=1e-6)
    assert at_trees.mean() < found.orchard_kg_per_ha()


def test_the_estimate_keeps_the_model_and_what_it_was_given(
    store: Store, block: Block, visited: SampledVisit, predicted: Any, bundle: YieldBundle, tmp_path: Path
) -> None:
    estimate(store, block, visited, predicted())
    body = last_estimate(store)
    used = body.prediction
    assert used is not None
    assert (used.bundle, used.year, used.months) == (bundle.identity, YEAR, (4, 5, 6, 7, 8))
    assert used.features == ("B04", "B08", "Rainf_f_tavg", "NDVI")
    assert [day.isoformat() for day in used.acquisitions] == days_of((4, 5, 6, 7, 8))
    assert (used.county, used.area_ha) == ("county 2", 1200)
    assert used.season_sha256 == hashlib.sha256((tmp_path / "season.json").read_bytes()).hexdigest()
    assert used.half_width_kg_per_ha == 900
    # what the server makes a training row of
    series = np.array(unpack_series(used.series, len(used.months), len(used.features)))
    cells = parse_season_cells(season_file(), "s.json").at_trees("B1", visited.places)
    np.testing.assert_allclose(series, cells.features(used.features, used.months), rtol=1e-6)
    again = YieldModel(bundle).predict(series[None], [str(used.county)], used.year, used.area_ha).kg_per_ha
    assert again == pytest.approx([body.predicted_area_kg_per_ha], rel=1e-5)


def test_an_estimate_of_ready_predictions_has_no_model(
    store: Store, block: Block, visited: SampledVisit, tmp_path: Path
) -> None:
    grid = season_file()["grid"]
    yields = {"predicted_yield": {"unit": "kg/ha", "values": [[20_000.0] * 4] * 3}}
    both = season_file() | {"variables": season_file()["variables"] | yields}
    for content in ({"schema": "pomona-season/1", "season": YEAR, "grid": grid, "variables": yields}, both):
        found = predictions_for(store, block, visited, write_season(tmp_path / "s.json", content))
        assert isinstance(found, SeasonFile)
    estimate(store, block, visited, found)
    assert last_estimate(store).prediction is None
    made = get_visit(store, visited.id).estimate
    assert made is not None
    assert made.model is None


def test_what_is_shown_names_the_model_the_months_the_pictures_and_the_flags(
    store: Store, block: Block, visited: SampledVisit, predicted: Any, bundle: YieldBundle
) -> None:
    estimate(store, block, visited, predicted(season_file((4, 5, 6), rain=5.0)))
    made = get_visit(store, visited.id)
    lines = dict(visit_lines(made))
    assert lines["predicted by"] == bundle.identity
    assert lines["from the months"] == f"April to June {YEAR}"
    assert lines["satellite pictures"] == f"6 days, the last {YEAR}-06-24"
    assert lines["season like its training"] == "no"
    said = "\n".join(warnings_of(made))
    assert "from April to June alone: July, August, September, October not in the season file yet" in said
    assert "the model's interval is 14 % wider than once all months are known" in said
    assert (
        "of the sampling area and the orchard is unlike those the model was trained on, most of all in rain (" in said
    )
    assert "trained on simulated counties" in said


# --- in season ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("months", "taken"),
    [((4, 5, 6), 6), ((4, 5, 6, 7), 6), ((4, 5, 6, 7, 8), 8), ((4, 5, 6, 7, 8, 9), 8), (tuple(range(4, 11)), 10)],
)
def test_the_longest_season_that_the_file_has_is_taken(predicted: Any, months: tuple[int, ...], taken: int) -> None:
    found = predicted(season_file(months))
    assert found.entry.months == tuple(range(4, taken + 1))
    in_season = any("predicted in season" in note for note in found.notes)
    assert in_season == (taken < 10)


def test_a_season_that_is_shorter_than_any_model_is_refused(
    store: Store, block: Block, predicted: Any, visited: SampledVisit
) -> None:
    with pytest.raises(InputError, match=r"too old: June is not in it and was over more than 62 days before"):
        predicted(season_file((4, 5)))
    store.db.execute("UPDATE visit SET day = ?, stage = 'fruit_expansion'", [f"{YEAR}-06-20"])
    early = find_visit(store, block)
    cells = parse_season_cells(season_file((4, 5)), "s.json")
    model = predicted(season_file()).model
    with pytest.raises(InputError, match=r"lacks June, and drawn-\S* predicts from April to June at the earliest"):
        predict_by_model(store, block, early, model, (cells, "0" * 64))


# --- what does not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (season_file(season=YEAR - 1), rf"season {YEAR - 1}, is of another year than the visit, {YEAR}; fetch the"),
        (season_file(season=None), "season unknown, is of another year"),
        (
            season_file(days=[*days_of((4, 5, 6, 7)), f"{YEAR}-08-03"]),
            rf"is too old for August: its last picture until then is of {YEAR}-08-03, 20 days at most",
        ),
        (season_file(days=days_of((4, 5, 6, 7))), rf"too old for August: its last picture until then is of {YEAR}-07"),
        (unseen(season_file(), 6), r"in June too little was clear where"),
        (
            season_file(variables={k: v for k, v in season_file()["variables"].items() if k != "NDVI"}),
            "has no variable 'NDVI'",
        ),
        (
            season_file(variables=season_file()["variables"] | {"Rainf_f_tavg": {"unit": "m", "values": [1.0] * 5}}),
            "has Rainf_f_tavg in m and drawn takes it in mm",
        ),
    ],
)
def test_a_stale_or_incomplete_season_file_is_refused_with_the_reason(
    store: Store, block: Block, visited: SampledVisit, predicted: Any, content: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        estimate(store, block, visited, predicted(content))


def test_a_yield_that_cannot_be_is_the_seasons_fault(
    store: Store, block: Block, visited: SampledVisit, predicted: Any
) -> None:
    with pytest.raises(
        InputError, match=r"which cannot be: the season is unlike .* most of all in rain \(Rainf_f_tavg\)"
    ):
        estimate(store, block, visited, predicted(season_file(rain=-1e5)))


def test_a_model_of_another_region_is_refused_unless_the_owner_wants_it(
    store: Store, block: Block, predicted: Any, visited: SampledVisit
) -> None:
    set_place(store, block.orchard, OrchardPlace(region="Shaanxi"))
    with pytest.raises(InputError, match=r"is made for Gansu, and the orchard stands in Shaanxi; .*--any-region"):
        predicted()
    told = predicted(anywhere=True).told("B1", visited.places)
    assert any("taken because the owner wants it" in warning for warning in told.warnings)
    set_place(store, block.orchard, OrchardPlace(region="GANSU"))
    assert not any("owner" in warning for warning in predicted().told("B1", visited.places).warnings)


def test_a_model_of_another_crop_is_refused_whatever_the_owner_wants(
    store: Store, predicted: Any, visited: SampledVisit
) -> None:
    store.db.execute("UPDATE orchard SET crop = 'pear'")
    with pytest.raises(InputError, match="is made for apple, and the orchard grows pear; take another model"):
        predicted(anywhere=True)


def test_where_the_orchard_is_has_to_be_said(store: Store, block: Block, predicted: Any) -> None:
    store.db.execute("UPDATE orchard SET region = NULL")
    with pytest.raises(InputError, match="nobody has said where the orchard stands; say where it is with pomona"):
        predicted()
    store.db.execute("UPDATE orchard SET region = 'Gansu', county_area_ha = NULL")
    with pytest.raises(InputError, match=r"planted area of .* county is unknown, .* --county-area 12000ha"):
        predicted()


def test_an_unknown_county_and_an_area_that_is_no_countys_are_said(
    store: Store, block: Block, predicted: Any, visited: SampledVisit
) -> None:
    set_place(store, block.orchard, OrchardPlace(county="Atlantis", county_area_ha=3.0))
    said = "\n".join(predicted().told("B1", visited.places).warnings)
    assert "Atlantis: not among the 6 counties of the model" in said
    assert "a planted area of 3 ha is outside the 1,000 to 1,500 ha" in said


def test_without_a_model_for_the_place_the_remedies_are_told(
    store: Store, block: Block, visited: SampledVisit, tmp_path: Path
) -> None:
    set_place(store, block.orchard, OrchardPlace(region="Atlantis"))
    file = write_season(tmp_path / "season.json", season_file())
    with pytest.raises(InputError, match=r"no yield model for apple in Atlantis .*--yield-model FOLDER"):
        predictions_for(store, block, visited, file)
    table = tmp_path / "p.csv"
    table.write_text("area,predicted_yield,unit\n")
    with pytest.raises(InputError, match="is no season file, so no model can predict from it"):
        predictions_for(store, block, visited, table, ModelChoice(tmp_path))


# --- orchards' places, and the command ----------------------------------------------------------------------------


def test_what_is_said_of_a_place_is_kept_and_what_is_not_stays(store: Store, block: Block) -> None:
    assert place_of(store, block.orchard) == OrchardPlace()
    set_place(store, block.orchard, OrchardPlace(region=" Gansu ", county_area_ha=12_000.0))
    set_place(store, block.orchard, OrchardPlace(county="Jingning"))
    assert place_of(store, block.orchard) == OrchardPlace("Gansu", "Jingning", 12_000.0)
    for wrong, said in ((OrchardPlace(county_area_ha=-1.0), "county_area_ha"), (OrchardPlace(region=""), "region")):
        with pytest.raises(InputError, match=said):
            set_place(store, block.orchard, wrong)
    with pytest.raises(InputError, match="orchard 'elsewhere' is unknown"):
        place_of(store, "elsewhere")


def test_the_command_predicts_and_shows(
    run_pomona: Pomona, store: Store, block: Block, visited: SampledVisit, bundle: YieldBundle, tmp_path: Path
) -> None:
    file = write_season(tmp_path / "season.json", season_file())
    done = run_pomona("estimate", "--block", "B1", "--predictions", file, "--yield-model", bundle.folder)
    assert (done.exit_code, done.err) == (0, "")
    assert bundle.identity in done.out
    assert f"April to August {YEAR}" in done.out
    (shown,) = json.loads(run_pomona("summary", "--json").out)["blocks"]
    model = shown["latest_visit"]["estimate"]["model"]
    assert (model["bundle"], model["months"], model["outside"]) == (bundle.identity, [4, 5, 6, 7, 8], False)
    header, line, *_ = run_pomona("summary", "--csv").out.splitlines()
    row = dict(zip(header.split(","), line.split(","), strict=False))
    assert (row["model"], row["months"], row["last_picture"]) == (bundle.identity, "4 5 6 7 8", f"{YEAR}-08-24")
    refused = run_pomona(
        "estimate", "--block", "B1", "--predictions", write_season(file, season_file(season=1999)), "--yield-model",
        bundle.folder,
    )  # fmt: skip
    assert refused.exit_code == 2
    assert "season 1999, is of another year" in refused.err


def test_the_place_goes_to_the_server_once_and_stays_when_a_block_is_registered(store: Store, block: Block) -> None:
    set_place(store, block.orchard, GANSU)
    set_place(store, block.orchard, GANSU)
    register_block(store, "B2", block.orchard, BlockSettings())
    waiting = [decode_envelope(item.payload) for item in store.outbox.waiting("jetson-1", 0, 1000)]
    told = [(envelope.revision, decode_body(envelope)) for envelope in waiting if envelope.type == "orchard"]
    (revision, body) = told[-1]
    assert isinstance(body, OrchardBody)
    assert revision == 2
    assert OrchardPlace(body.region, body.county, body.county_area_ha) == GANSU


def test_a_place_that_is_refused_registers_no_block(run_pomona: Pomona, store: Store) -> None:
    refused = run_pomona("block", "add", "B9", "--orchard", "New farm", "--county-area", "99999999ha")
    assert (refused.exit_code, run_pomona("block", "list").out.count("B9")) == (2, 0)
    done = run_pomona("block", "add", "B9", "--orchard", "New farm", "--region", "Gansu")
    assert (done.exit_code, place_of(store, "New farm").region) == (0, "Gansu")


def test_the_command_places_an_orchard(run_pomona: Pomona, store: Store, block: Block) -> None:
    options = ("--region", "Gansu", "--county", "Jingning", "--county-area", "15000mu")
    done = run_pomona("block", "add", "B1", "--orchard", block.orchard, *options)
    assert (done.exit_code, done.err) == (0, "")
    place = place_of(store, block.orchard)
    assert (place.region, place.county) == ("Gansu", "Jingning")
    assert place.county_area_ha == pytest.approx(1000.0)
