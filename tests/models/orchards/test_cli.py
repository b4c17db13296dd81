"""``pomona map`` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest

from models.orchards.mapping import MAP, OrchardMap
from tests.conftest import Pomona
from tests.models.orchards.drawn_region import Region


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Points with features of all kinds; the slope tells orchards best."""
    rng = np.random.default_rng(0)
    orchard = np.tile([0, 1], 60)
    lon, lat = 105 + 0.3 * rng.random(120), 34 + 0.3 * rng.random(120)
    path = tmp_path_factory.mktemp("table") / "points.parquet"
    geopandas.GeoDataFrame(
        {
            "orchard": orchard,
            "NDVI_06": orchard + rng.normal(0, 1, 120),
            "B08_asm": rng.normal(0, 1, 120),
            "slope": 3 * orchard + rng.normal(0, 1, 120),
        },
        geometry=geopandas.points_from_xy(lon, lat),
        crs=4326,
    ).to_parquet(path)
    return path


def test_the_plans_of_table_6_are_one_command(run_pomona: Pomona, table: Path) -> None:
    done = run_pomona(
        "map", "plans", "--points", table, "--block-km", 5, "--folds", 2, "--classifier", "cart", "--json"
    )
    assert done.exit_code == 0, done.err
    runs = {run["name"]: run for run in json.loads(done.out)["runs"]}
    assert list(runs) == ["plan-1", "plan-2", "plan-3"]
    assert runs["plan-3"]["features"] == 3
    assert runs["plan-1"]["accuracy"]["overall"]["value"] > 0.85
    less = runs["plan-2"]["overall_less_first"]
    assert less["low"] < less["value"] < less["high"] < 0, "without the slope it is worse"


@pytest.mark.slow
def test_the_classifiers_of_table_7_are_one_command(run_pomona: Pomona, table: Path) -> None:
    done = run_pomona("map", "classifiers", "--points", table, "--block-km", 5, "--folds", 2, "--plan", "elevation")
    assert done.exit_code == 0, done.err
    for name in ("random-forest", "svm", "cart", "gradient-boosting", "knn"):
        assert name in done.out
    assert "…" not in done.out


@pytest.mark.slow
def test_areas_of_maps_are_compared_with_a_reference(run_pomona: Pomona, region: Region, tmp_path: Path) -> None:
    files = ["--points", region.points, "--features", region.features, "--out", tmp_path]
    done = run_pomona("map", "plans", *files, "--classifier", "cart", "--block-km", 1, "--reference-ha", 800, "--json")
    assert done.exit_code == 0, done.err
    for run in json.loads(done.out)["runs"]:
        assert run["difference_ha"] == pytest.approx(run["mapped_ha"] - 800)
        assert (tmp_path / run["name"] / MAP).exists()


def test_years_are_a_table_like_table_8(run_pomona: Pomona, region: Region, made: OrchardMap, tmp_path: Path) -> None:
    (tmp_path / "statistic.csv").write_text("year,area_mu\n2021,15000\n")
    arguments = ["map", "area", "--map", f"2021={made.folder / MAP}", "--points", f"2021={region.points}"]
    done = run_pomona(*arguments, "--reference", tmp_path / "statistic.csv")
    assert done.exit_code == 0, done.err
    assert "1.50" in done.out
    (year,) = json.loads(run_pomona(*arguments, "--json").out)["years"]
    assert year["reference_ha"] is None
    assert year["points"] > 200
    assert year["estimated_ha"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["map", "area", "--map", "2021"], "'2021' is not YEAR=FILE"),
        (["map", "plans", "--points", "none.csv"], "there are no points at none.csv"),
        (
            ["map", "orchards", "--points", "{points}", "--features", "none.tif", "--out", "x"],
            "none.tif cannot be read",
        ),
        (["map", "classifiers", "--points", "{points}"], "no feature has a name we know"),
        (["map", "plans", "--points", "{points}", "--reference-ha", "3"], "give --features, the raster to map"),
    ],
)
def test_wrong_input_is_named_with_a_remedy(
    run_pomona: Pomona, region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_pomona(*(part.format(points=region.points) for part in arguments))
    assert done.exit_code == 2
    assert said in done.err
