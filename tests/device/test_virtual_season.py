"""The season file of a virtual orchard is one that a device reads, of the county that models were made for."""

from __future__ import annotations

import json

import numpy as np

from device.season_cells import parse_season_cells
from device.virtual_orchard.planting import plant_block
from device.virtual_orchard.season import county, season_document
from device.virtual_orchard.settings import OrchardSettings
from export.runtime.bundle import BUNDLES, open_yield_bundle
from export.runtime.yield_model import YieldModel
from tests.make_virtual_season import FILE, content

SETTINGS = OrchardSettings()


def test_its_season_is_the_simulated_one() -> None:
    assert FILE.read_text(encoding="utf-8") == content()


def test_every_tree_stands_in_a_cell_of_the_orchard() -> None:
    cells = parse_season_cells(json.loads(season_document(SETTINGS, "Demo")), "virtual")
    trees = {tree.code: (tree.latitude, tree.longitude) for tree in plant_block(SETTINGS)}
    rows, columns = cells.grid.cells("B1", trees)
    assert cells.orchard[rows, columns].all()


def test_the_shipped_model_of_simulated_counties_predicts_it_as_one_of_its_own() -> None:
    model = YieldModel(open_yield_bundle(BUNDLES / "apple-yield-simulated"))
    manifest = model.bundle.manifest
    assert manifest.simulated
    assert manifest.region == county().region
    assert county().name in manifest.counties
    cells = parse_season_cells(json.loads(season_document(SETTINGS, "Demo")), "virtual")
    series = cells.of_orchard().features(manifest.names, manifest.months)
    found = model.predict(series[None], [county().name], 2025, county().area_ha)
    assert not found.outside[0]
    assert 10_000 < found.kg_per_ha[0] < 40_000


def test_the_same_settings_give_the_same_file() -> None:
    assert season_document(SETTINGS, "Demo") == season_document(SETTINGS, "Demo")
    assert np.ptp(json.loads(season_document(SETTINGS, "Demo"))["months"]) == 6
