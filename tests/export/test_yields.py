"""Bundles that predict yields, from a fitted model to a device's prediction."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from export.build.errors import ParityError
from export.build.operators import check_operators
from export.build.yields import MOST_PARITY, build_yield_bundle
from export.cli import export
from export.runtime.bundle import YieldBundle, open_any_bundle, open_bundle, open_yield_bundle, sha256_of
from export.runtime.bundle_archive import pack_bundle, unpack_bundle
from export.runtime.errors import BundleError, SeasonError
from export.runtime.yield_model import YieldModel, open_yield_model
from models.yields.fitted import save_fitted
from models.yields.graphs import CountyTable
from models.yields.samples import samples_of
from tests.export.fitted_models import RECIPE, candidates, drawn_bundle, fitted
from tests.models.yields.tables import drawn_table

TABLE = drawn_table()
ROWS = samples_of(TABLE)
COUNTIES = [str(county) for county in ROWS.county]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> YieldBundle:
    return drawn_bundle(tmp_path_factory.mktemp("yields") / "bundle", "Ridge", 6, 8)


@pytest.fixture(scope="module")
def model(made: YieldBundle) -> YieldModel:
    return YieldModel(made)


@pytest.fixture
def bundle(made: YieldBundle, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copytree(made.folder, tmp_path / "bundle"))


@pytest.mark.parametrize("name", candidates(TABLE))
def test_a_device_predicts_what_the_fitted_model_does(name: str, tmp_path: Path) -> None:
    short = () if name.startswith("APYieldNet") else (6,)  # the exporter takes seconds for each
    own = fitted(name, *short)
    bundle = build_yield_bundle(own, tmp_path / "bundle", RECIPE)
    assert max(season.parity for season in bundle.manifest.seasons) <= MOST_PARITY
    model = open_yield_model(bundle.folder)
    somewhere = replace(ROWS, county=np.where(ROWS.year == 2021, "elsewhere", ROWS.county))
    for months in (len(season.months) for season in own.seasons):
        samples = replace(somewhere, season=somewhere.season[:, :months])
        found = model.predict(samples.season, [str(c) for c in samples.county], samples.year, samples.area_ha)
        assert np.allclose(found.kg_per_ha, own.predict(samples), rtol=1e-5)
        assert np.allclose(found.distance, own.seasons[months != 7].training_range.distance(samples.season))


def test_the_manifest_says_what_the_model_is(made: YieldBundle) -> None:
    manifest = made.manifest
    assert (manifest.task, manifest.target, manifest.unit) == ("yield", "yield", "kg/ha")
    assert (manifest.crop, manifest.region, manifest.simulated) == ("apple", "drawn", True)
    assert manifest.names == ("B4", "B8", "rain", "NDVI")
    assert manifest.features[2].unit == "mm"
    assert [season.months for season in manifest.seasons] == [(4, 5, 6, 7, 8, 9, 10), (4, 5, 6, 7, 8), (4, 5, 6)]
    assert [season.graph for season in manifest.seasons] == ["model.onnx", "model-08.onnx", "model-06.onnx"]
    assert [season.half_width_kg_per_ha for season in manifest.seasons] == [700, 900, 800]
    assert manifest.counties == {f"county {number}": number + 1 for number in range(6)}
    assert (manifest.training_years, manifest.training_rows) == ((2019, 2020, 2021, 2022, 2023), 30)
    assert manifest.area_ha == (1000, 1500)


def test_graphs_have_the_contracts_inputs_and_operators_that_every_runtime_has(made: YieldBundle) -> None:
    for season in made.manifest.seasons:
        graph = onnx.load(made.folder / season.graph)
        assert [value.name for value in graph.graph.input] == ["season", "county", "year", "area_ha"]
        assert [value.name for value in graph.graph.output] == ["yield_kg_per_ha"]
        assert {entry.domain: entry.version for entry in graph.opset_import} == {"": 17}
        for value in (*graph.graph.input, *graph.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        check_operators(graph, "onnxruntime")


def test_no_training_row_leaves_with_a_bundle(made: YieldBundle) -> None:
    for season in made.manifest.seasons:
        with np.load(made.folder / season.sample) as sample:
            kept = sample["season"]
        rows = ROWS.season[:, : len(season.months)]
        assert np.abs(kept[:, None] - rows[None]).max(axis=(2, 3)).min() > 0.1


def test_a_graph_that_differs_from_its_network_is_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = fitted("County mean")
    # a network that says otherwise each time it is asked cannot be a graph
    asked = iter(range(1, 100))
    monkeypatch.setattr(CountyTable, "forward", lambda self, _s, county, _y, _a: self.kg_per_ha[county] + next(asked))
    with pytest.raises(ParityError, match="differs from its network"):
        build_yield_bundle(own, tmp_path / "bundle", RECIPE)
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_takes_the_place_of_an_earlier_one_and_of_nothing_else(made: YieldBundle, tmp_path: Path) -> None:
    own = fitted("County mean")
    build_yield_bundle(own, tmp_path / "bundle", RECIPE)
    build_yield_bundle(own, tmp_path / "bundle", RECIPE)
    (tmp_path / "bundle" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes\.txt"):
        build_yield_bundle(own, tmp_path / "bundle", RECIPE)


def test_the_command_exports_what_was_saved(tmp_path: Path) -> None:
    save_fitted(tmp_path / "run", fitted("County effects", 6))
    arguments = ["apyieldnet", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "bundle"), "--name", "gansu"]
    done = CliRunner().invoke(export, arguments)
    assert done.exit_code == 0, done.output
    opened = open_yield_bundle(tmp_path / "bundle")
    assert opened.identity in done.stdout
    refused = CliRunner().invoke(export, [*arguments[:-1], "No Name"])
    assert refused.exit_code == 2
    assert "name: " in refused.output


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_flipped_byte_is_noticed(bundle: Path) -> None:
    for name in ("model.onnx", "model-06.npz"):
        content = (bundle / name).read_bytes()
        harmed = bytearray(content)
        harmed[len(content) // 2] ^= 1
        (bundle / name).write_bytes(harmed)
        with pytest.raises(BundleError, match=rf"{name} was altered"):
            open_yield_model(bundle)
        (bundle / name).write_bytes(content)
    open_yield_model(bundle).check()


def _rewritten(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["files"] = {name: sha256_of(bundle / name) for name in manifest["files"]}
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m["features"].reverse(), "differ in features"),
        (lambda m: m["features"][2].update(unit="m"), "differ in units"),
        (lambda m: m["counties"].update({"county 0": 2, "county 1": 1}), "differ in counties"),
        (lambda m: m["seasons"].pop(0), r"seasons does not begin with model\.onnx"),
        (lambda m: m["seasons"][2].update(months=[5, 6, 7]), "seasons are not the whole season"),
        (lambda m: m["seasons"][2].update(months=[4, 5]), "differ in months"),
        (lambda m: m["counties"].update({"county 0": 9}), "counties does not number"),
        (lambda m: m["features"][0].update(name="B8"), "features names one twice"),
        (lambda m: m["files"].pop("model-06.npz"), r"files does not list model-06\.npz"),
        (lambda m: m["area_ha"].reverse(), "area_ha is 1500 to 1000"),
        (lambda m: m.update(unit="kg/mu"), "unit"),
        (lambda m: m["seasons"][0].update(half_width_kg_per_ha=0), r"seasons\.0\.half_width_kg_per_ha"),
        (lambda m: m.update(colour="red"), "colour"),
    ],
)
def test_a_manifest_that_does_not_fit_its_graphs_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    _rewritten(bundle, change)
    with pytest.raises(BundleError, match=said):
        open_yield_model(bundle).check()


def test_a_graph_with_other_constants_fails_its_parity_sample(bundle: Path) -> None:
    graph = onnx.load(bundle / "model-08.onnx")
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(1.01), tensor.name))
    onnx.save(graph, bundle / "model-08.onnx")
    _rewritten(bundle, lambda _: None)
    with pytest.raises(BundleError, match=r"model-08\.onnx predicts otherwise here"):
        open_yield_model(bundle).check()
    model = open_yield_model(bundle)
    model.predict(ROWS.season[:1, :3], COUNTIES[:1], 2023, 1200)
    with pytest.raises(BundleError, match=r"model-08\.onnx predicts otherwise here"):
        model.predict(ROWS.season[:1, :5], COUNTIES[:1], 2023, 1200)


def test_a_file_that_is_no_sample_is_refused(bundle: Path) -> None:
    (bundle / "model.npz").write_bytes(b"no archive")
    _rewritten(bundle, lambda _: None)
    with pytest.raises(BundleError, match=r"model\.npz is no parity sample"):
        open_yield_model(bundle).check()


def test_each_task_opens_its_own_bundles(made: YieldBundle) -> None:
    with pytest.raises(BundleError, match="predicts yields and cannot count"):
        open_bundle(made.folder)
    shipped = open_bundle()
    with pytest.raises(BundleError, match="counts in photos and predicts no yield"):
        open_yield_bundle(shipped.folder)
    assert open_any_bundle(made.folder) == made
    assert open_any_bundle(shipped.folder) == shipped


def test_a_bundle_travels_as_an_archive(made: YieldBundle, tmp_path: Path) -> None:
    pack_bundle(made, tmp_path / "bundle.zip")
    assert unpack_bundle(tmp_path / "bundle.zip", tmp_path / "there").identity == made.identity


# --- predictions --------------------------------------------------------------------------------------------------


def test_a_county_that_is_not_known_is_predicted_as_any_place_and_said(model: YieldModel) -> None:
    season = ROWS.season[:2]
    found = model.predict(season, ["county 3", "Atlantis"], 2023, 1200)
    assert any("Atlantis" in warning for warning in found.warnings)
    assert not model.predict(season, ["county 3", "county 4"], 2023, 1200).warnings
    same = model.predict(np.stack([season[0], season[0]]), ["Atlantis", ""], 2023, 1200)
    assert same.kg_per_ha[0] == pytest.approx(same.kg_per_ha[1], rel=1e-6)


def test_an_orchards_own_area_is_said_to_be_none_of_a_county(model: YieldModel) -> None:
    found = model.predict(ROWS.season[:1], ["county 1"], 2023, 2.5)
    assert any("2 ha is outside the 1,000 to 1,500 ha" in warning for warning in found.warnings)


def test_the_longest_season_that_is_known_is_taken(model: YieldModel) -> None:
    assert model.season_for(range(1, 13)).months == (4, 5, 6, 7, 8, 9, 10)
    assert model.season_for([4, 5, 6, 7, 8, 9]).months == (4, 5, 6, 7, 8)
    assert model.season_for([4, 5, 6]).months == (4, 5, 6)
    with pytest.raises(SeasonError, match="needs months 4 to 6 at least, and 6 is missing"):
        model.season_for([4, 5, 7, 8, 9, 10])


def test_a_season_unlike_those_trained_on_is_outside_and_its_strangest_feature_named(model: YieldModel) -> None:
    season = ROWS.season.copy()
    assert model.predict(season, COUNTIES, ROWS.year, ROWS.area_ha).outside.mean() < 0.05
    season[..., 2] -= 40
    found = model.predict(season, COUNTIES, ROWS.year, ROWS.area_ha)
    assert found.outside.all()
    assert set(found.strangest) == {"rain"}


@pytest.mark.parametrize(
    ("season", "counties", "area", "said"),
    [
        (ROWS.season[:1, :, :3], 1, 1000, "give the features B4, B8, rain, NDVI in this order"),
        (ROWS.season[:1, :4], 1, 1000, "a season of 4 months"),
        (ROWS.season[0], 1, 1000, "is none of"),
        (np.full_like(ROWS.season[:1], np.nan), 1, 1000, "never guessed"),
        (ROWS.season[:1], 1, 0, "never guessed"),
        (ROWS.season[:1], 2, 1000, "2 counties for 1 seasons"),
    ],
)
def test_what_is_no_season_is_refused(
    model: YieldModel, season: np.ndarray, counties: int, area: float, said: str
) -> None:
    with pytest.raises(SeasonError, match=said):
        model.predict(season, ["county 1"] * counties, 2023, area)


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(6)), months=st.sampled_from([3, 5, 7]))
def test_each_row_is_predicted_by_itself(model: YieldModel, order: list[int], months: int) -> None:
    season, names = ROWS.season[:6, :months], COUNTIES[:6]
    together = model.predict(season, names, ROWS.year[:6], ROWS.area_ha[:6])
    mixed = model.predict(season[order], [names[i] for i in order], ROWS.year[order], ROWS.area_ha[order])
    assert np.allclose(mixed.kg_per_ha, together.kg_per_ha[order], rtol=1e-6)
    assert np.allclose(mixed.distance, together.distance[order])


@settings(max_examples=20, deadline=None)
@given(row=st.integers(0, 29), rise=st.floats(-10, 10))
def test_a_linear_bundle_is_linear(model: YieldModel, row: int, rise: float) -> None:
    def at(share: float) -> float:
        season = ROWS.season[row : row + 1].copy()
        season[..., 2] += share * rise
        return float(model.predict(season, COUNTIES[row : row + 1], 2023, 1000).kg_per_ha[0])

    assert at(0.5) == pytest.approx((at(0) + at(1)) / 2, rel=1e-5)
