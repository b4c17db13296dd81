"""What a device makes of the documents it is told of, over real HTTPS."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cloud_sync.documents import Kind, Notice
from cloud_sync.enrolling import hear
from cloud_sync.errors import HttpsError
from cloud_sync.server.documents import Publication, catalogue, publish, withdraw
from cloud_sync.server.releases.releasing import release, repository_of
from device.documents.fetcher import Fetcher
from device.documents.shelf import documents_folder, in_use, shelved
from device.errand import LOOK_AGAIN_S
from device.link import write_metered
from device.releases.active import read_active
from device.store import Store
from export.runtime.bundle import Bundle
from tests.cloud_sync.server.https.conftest import HttpsSite
from tests.cloud_sync.server.test_documents import SEASON, registry
from tests.disc_bundle import make_disc_bundle


class Shelf:
    """A server, and a device's store and fetcher, called by the test in place of its thread."""

    def __init__(self, site: HttpsSite) -> None:
        self.site = site
        self.home = site.home("kiwi")
        site.device("kiwi")
        self.store = Store(self.home)
        self.fetcher = Fetcher(self.home, least_wait_s=0.01)

    def publish(self, kind: Kind, content: dict[str, Any] | Path, name: str | None = None) -> Notice:
        file = content if isinstance(content, Path) else self.site.folder / "document.json"
        if isinstance(content, dict):
            file.write_text(json.dumps(content))
        return publish(self.site.database, self.site.server_folder, Publication(kind, file, name))

    def release(self, bundle: Bundle) -> Notice:
        """Release a bundle, and tell devices."""
        repository = repository_of(self.site.server_folder)
        if not repository.exists:
            repository.make()
            hear(self.home)  # it was enrolled before there were releases
        name = release(repository, bundle.folder, ungated="released in a test, without a champion").name
        return self.publish("release", Path(name))

    def hear(self) -> float | None:
        with self.site.database.read() as session:
            told = catalogue(session, "kiwi", datetime.now(timezone.utc)).model_dump_json().encode()
        return self.fetcher.work(self.store, told)

    def states(self) -> dict[str, tuple[str, str]]:
        return {item.notice.name: (item.state, item.reason) for item in shelved(self.store)}

    def files(self) -> set[str]:
        return {path.name for path in documents_folder(self.home).iterdir()}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    site = HttpsSite(tmp_path)
    with site.serving():
        made = Shelf(site)
        yield made
        made.store.close()


def test_a_version_is_used_until_the_next_one_is_there(shelf: Shelf) -> None:
    """SYNC-124: and then forgotten, with its file."""
    first = shelf.publish("season", SEASON, "Dongshan")
    assert shelf.hear() is None
    assert in_use(shelf.store, "season", "Dongshan") == documents_folder(shelf.home) / first.sha256
    second = shelf.publish("season", {**SEASON, "season": 2027}, "Dongshan")
    lost = shelf.site.server_folder.documents / second.sha256
    content = lost.read_bytes()
    lost.unlink()
    wait_s = shelf.hear()
    assert wait_s is not None
    assert wait_s < 1
    assert shelf.states()["Dongshan"][1].endswith("the server has lost this document; it has to be published again")
    assert in_use(shelf.store, "season", "Dongshan") == documents_folder(shelf.home) / first.sha256
    lost.write_bytes(content)
    assert shelf.fetcher.work(shelf.store, None) is None
    assert in_use(shelf.store, "season", "Dongshan") == documents_folder(shelf.home) / second.sha256
    assert shelf.files() == {second.sha256}


def test_what_is_withdrawn_is_used_no_more(shelf: Shelf) -> None:
    """SYNC-124."""
    shelf.publish("season", SEASON, "Dongshan")
    shelf.hear()
    withdraw(shelf.site.database, "season", "Dongshan")
    assert shelf.hear() is None
    assert in_use(shelf.store, "season", "Dongshan") is None
    assert shelf.files() == set()


def test_what_does_not_fit_is_refused_and_holds_up_nothing(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """SYNC-124: with the reason, which `pomona sync documents` shows."""
    shelf.publish("registry", {**registry({"tree": "1"}), "orchard": "A"})
    shelf.publish("registry", {**registry({"tree": "1"}), "orchard": "B"})
    shelf.publish("season", SEASON, "Dongshan")
    assert shelf.hear() is None
    assert shelf.states()["A"] == shelf.states()["Dongshan"] == ("applied", "")
    state, reason = shelf.states()["B"]
    assert (state, "already belongs to A" in reason) == ("refused", True)
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_what_is_another_document_is_not_fetched_again_and_again(shelf: Shelf) -> None:
    """SYNC-122: an hour passes first; what is published anew comes at once."""
    notice = shelf.publish("season", SEASON, "Dongshan")
    file = shelf.site.server_folder.documents / notice.sha256
    file.write_bytes(file.read_bytes().replace(b"2026", b"2025"))
    for _ in range(2):
        assert shelf.hear() is not None
    assert shelf.states()["Dongshan"][1].endswith("its SHA-256 is another; it was thrown away")
    file.unlink()  # nobody asks for it
    assert shelf.hear() is not None
    assert "thrown away" in shelf.states()["Dongshan"][1]
    shelf.publish("season", {**SEASON, "season": 2027}, "Dongshan")
    assert shelf.hear() is None
    assert shelf.states()["Dongshan"] == ("applied", "")


def test_over_a_metered_link_releases_wait(shelf: Shelf, disc_bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    """SYNC-123: and what is larger than 1 MiB; the rest comes. It is said once."""
    caplog.set_level(logging.INFO)
    write_metered(shelf.store, "yes")
    release = shelf.release(disc_bundle)
    shelf.publish("season", {**SEASON, "filler": "x" * 1_100_000}, "large")
    shelf.publish("season", SEASON, "small")
    for _ in range(2):
        assert shelf.hear() == LOOK_AGAIN_S
    said = "it waits for a link that is not metered, or for `pomona sync metered no`"
    assert shelf.states() == {release.name: ("announced", said), "large": ("announced", said), "small": ("applied", "")}
    assert sum(said in message for message in caplog.messages) == 2
    write_metered(shelf.store, "no")
    assert shelf.fetcher.work(shelf.store, None) is None
    assert {state for state, _ in shelf.states().values()} == {"applied"}


def test_a_server_that_is_away_is_said_of_the_document_too(shelf: Shelf) -> None:
    """SYNC-122: and no other is tried, which would wait as long again for each."""
    for name in ("a", "b"):
        shelf.publish("season", SEASON, name)
    address = shelf.home / "identity" / "https.json"
    address.write_text('{"host": "localhost", "port": 1}')
    with pytest.raises(HttpsError, match="cannot be reached"):
        shelf.hear()
    assert ["cannot be reached" in reason for _, reason in shelf.states().values()] == [True, False]
    address.unlink()
    with pytest.raises(HttpsError, match="has no HTTPS"):
        shelf.fetcher.work(shelf.store, None)


def test_parts_of_what_is_no_longer_wanted_make_room(shelf: Shelf) -> None:
    """SYNC-122: those of what is wanted stay, whichever of several is fetched next."""
    notices = [shelf.publish("season", {**SEASON, "season": year}, str(year)) for year in (2025, 2026)]
    for notice in notices:
        (shelf.site.server_folder.documents / notice.sha256).unlink()
    shelf.hear()
    for sha256 in (*(notice.sha256 for notice in notices), "0" * 64):
        (documents_folder(shelf.home) / f"{sha256}.part").write_bytes(b"{")
    shelf.hear()
    there = {path.name: path.read_bytes() for path in documents_folder(shelf.home).iterdir()}
    assert there == {f"{notice.sha256}.part": b"{" for notice in notices}


def test_a_release_that_is_published_serves_and_one_that_cannot_be_trusted_waits(shelf: Shelf, tmp_path: Path) -> None:
    first = make_disc_bundle(tmp_path / "first", "1.1.0")
    shelf.release(first)
    assert shelf.hear() is None
    assert shelf.states()["discs"] == ("applied", "")
    assert read_active(shelf.store, "detection").bundle == first.identity
    shelf.release(make_disc_bundle(tmp_path / "second", "1.2.0"))
    timestamp = repository_of(shelf.site.server_folder).metadata / "timestamp.json"
    whole = timestamp.read_bytes()
    timestamp.write_bytes(b"{}")
    assert shelf.hear() is not None
    state, reason = shelf.states()["discs"]
    assert (state, "not what this device trusts" in reason) == ("announced", True)
    assert read_active(shelf.store, "detection").bundle == first.identity
    timestamp.write_bytes(whole)
    shelf.fetcher = Fetcher(shelf.home, least_wait_s=0.01)
    assert shelf.hear() is None
    assert read_active(shelf.store, "detection").previous == first.identity


def test_a_release_over_https_goes_on_where_it_was_broken_off(shelf: Shelf, tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path / "first", "1.1.0")
    shelf.release(bundle)
    repository = repository_of(shelf.site.server_folder)
    (archive,) = repository.targets.iterdir()
    downloads = shelf.home / "releases" / "downloads"
    downloads.mkdir(parents=True)
    whole = archive.read_bytes()
    # what is there is not sent again: the server's first half could not complete it
    (downloads / f"{archive.name.split('.')[0]}.part").write_bytes(whole[: len(whole) // 2])
    archive.write_bytes(b"x" * (len(whole) // 2) + whole[len(whole) // 2 :])
    assert shelf.hear() is None
    assert read_active(shelf.store, "detection").bundle == bundle.identity
