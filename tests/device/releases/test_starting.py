"""What counts once something was installed, and what counts when that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloud_sync.messages import ModelStateBody, decode_body, decode_envelope
from device.commands.common import make_counter
from device.count_bias import detector_of
from device.model_state import note_counting
from device.orchards import Block
from device.releases.active import activate, read_active
from device.releases.counting import LastingCounter
from device.releases.installing import install
from device.releases.source import FolderSource
from device.store import Store
from export.runtime.bundle import open_bundle, sha256_of
from export.runtime.errors import BundleError
from tests.cloud_sync.helpers import enrol
from tests.conftest import Pomona
from tests.drawing import save_photo
from tests.releases import Releases


def get(store: Store, releases: Releases) -> None:
    install(store, FolderSource(releases.source))


def spoil(home: Path, identity: str) -> None:
    """Let a bundle be whole, and yet not start: its graph is none."""
    folder = home / "bundles" / identity
    (folder / "model.onnx").write_bytes(b"no graph")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["model.onnx"] = sha256_of(folder / "model.onnx")
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_count_and_list_take_what_was_installed(
    run_pomona: Pomona, trusting: Releases, home: Path, tmp_path: Path
) -> None:
    first = trusting.add("1.1.0")
    photo = save_photo(tmp_path / "tree.jpg", 3)
    done = run_pomona("models", "install", trusting.source)
    assert done.exit_code == 0, done.err
    assert f"{first} is installed and serves for detection from now on, in place of what comes" in done.out
    counted = json.loads(run_pomona("count", photo, "--json").out)
    assert (counted["bundle"], counted["counts"]["apple"]) == (first, 3)
    shipped = open_bundle()
    told = json.loads(run_pomona("count", photo, "--json", "--bundle", shipped.folder).out)
    assert told["bundle"] == shipped.identity
    second = trusting.add("1.2.0")
    run_pomona("models", "install", trusting.source)
    listed = json.loads(run_pomona("models", "list", "--json").out)
    assert listed["bundle"] == second
    assert [(model["bundle"], model["state"]) for model in listed["models"]] == [
        (second, "active"),
        (first, "previous"),
    ]
    assert run_pomona("models", "rollback").out == f"{first} serves for detection again.\n"
    assert json.loads(run_pomona("count", photo, "--json").out)["bundle"] == first
    assert run_pomona("models", "activate", second).exit_code == 0
    assert second in run_pomona("models", "list").out
    assert run_pomona("models", "activate", "another").exit_code == 2


def test_one_that_does_not_start_makes_way_for_the_one_before(
    store: Store, trusting: Releases, block: Block, capsys: pytest.CaptureFixture[str]
) -> None:
    enrol(trusting.server, store.folder, "kiwi")
    first = trusting.add("1.1.0")
    get(store, trusting)
    with store.change():
        note_counting(store, first, "onnxruntime")
    second = trusting.add("1.2.0")
    get(store, trusting)
    spoil(store.folder, second)
    assert make_counter(None, 1, home=store.folder).bundle.identity == first
    said = capsys.readouterr().err
    assert f"{first} serves again." in said
    active = read_active(store, "detection")
    assert (active.bundle, active.previous) == (first, None)
    assert second in active.reason
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("kiwi", 0, 1000)]
    last = [body for body in bodies if isinstance(body, ModelStateBody)][-1]
    assert (last.model, (last.candidate or "").startswith("discs-1.2.0")) == (first, True)
    assert "the one before came back" in (last.refused or "")
    make_counter(None, 1, home=store.folder)
    assert capsys.readouterr().err == ""


def test_where_both_fail_what_comes_with_pomona_counts(store: Store, trusting: Releases) -> None:
    for version in ("1.1.0", "1.2.0"):
        identity = trusting.add(version)
        get(store, trusting)
        spoil(store.folder, identity)
    assert make_counter(None, 1, home=store.folder).bundle.identity == open_bundle().identity
    assert read_active(store, "detection").bundle == ""


def test_a_trouble_of_the_machine_replaces_no_model(
    store: Store, trusting: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the one before does not start either, it is not the new one's fault."""
    identity = trusting.add("1.1.0")
    get(store, trusting)

    def broken(*_arguments: object) -> None:
        raise BundleError("nothing starts")

    monkeypatch.setattr("export.runtime.engines.choice.choose_engine", broken)
    with pytest.raises(BundleError, match="nothing starts"):
        make_counter(None, 1, home=store.folder)
    assert read_active(store, "detection").bundle == identity


def test_a_process_that_runs_for_weeks_takes_the_new_model(store: Store, trusting: Releases, tmp_path: Path) -> None:
    first = trusting.add("1.1.0")
    get(store, trusting)
    counter = LastingCounter(lambda: make_counter(None, 1, home=store.folder), store.folder, tmp_path / "engines")
    started = counter()
    assert started.bundle.identity == first
    assert counter() is started
    second = trusting.add("1.2.0")
    get(store, trusting)
    assert counter().bundle.identity == second
    activate(store, "detection", first, "by hand")
    assert counter().bundle.identity == first


def test_the_root_is_named_once_and_shown(run_pomona: Pomona, made: Releases) -> None:
    made.add("1.1.0")
    refused = run_pomona("models", "install", made.source)
    assert refused.exit_code == 2
    assert "trusts nobody's releases yet" in refused.err
    done = run_pomona("models", "install", made.source, "--root", made.root)
    assert done.exit_code == 0
    assert done.out.startswith("Root: ")
    assert run_pomona("models", "install", made.source, "--task", "dance").exit_code == 2
    for source in ("nowhere", "http://example.org/releases", "https://"):
        assert run_pomona("models", "install", source).exit_code == 2
    assert run_pomona("models", "install").exit_code == 2  # enrolled nowhere


def test_an_estimate_knows_the_bias_of_an_installed_model(store: Store, trusting: Releases) -> None:
    stages = {"ripening": {"bias": 0.1, "variance": 0.01, "trees": 20}}
    counting = {label: {"threshold": 0.6, "stages": stages} for label in ("apple", "apple_flower")}
    identity = trusting.add("1.1.0", counting=counting)
    get(store, trusting)
    known = detector_of({identity}, "ripening", "apple", None, store.folder / "bundles")
    assert known.factor.value == pytest.approx(1 / 1.1, rel=0.02)
