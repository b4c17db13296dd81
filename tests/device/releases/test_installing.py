"""Installing releases from a folder: what is trusted, what is refused, and what serves afterwards."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cloud_sync import clock
from cloud_sync.errors import FetchError, WrongContentError
from cloud_sync.files import identity_folder
from cloud_sync.identity import release_root_file
from cloud_sync.server.releases.releasing import release, withdraw
from cloud_sync.timekeeping import Timekeeper
from device.commands.common import make_counter
from device.errors import InputError, ReleaseError
from device.model_state import read_model_state
from device.orchards import Block
from device.releases.active import activate, bundles_folder, installed, read_active, roll_back
from device.releases.installing import Installed, Wanted, install
from device.releases.source import FolderSource
from device.releases.trust import trust_root
from device.store import Store
from export.runtime.bundle_archive import pack_bundle
from tests.cloud_sync.helpers import enrol, make_server
from tests.device.visiting import bring_in, photograph, table
from tests.disc_bundle import make_disc_bundle, write_manifest
from tests.releases import REASON, Releases, days_ago


def get(store: Store, releases: Releases, name: str | None = None) -> list[Installed]:
    return install(store, FolderSource(releases.source), Wanted(name))


def serving(store: Store) -> tuple[str, str | None]:
    active = read_active(store, "detection")
    return active.bundle, active.previous


def test_the_newest_that_fits_serves_and_the_one_before_stays(store: Store, trusting: Releases) -> None:
    first = trusting.add("1.1.0")
    (done,) = get(store, trusting)
    assert done == Installed("discs-1.1.0", "detection", first, "", anew=True)
    assert serving(store) == (first, "")
    second = trusting.add("1.2.0")
    get(store, trusting)
    assert serving(store) == (second, first)
    assert [bundle.identity for bundle in installed(store)] == sorted([first, second])
    assert not get(store, trusting)[0].anew
    assert serving(store) == (second, first)
    roll_back(store, "detection")
    assert serving(store) == (first, None)
    with pytest.raises(InputError, match="no earlier model for detection"):
        roll_back(store, "detection")
    assert not list((store.folder / "releases" / "downloads").iterdir())
    assert read_model_state(store).candidate == second


def test_one_release_by_its_name_and_the_server_can_take_one_back(store: Store, trusting: Releases) -> None:
    first, second = trusting.add("1.1.0"), trusting.add("1.2.0")
    get(store, trusting, "discs-1.1.0")
    assert serving(store) == (first, "")
    get(store, trusting)
    assert serving(store) == (second, first)
    withdraw(trusting.repository, "discs-1.2.0")
    get(store, trusting)
    assert serving(store) == (first, second)
    with pytest.raises(InputError, match=r"no release is called discs-1\.2\.0; there are discs-1\.1\.0"):
        get(store, trusting, "discs-1.2.0")


def test_nobody_is_trusted_before_a_root_was_named(store: Store, made: Releases, tmp_path: Path) -> None:
    made.add("1.1.0")
    with pytest.raises(InputError, match="trusts nobody's releases yet"):
        get(store, made)
    other = Releases(tmp_path / "other")
    other.add("1.1.0")
    trust_root(store.folder, made.root)
    with pytest.raises(InputError, match="this device trusts another root already"):
        trust_root(store.folder, other.root)
    with pytest.raises(ReleaseError, match="are not what this device trusts"):
        get(store, other)
    with pytest.raises(InputError, match="is no root of releases"):
        trust_root(store.folder, made.repository.metadata / "timestamp.json")
    assert serving(store) == ("", None)


# --- what does not fit -----------------------------------------------------------------------------------------------


def test_a_model_for_another_crop_is_refused_before_it_is_fetched(
    store: Store, trusting: Releases, block: Block
) -> None:
    trusting.add("1.1.0", crop="pear")
    shutil.rmtree(trusting.repository.targets)
    with pytest.raises(InputError, match=r"discs 1\.1\.0 is made for pear, and the orchard grows apple"):
        get(store, trusting)
    with pytest.raises(InputError, match="it is not installed"):
        get(store, trusting, "discs-1.1.0")
    assert "made for pear" in (read_model_state(store).refused or "")
    assert serving(store) == ("", None)


def test_a_model_that_fails_when_it_is_tried_is_refused(store: Store, trusting: Releases) -> None:
    first = trusting.add("1.1.0")
    get(store, trusting)
    folder = trusting.folder / "discs-1.2.0"
    make_disc_bundle(folder, "1.2.0")
    (folder / "model.onnx").write_bytes(b"no graph")
    write_manifest(folder, version="1.2.0")
    release_folder(trusting, folder)
    with pytest.raises(InputError, match=r"discs-1\.2\.0 is not installed: it failed when it was tried"):
        get(store, trusting)
    assert serving(store) == (first, "")
    assert "failed when it was tried" in (read_model_state(store).refused or "")
    assert [path.name for path in bundles_folder(store.folder).iterdir()] == [first]


def release_folder(releases: Releases, folder: Path) -> None:
    release(releases.repository, folder, ungated=REASON)


# --- what was tampered with ------------------------------------------------------------------------------------------


def test_a_target_that_was_changed_is_thrown_away(store: Store, trusting: Releases) -> None:
    trusting.add("1.1.0")
    (archive,) = trusting.repository.targets.iterdir()
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(WrongContentError, match="its SHA-256 is another; it was thrown away"):
        get(store, trusting)
    archive.write_bytes(content + b"more")
    with pytest.raises(WrongContentError, match="its SHA-256 is another; it was thrown away"):
        get(store, trusting)
    archive.write_bytes(content[:1000])
    with pytest.raises(FetchError, match="is shorter than it should be"):
        get(store, trusting)
    archive.unlink()
    with pytest.raises(FetchError, match="is it still there"):
        get(store, trusting)
    assert serving(store) == ("", None)


@pytest.mark.parametrize("role", ["timestamp", "2.snapshot", "2.targets"])
@pytest.mark.parametrize("how", ["altered", "unsigned", "no JSON", "gone", "endless"])
def test_metadata_that_were_changed_are_refused(store: Store, trusting: Releases, role: str, how: str) -> None:
    trusting.add("1.1.0")
    path = trusting.repository.metadata / f"{role}.json"
    told = json.loads(path.read_bytes())
    if how == "altered":
        told["signed"]["version"] += 1
    if how == "unsigned":
        told["signatures"] = []
    path.write_text(json.dumps(told))
    if how == "no JSON":
        path.write_bytes(b"\xff{")
    if how == "gone":
        path.unlink()
    if how == "endless":
        path.unlink()
        path.symlink_to("/dev/zero")
    with pytest.raises(ReleaseError, match=r"are not what this device trusts|cannot be read"):
        get(store, trusting)
    assert serving(store) == ("", None)


def test_an_older_state_of_the_repository_is_refused(store: Store, trusting: Releases, tmp_path: Path) -> None:
    trusting.add("1.1.0")
    shutil.copytree(trusting.source, tmp_path / "older")
    second = trusting.add("1.2.0")
    get(store, trusting)
    with pytest.raises(ReleaseError, match="are not what this device trusts"):
        install(store, FolderSource(tmp_path / "older"))
    # nor the newest timestamp over older files
    shutil.copy(trusting.repository.metadata / "timestamp.json", tmp_path / "older" / "metadata")
    for path in (store.folder / "releases" / "metadata").glob("[st]*s*.json"):
        path.unlink(missing_ok=True)
    with pytest.raises(ReleaseError, match="cannot be read"):
        install(store, FolderSource(tmp_path / "older"))
    assert serving(store)[0] == second


def test_a_release_that_holds_another_bundle_is_refused(store: Store, trusting: Releases) -> None:
    """Signed by the right key: names and contents were mixed up."""
    bundle = make_disc_bundle(trusting.folder / "discs", "1.1.0")
    archive = trusting.folder / "discs.zip"
    pack_bundle(bundle, archive)
    told: dict[str, object] = {
        field: getattr(bundle.manifest, field) for field in ("task", "crop", "region", "target", "name")
    }
    told |= {"version": "1.1.0", "identity": bundle.identity, "number": 1}
    others: list[dict[str, object]] = [{"version": "1.2.0"}, {"identity": "discs-1.1.0+0"}, {"region": "elsewhere"}]
    for changes in others:
        name = f"discs-{(told | changes)['version']}.zip"
        trusting.repository.add(name, archive.read_bytes(), told | changes)
        with pytest.raises(InputError, match="another bundle than it says"):
            get(store, trusting)
        trusting.repository.remove(name)
    wrong: list[dict[str, object]] = [{"identity": "../../etc"}, {"identity": ""}, {"number": 0}, {"crop": None}]
    for changes in wrong:
        trusting.repository.add("discs-1.1.0.zip", archive.read_bytes(), told | changes)
        with pytest.raises(ReleaseError, match="is described wrongly"):
            get(store, trusting)
        trusting.repository.remove("discs-1.1.0.zip")
    assert serving(store) == ("", None)


def test_an_archive_that_would_write_elsewhere_is_refused(store: Store, trusting: Releases, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../escaped", "here")
    told = {"task": "detection", "crop": "apple", "region": "r", "target": "t", "name": "discs", "version": "1.1.0"}
    trusting.repository.add("discs-1.1.0.zip", packed.getvalue(), told | {"identity": "discs-1.1.0+0", "number": 1})
    with pytest.raises(InputError, match="would lie beside the bundle"):
        get(store, trusting)
    assert not list(tmp_path.rglob("escaped"))


# --- time ------------------------------------------------------------------------------------------------------------


def test_releases_that_have_ended_are_refused(store: Store, home: Path, tmp_path: Path) -> None:
    old = Releases(tmp_path / "old", days_ago(40))
    old.add("1.1.0")
    trust_root(home, old.root)
    with pytest.raises(ReleaseError, match="have ended"):
        get(store, old)
    Releases(tmp_path / "old").repository.renew()
    assert get(store, old)[0].anew


@pytest.mark.parametrize("lies", [False, True])
def test_what_has_ended_is_judged_by_what_is_known_to_have_passed(
    store: Store, home: Path, trusting: Releases, monkeypatch: pytest.MonkeyPatch, lies: bool
) -> None:
    """The server once said a later time than this machine's clock, which is 40 days behind, or says 1970."""
    trusting.add("1.1.0")
    if lies:
        monkeypatch.setattr(clock, "now", lambda: datetime(1970, 1, 1, tzinfo=timezone.utc))
    monkeypatch.setattr(clock, "is_synchronised", lambda: False)
    Timekeeper(identity_folder(home)).learn_floor(days_ago(-40)())
    with pytest.raises(ReleaseError, match=r"have ended .*; or the clock of this device is wrong"):
        get(store, trusting)
    assert serving(store) == ("", None)


def test_a_clock_that_is_years_ahead_installs_nothing_and_says_why(
    store: Store, trusting: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting.add("1.1.0")
    monkeypatch.setattr(clock, "now", lambda: datetime.now(timezone.utc) + timedelta(days=4000))
    monkeypatch.setattr(clock, "is_synchronised", lambda: False)
    with pytest.raises(ReleaseError, match="which nobody vouches for: run pomona sync"):
        get(store, trusting)


def test_a_device_follows_new_keys(store: Store, trusting: Releases) -> None:
    trusting.add("1.1.0")
    get(store, trusting)
    for role in ("root", "targets", "timestamp", "root"):
        trusting.repository.rotate(role)
    second = trusting.add("1.2.0")
    get(store, trusting)
    assert serving(store)[0] == second


def test_a_store_has_one_row_for_what_serves(store: Store, trusting: Releases) -> None:
    trusting.add("1.1.0")
    get(store, trusting)
    (row,) = table(store, "active_model")
    assert row["reason"] == f"installed from {trusting.source}"


def test_an_enrolment_brings_the_root(tmp_path: Path, made: Releases) -> None:
    made.repository.rotate("root")
    device = tmp_path / "device"
    enrol(made.server, device, "kiwi")
    assert release_root_file(device).read_bytes() == made.repository.newest_root()
    plain = tmp_path / "plain"
    enrol(make_server(tmp_path / "without"), plain, "kiwi")
    assert not release_root_file(plain).exists()


# --- what is deleted ----------------------------------------------------------------------------------------------


def test_what_neither_serves_nor_served_before_nor_counted_is_deleted(
    store: Store, trusting: Releases, block: Block, tmp_path: Path
) -> None:
    counted = trusting.add("1.1.0")
    get(store, trusting)
    bring_in(store, make_counter(None, 1, home=store.folder), block, photograph(tmp_path / "photos", "T1", 3))
    names = [trusting.add(f"1.{number}.0") for number in (2, 3, 4)]
    for number in (2, 3, 4):
        get(store, trusting, f"discs-1.{number}.0")
    assert serving(store) == (names[2], names[1])
    kept = sorted([counted, names[1], names[2]])
    assert sorted(path.name for path in bundles_folder(store.folder).iterdir()) == kept
    with pytest.raises(InputError, match="is not installed any more"):
        activate(store, "detection", names[0], "by hand")
