"""Releases of models that predict yields: whom they fit, how they are tried, and what serves when one fails."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_sync.errors import WrongContentError
from cloud_sync.server.releases.releasing import release
from device.errors import InputError
from device.model_predictions import ModelPredictions, predictions_for
from device.orchard_places import OrchardPlace, set_place
from device.orchards import Block, BlockSettings, register_block
from device.releases.active import read_active, roll_back
from device.releases.installing import Installed, Wanted, install
from device.releases.source import FolderSource
from device.sampled_visits import find_visit
from device.store import Store
from export.build.yields import build_yield_bundle
from export.runtime.bundle import YieldBundle
from export.runtime.counter import Counter
from tests.device.predicting import GANSU, gansu_table, photograph_west, season_file, write_season
from tests.export.fitted_models import RECIPE, fitted, spoil_sample
from tests.releases import REASON, Releases


def made_bundle(folder: Path, version: str) -> YieldBundle:
    return build_yield_bundle(fitted("Ridge", 8, table=gansu_table()), folder, replace(RECIPE, version=version))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, YieldBundle]:
    """By version; made once."""
    folder = tmp_path_factory.mktemp("yields")
    return {version: made_bundle(folder / version, version) for version in ("1.0.0", "1.1.0")}


def get(store: Store, releases: Releases, *, anywhere: bool = False) -> Installed:
    (done,) = install(store, FolderSource(releases.source), Wanted(anywhere=anywhere))
    return done


def test_a_model_of_the_orchards_region_serves_until_the_next_and_can_be_taken_back(
    store: Store, trusting: Releases, block: Block, bundles: dict[str, YieldBundle]
) -> None:
    set_place(store, block.orchard, GANSU)
    for version, bundle in bundles.items():
        release(trusting.repository, bundle.folder, ungated=REASON)
        assert get(store, trusting).name == f"drawn-{version}"
    active = read_active(store, "yield")
    assert (active.bundle, active.previous) == (bundles["1.1.0"].identity, bundles["1.0.0"].identity)
    assert roll_back(store, "yield").bundle == bundles["1.0.0"].identity


def test_a_model_of_another_region_is_refused_before_it_is_fetched_unless_the_owner_wants_it(
    store: Store, trusting: Releases, block: Block, bundles: dict[str, YieldBundle]
) -> None:
    release(trusting.repository, bundles["1.0.0"].folder, ungated=REASON)
    set_place(store, block.orchard, OrchardPlace(region="Shaanxi"))
    hidden = trusting.repository.targets.rename(trusting.folder / "hidden")
    with pytest.raises(InputError, match=r"drawn 1\.0\.0 is made for Gansu, and the orchard stands in Shaanxi"):
        get(store, trusting)
    hidden.rename(trusting.repository.targets)
    assert get(store, trusting, anywhere=True).anew


def test_one_orchard_in_the_region_is_enough_and_one_nobody_has_placed_refuses_nothing(
    store: Store, trusting: Releases, block: Block, bundles: dict[str, YieldBundle]
) -> None:
    release(trusting.repository, bundles["1.0.0"].folder, ungated=REASON)
    assert get(store, trusting).anew
    set_place(store, block.orchard, OrchardPlace(region="Shaanxi"))
    register_block(store, "C1", "Second farm", BlockSettings())
    with pytest.raises(InputError, match="stands in Shaanxi"):
        get(store, trusting)
    set_place(store, "Second farm", OrchardPlace(region="Gansu/Jingning"))
    assert not get(store, trusting).anew


def test_a_release_that_tells_something_else_is_refused(
    store: Store, trusting: Releases, bundles: dict[str, YieldBundle]
) -> None:
    bundle = bundles["1.0.0"]
    told = {name: getattr(bundle.manifest, name) for name in ("name", "version", "task", "crop", "region")}
    told |= {"target": "sugar", "identity": bundle.identity, "number": 1}
    trusting.repository.add("drawn-1.0.0.zip", b"never fetched", told)
    with pytest.raises(InputError, match=r"drawn 1\.0\.0 tells sugar, and yield is wanted"):
        get(store, trusting)


def test_one_that_predicts_otherwise_here_is_refused(
    store: Store, trusting: Releases, bundles: dict[str, YieldBundle], tmp_path: Path
) -> None:
    shutil.copytree(bundles["1.0.0"].folder, tmp_path / "off")
    spoil_sample(tmp_path / "off", "model")
    release(trusting.repository, tmp_path / "off", ungated=REASON)
    with pytest.raises(InputError, match="predicts otherwise here than where it was built"):
        get(store, trusting)
    assert read_active(store, "yield").bundle == ""


def test_one_of_another_byte_is_refused(store: Store, trusting: Releases, bundles: dict[str, YieldBundle]) -> None:
    release(trusting.repository, bundles["1.0.0"].folder, ungated=REASON)
    (archive,) = trusting.repository.targets.iterdir()
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(WrongContentError):
        get(store, trusting)
    assert read_active(store, "yield").bundle == ""


def test_one_that_no_longer_starts_makes_way_for_the_one_before(
    store: Store, trusting: Releases, block: Block, counter: Counter, bundles: dict[str, YieldBundle], tmp_path: Path
) -> None:
    photograph_west(store, counter, block, tmp_path / "photos")
    set_place(store, block.orchard, GANSU)
    for bundle in bundles.values():
        release(trusting.repository, bundle.folder, ungated=REASON)
        get(store, trusting)
    spoil_sample(store.folder / "bundles" / bundles["1.1.0"].identity, "model")
    season = write_season(tmp_path / "season.json", season_file())

    def predicted() -> ModelPredictions:
        found = predictions_for(store, block, find_visit(store, block), season)
        assert isinstance(found, ModelPredictions)
        return found

    found = predicted()
    assert found.model.identity == bundles["1.0.0"].identity
    assert f"{bundles['1.0.0'].identity} serves again" in found.notes[0]
    assert read_active(store, "yield").bundle == bundles["1.0.0"].identity
    assert not any("serves again" in note for note in predicted().notes)
    # nothing before, and nothing that comes with Pomona for this region: the model's own error is told
    spoil_sample(store.folder / "bundles" / bundles["1.0.0"].identity, "model")
    with pytest.raises(ValueError, match="predicts otherwise here"):
        predicted()
