"""The repository of releases: what may enter it, who signs, and what a death leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from cloud_sync.server.errors import ReleaseError
from cloud_sync.server.releases.keys import KeyFolders
from cloud_sync.server.releases.releasing import (
    read_decision,
    record_decision,
    release,
    releases,
    repository_of,
    withdraw,
)
from cloud_sync.server.releases.repository import ReleaseRepository
from device.releases.source import FolderSource, SourceFetcher
from tests.disc_bundle import make_disc_bundle
from tests.releases import REASON, Releases, judged


@pytest.fixture
def made(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def seen(made: Releases, cache: Path) -> list[str]:
    """What python-tuf's own client finds, trusting the first root."""
    fetcher = SourceFetcher(FolderSource(made.source))
    cache.mkdir(exist_ok=True)
    updater = Updater(str(cache), "metadata", None, "targets", fetcher, bootstrap=made.root.read_bytes())
    updater.refresh()
    return sorted(updater._trusted_set.targets.targets)


def test_what_passed_the_gate_is_released_with_the_figures(made: Releases, tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path / "new", "1.1.0")
    path = record_decision(made.server, judged(bundle.identity))
    done = release(made.repository, bundle.folder, read_decision(path))
    assert done.name == "discs-1.1.0"
    assert done.told["decision"]["released"] is True
    assert done.told["decision"]["champion"] == "old 1.0.0"
    assert (done.told["task"], done.told["crop"], done.told["region"]) == ("detection", "apple", "nowhere")
    assert releases(made.repository) == [done]
    assert seen(made, tmp_path / "cache") == ["discs-1.1.0.zip"]


def test_what_did_not_pass_is_not_released(made: Releases, tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path / "new", "1.1.0")
    decision = judged(bundle.identity, 1.5)
    with pytest.raises(ReleaseError, match=r"the gate did not let discs-1\.1\.0 pass: not shown to be better"):
        release(made.repository, bundle.folder, decision)
    path = record_decision(made.server, decision)
    path.write_text(path.read_text().replace('"released": false', '"released": true'))
    with pytest.raises(ReleaseError, match="contradicts itself"):
        read_decision(path)
    with pytest.raises(ReleaseError, match="the decision is about another, not about discs"):
        release(made.repository, bundle.folder, judged("another"))
    assert releases(made.repository) == []


def test_without_the_gate_a_reason_is_kept(made: Releases, tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path / "new", "1.1.0")
    for decision, reason in ((None, None), (judged(bundle.identity), REASON), (None, "because")):
        with pytest.raises(ReleaseError, match=r"a release needs the gate's decision|say in a sentence"):
            release(made.repository, bundle.folder, decision, reason)
    assert release(made.repository, bundle.folder, ungated=REASON).told["ungated"] == REASON


def test_a_name_means_one_bundle_for_ever(made: Releases, tmp_path: Path) -> None:
    made.add("1.1.0")
    with pytest.raises(ReleaseError, match="is released already; give the bundle another version"):
        made.add("1.1.0", region="elsewhere")
    withdraw(made.repository, "discs-1.1.0")
    assert seen(made, tmp_path / "cache") == []
    with pytest.raises(ReleaseError, match="is not released"):
        withdraw(made.repository, "discs-1.1.0")


def test_a_new_key_of_any_role_is_followed_and_the_former_one_signs_nothing(made: Releases, tmp_path: Path) -> None:
    made.add("1.1.0")
    cache = tmp_path / "cache"
    seen(made, cache)
    for role in ("root", "targets", "snapshot", "timestamp", "root"):
        former = made.repository.keys.path(role).read_bytes()
        made.repository.rotate(role)
        assert made.repository.keys.path(role).read_bytes() != former
        assert seen(made, cache) == seen(made, tmp_path / f"fresh {role}") == ["discs-1.1.0.zip"]
        current = made.repository.keys.path(role).read_bytes()
        made.repository.keys.path(role).write_bytes(former)
        with pytest.raises(ReleaseError, match="is not the key that devices trust"):
            made.repository.renew(offline=True)
        made.repository.keys.path(role).write_bytes(current)
    made.add("1.2.0")
    assert seen(made, cache) == ["discs-1.1.0.zip", "discs-1.2.0.zip"]


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
@pytest.mark.parametrize("lost", ["promote", "_publish"])
def test_a_change_of_keys_that_dies_is_finished_by_the_next_command(
    made: Releases, tmp_path: Path, role: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add("1.1.0")
    with monkeypatch.context() as patches:
        owner = KeyFolders if lost == "promote" else ReleaseRepository

        def die(*_arguments: object, **_options: object) -> None:
            raise KeyboardInterrupt

        patches.setattr(owner, lost, die)
        with pytest.raises(KeyboardInterrupt):
            made.repository.rotate(role)
    made.repository.renew()
    assert seen(made, tmp_path / "cache") == ["discs-1.1.0.zip"]


def test_offline_keys_lie_elsewhere_and_are_encrypted(tmp_path: Path, made: Releases) -> None:
    stick = tmp_path / "stick"
    other = ReleaseRepository(tmp_path / "other", KeyFolders(tmp_path / "online", stick, lambda: "red delicious"))
    other.make("red delicious")
    assert {path.name for path in stick.iterdir()} == {"root.key", "targets.key"}
    assert {path.name for path in (tmp_path / "online").iterdir()} == {"snapshot.key", "timestamp.key"}
    assert all(b"ENCRYPTED" in path.read_bytes() for path in stick.iterdir())
    bundle = make_disc_bundle(tmp_path / "new", "1.1.0")
    release(other, bundle.folder, ungated=REASON)
    other.rotate("targets")
    assert b"ENCRYPTED" in (stick / "targets.key").read_bytes()
    without = ReleaseRepository(other.folder, KeyFolders(tmp_path / "online", tmp_path / "online"))
    without.renew()  # the online keys are enough for it
    with pytest.raises(ReleaseError, match=r"targets\.key cannot be read: .*name the folder that holds it with --keys"):
        withdraw(without, "discs-1.1.0")
    wrong = ReleaseRepository(other.folder, KeyFolders(tmp_path / "online", stick, lambda: "golden delicious"))
    with pytest.raises(ReleaseError, match="is the pass phrase its own"):
        withdraw(wrong, "discs-1.1.0")


@pytest.mark.parametrize("killed_at", range(4))
def test_a_release_that_dies_is_there_or_not(
    made: Releases, tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add("1.1.0")
    real = Path.replace
    placed: list[Path] = []

    def place(self: Path, target: Path) -> Path:
        placed.append(target)
        if len(placed) > killed_at:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patches:
        patches.setattr(Path, "replace", place)
        with pytest.raises(KeyboardInterrupt):
            made.add("1.2.0")
    assert seen(made, tmp_path / "cache") == ["discs-1.1.0.zip"]
    release(made.repository, tmp_path / "discs-1.2.0", ungated=REASON)
    assert seen(made, tmp_path / "cache") == ["discs-1.1.0.zip", "discs-1.2.0.zip"]


def test_a_damaged_repository_is_named(made: Releases) -> None:
    timestamp = made.repository.metadata / "timestamp.json"
    timestamp.write_text(json.dumps({"signed": {}, "signatures": []}))
    with pytest.raises(ReleaseError, match=r"timestamp\.json is damaged"):
        releases(made.repository)
    timestamp.unlink()
    with pytest.raises(ReleaseError, match="has no releases yet; begin with"):
        releases(repository_of(made.server))
