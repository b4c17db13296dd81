"""Documents over HTTPS: who gets which, from which byte on, and what is left behind by what is broken off."""

from __future__ import annotations

import contextlib
import http.client
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_sync import fetching
from cloud_sync.documents import DOCUMENTS, Notice
from cloud_sync.errors import FetchError, HttpsError, WrongContentError
from cloud_sync.fetching import fetch
from cloud_sync.https import HttpsRefusedError, client_of
from cloud_sync.identity import Identity
from cloud_sync.server.certificates import Authority
from cloud_sync.server.documents import Publication, publish, withdraw
from tests.cloud_sync.helpers import free_port
from tests.cloud_sync.server.https.conftest import HttpsSite

_NAMES = iter(range(1_000_000))


def published(site: HttpsSite, folder: Path, device: str | None = None, size: int = 300_000) -> tuple[Notice, bytes]:
    """A season file about an orchard of its own, filled with what cannot be guessed."""
    content = b'{"schema": "pomona-season/1", "filler": "' + os.urandom(size // 2).hex().encode() + b'"}'
    path = folder / "document"
    path.write_bytes(content)
    name = f"orchard {next(_NAMES)}"
    return publish(site.database, site.server_folder, Publication("season", path, name, device)), content


@contextlib.contextmanager
def asked(site: HttpsSite, identity: Identity, sha256: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPSConnection(
        site.address.host, site.address.port, timeout=10, context=site.context(identity)
    )
    with contextlib.closing(connection):
        connection.request("GET", f"{DOCUMENTS}/{sha256}", headers=headers)
        yield connection.getresponse()


def test_a_document_comes_whole_or_from_a_byte_on(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-121."""
    identity = https_site.device("reader")
    notice, content = published(https_site, tmp_path)
    with asked(https_site, identity, notice.sha256) as answer:
        assert (answer.status, answer.read()) == (200, content)
        assert answer.headers["ETag"] == f'"{notice.sha256}"'
    with asked(https_site, identity, notice.sha256, Range="bytes=123456-") as answer:
        assert (answer.status, answer.read()) == (206, content[123456:])
        assert answer.headers["Content-Range"] == f"bytes 123456-{len(content) - 1}/{len(content)}"
        assert answer.headers["ETag"] == f'"{notice.sha256}"'
    with asked(https_site, identity, notice.sha256, Range=f"bytes={len(content)}-") as answer:
        assert answer.status == 416


def test_a_device_gets_what_is_for_it_or_for_all_and_nothing_else(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-121: what is another's, withdrawn, replaced or unknown looks the same."""
    mine, other = https_site.device("mine"), https_site.device("other")
    own, content = published(https_site, tmp_path, "mine")
    with asked(https_site, mine, own.sha256) as answer:
        assert (answer.status, answer.read()) == (200, content)
    statuses = []
    for identity, sha256 in ((other, own.sha256), (mine, "0" * 64)):
        with asked(https_site, identity, sha256) as answer:
            statuses.append((answer.status, answer.read()))
    withdraw(https_site.database, "season", own.name, "mine")
    with asked(https_site, mine, own.sha256) as answer:
        statuses.append((answer.status, answer.read()))
    assert statuses == [(404, b'{"reason":"no document of this hash is published for this device"}')] * 3
    for wrong in ("x" * 64, "0" * 63, "%2e%2e%2fauthority%2froot.key", own.sha256.upper()):
        with asked(https_site, mine, wrong) as answer:
            assert answer.status in {404, 422}


def test_a_revoked_device_gets_nothing(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-121."""
    identity = https_site.device("stolen-reader")
    notice, _ = published(https_site, tmp_path)
    Authority(https_site.server_folder).withdraw("stolen-reader")
    with pytest.raises(HttpsRefusedError, match="certificate of 'stolen-reader' was revoked"):
        fetch(client_of(identity), notice, tmp_path / "shelf")


def test_a_fetch_goes_on_where_another_ended(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-122: at any byte; what is on the disk is not sent again."""
    identity = https_site.device("patient")
    notice, content = published(https_site, tmp_path)
    for have in (0, 1, 65_535, 65_536, 65_537, len(content) - 1, len(content)):
        shelf = tmp_path / str(have)
        shelf.mkdir()
        (shelf / f"{notice.sha256}.part").write_bytes(content[:have])
        assert fetch(client_of(identity), notice, shelf).read_bytes() == content
        assert [path.name for path in shelf.iterdir()] == [notice.sha256]


def test_what_is_not_what_was_announced_is_thrown_away(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-122: a part that was damaged, a file that was changed at the server, and one that is longer."""
    identity = https_site.device("careful-reader")
    notice, content = published(https_site, tmp_path)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / f"{notice.sha256}.part").write_bytes(b"?" + content[1:70_000])
    with pytest.raises(WrongContentError, match=r"its SHA-256 is another; it was thrown away"):
        fetch(client_of(identity), notice, shelf)
    assert list(shelf.iterdir()) == []
    file = https_site.server_folder.documents / notice.sha256
    file.write_bytes(b"?" + content[1:])
    with pytest.raises(WrongContentError, match="its SHA-256 is another"):
        fetch(client_of(identity), notice, shelf)
    shorter = notice.model_copy(update={"size_bytes": notice.size_bytes - 1})
    with pytest.raises(WrongContentError, match="is longer at the server than it was announced"):
        fetch(client_of(identity), shorter, shelf)
    (shelf / f"{notice.sha256}.part").unlink()
    file.write_bytes(content)
    assert fetch(client_of(identity), notice, shelf).read_bytes() == content


def test_a_document_the_server_has_lost_is_said_to_be_so(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-121: and is there again after it was published again."""
    identity = https_site.device("waiting")
    notice, content = published(https_site, tmp_path)
    for damage in (lambda file: file.write_bytes(b""), Path.unlink):
        damage(https_site.server_folder.documents / notice.sha256)
        with pytest.raises(FetchError, match="the server has lost this document; it has to be published again"):
            fetch(client_of(identity), notice, tmp_path / "shelf")
    publish(https_site.database, https_site.server_folder, Publication("season", tmp_path / "document", notice.name))
    assert fetch(client_of(identity), notice, tmp_path / "shelf").read_bytes() == content


def test_a_disk_that_is_nearly_full_is_left_to_the_counts(
    https_site: HttpsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-123."""
    identity = https_site.device("crammed")
    notice, _ = published(https_site, tmp_path)
    monkeypatch.setattr(fetching, "SPARED_BYTES", 1 << 60)  # more than any disk has
    with pytest.raises(FetchError, match=r"are left for counts, and \d+ MB are free; free some space"):
        fetch(client_of(identity), notice, tmp_path / "shelf")
    assert (tmp_path / "shelf" / f"{notice.sha256}.part").stat().st_size == 0


def test_a_server_that_is_away_is_told_from_one_that_refuses(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-122: the first is waited for, whatever is wanted of it."""
    identity = https_site.device("lonely")
    notice, _ = published(https_site, tmp_path, "somebody")
    with pytest.raises(FetchError, match="no document of this hash is published for this device"):
        fetch(client_of(identity), notice, tmp_path / "shelf")
    assert identity.https is not None
    away = replace(identity, https=identity.https.model_copy(update={"port": free_port()}))
    with pytest.raises(HttpsError, match="cannot be reached"):
        fetch(client_of(away), notice, tmp_path / "shelf")
    with pytest.raises(HttpsError, match="the server of this device has no HTTPS"):
        client_of(replace(identity, https=None))
