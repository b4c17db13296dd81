"""Documents for devices: checked, versioned, listed for whom they are meant, and told."""

from __future__ import annotations

import hashlib
import json
import queue
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud_sync.device_state import DeviceState
from cloud_sync.documents import Kind, Notice, decode_catalogue
from cloud_sync.outbox import new_id
from cloud_sync.server.announcing import Announcer
from cloud_sync.server.database import Database, Device, Record
from cloud_sync.server.documents import Publication, catalogue, file_for, publish, withdraw
from cloud_sync.server.errors import DocumentError, ReleaseError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.holdings import read_holdings
from cloud_sync.server.releases.releasing import release, repository_of
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from export.runtime.bundle import Bundle
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.device.fitted_prior import write_prior

SEASON = {
    "schema": "pomona-season/1",
    "season": 2026,
    "grid": {"north": 34.6, "west": 105.7, "cell_height_deg": 0.1, "cell_width_deg": 0.1},
    "variables": {"predicted_yield": {"unit": "kg/mu", "values": [[1300.0]]}},
}


def registry(*trees: dict[str, Any]) -> dict[str, Any]:
    blocks = [{"block": "A", "registered": list(trees)}]
    return {"schema": "pomona-registry/1", "orchard": "Dongshan", "blocks": blocks}


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "document.json"
    path.write_text(json.dumps(content))
    return path


def listed(database: Database, device: str) -> list[tuple[str, str, int]]:
    with database.read() as session:
        documents = catalogue(session, device, datetime.now(timezone.utc)).documents
    return [(notice.kind, notice.name, notice.version) for notice in documents]


def test_what_is_published_is_listed_for_every_device_and_kept_under_its_hash(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    path = written(tmp_path, SEASON)
    notice = publish(database, server_folder, Publication("season", path, "Dongshan"))
    assert notice == Notice(
        kind="season",
        name="Dongshan",
        version=1,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
    )
    assert listed(database, "kiwi-07") == listed(database, "jetson-1") == [("season", "Dongshan", 1)]
    with database.read() as session:
        file = file_for(session, server_folder, "kiwi-07", notice.sha256)
        assert file is not None
        assert file.read_bytes() == path.read_bytes()


def test_a_change_is_a_new_version_and_the_same_file_is_none(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    for season, version in ((2025, 1), (2025, 1), (2026, 2), (2025, 3)):
        path = written(tmp_path, {**SEASON, "season": season})
        assert publish(database, server_folder, Publication("season", path, "Dongshan")).version == version
    assert listed(database, "kiwi-07") == [("season", "Dongshan", 3)]


def test_what_is_meant_for_one_device_is_for_no_other_and_goes_before_what_is_for_all(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    for_all = publish(database, server_folder, Publication("season", written(tmp_path, SEASON), "Dongshan"))
    own_file = written(tmp_path, {**SEASON, "season": 2025})
    own = publish(database, server_folder, Publication("season", own_file, "Dongshan", "kiwi-07"))
    with database.read() as session:
        now = datetime.now(timezone.utc)
        assert catalogue(session, "kiwi-07", now).documents == [own]
        assert catalogue(session, "jetson-1", now).documents == [for_all]
        assert file_for(session, server_folder, "kiwi-07", own.sha256) is not None
        assert file_for(session, server_folder, "jetson-1", own.sha256) is None
        assert file_for(session, server_folder, "jetson-1", "0" * 64) is None
    withdraw(database, "season", "Dongshan", "kiwi-07")
    with database.read() as session:
        assert catalogue(session, "kiwi-07", now).documents == [for_all]


def test_what_is_withdrawn_is_listed_no_more_and_may_come_again(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    publication = Publication("season", written(tmp_path, SEASON), "Dongshan")
    publish(database, server_folder, publication)
    withdraw(database, "season", "Dongshan")
    assert listed(database, "kiwi-07") == []
    with pytest.raises(DocumentError, match="no season 'Dongshan' is published for all devices"):
        withdraw(database, "season", "Dongshan")
    assert publish(database, server_folder, publication).version == 3


def test_each_kind_says_what_it_is_about(
    database: Database, server_folder: ServerFolder, tmp_path: Path, disc_bundle: Bundle
) -> None:
    plan = {"schema": "pomona-plan/1", "orchard": "Dongshan", "block": "A", "design": "random", "walk": [{"tree": "1"}]}
    repository = repository_of(server_folder)
    repository.make()
    name = release(repository, disc_bundle.folder, ungated="released in a test, without a champion").name
    files: list[tuple[Kind, Path]] = [
        ("registry", written(tmp_path, registry())),
        ("prior", write_prior(tmp_path / "prior.json")),
        ("release", Path(name)),
        ("release", Path(name)),
    ]
    names = [publish(database, server_folder, Publication(kind, file)).name for kind, file in files]
    names.append(publish(database, server_folder, Publication("plan", written(tmp_path, plan))).name)
    bundle = disc_bundle.manifest.name
    assert names == ["Dongshan", "correction factor", bundle, bundle, "Dongshan/A"]
    assert [version for kind, _, version in listed(database, "kiwi-07") if kind == "release"] == [1]


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("season", b"{}", "is no season: its schema is not 'pomona-season/1'"),
        ("season", b"\xff", "is no season"),
        ("season", json.dumps(SEASON).encode(), "does not say what it is about; name it with --name"),
        ("prior", b'{"schema": "pomona-factor-prior/1"}', "is no prior"),
        ("registry", b'{"schema": "pomona-registry/2", "orchard": "D", "blocks": []}', "schema: Input should be"),
        ("registry", json.dumps(registry({"tree": "T1"}, {"tree": "T1"})).encode(), "means both 'T1' and 'T1'"),
        ("plan", b"[]", r"document: Input should be an object"),
        ("release", b"an archive", "has no releases yet; begin with `pomona server release init`"),
        ("season", None, "cannot be read: No such file or directory; check the path"),
    ],
)
def test_what_is_no_document_of_its_kind_is_refused(
    database: Database, server_folder: ServerFolder, tmp_path: Path, kind: Kind, content: bytes | None, said: str
) -> None:
    path = tmp_path / "document"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((DocumentError, ReleaseError), match=said):
        publish(database, server_folder, Publication(kind, path))
    assert listed(database, "kiwi-07") == []


def give(worker: Worker, kind: str, device: str, **body: Any) -> None:
    fields = envelope(kind, device=device, body={**EXAMPLES[kind], **body})
    worker.process([Delivery(received(fields), lambda: None)])


def test_a_tree_under_two_codes_counts_once_after_a_registry_has_said_so(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    give(worker, "count", "kiwi-07", tree="A-01", reviewed=40)
    give(worker, "count", "jetson-1", tree="by the gate", reviewed=50)
    with database.read() as session:
        assert read_holdings(session).blocks[0].counts == {"apple": 90}
    publish(
        database,
        server_folder,
        Publication("registry", written(tmp_path, registry({"tree": "A-01", "was": ["by the gate"]}))),
    )
    with database.read() as session:
        assert read_holdings(session).blocks[0].counts == {"apple": 50}


def test_what_comes_later_under_the_old_code_is_about_the_same_tree(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    file = written(tmp_path, registry({"tree": "A-01", "was": ["by the gate"]}))
    publish(database, server_folder, Publication("registry", file))
    worker = Worker(
        database, queue.Queue(), lambda _device, _answers: None, Announcer(database, lambda _topic, _payload: None)
    )
    give(worker, "count", "kiwi-07", tree="A-01", reviewed=40)
    give(worker, "count", "jetson-1", tree="by the gate", reviewed=50)
    with database.read() as session:
        assert read_holdings(session).blocks[0].counts == {"apple": 50}
        bodies = session.scalars(select(Record.body).order_by(Record.device))
        assert [body["tree"] for body in bodies] == ["by the gate", "A-01"]  # as they were sent


def test_a_device_that_comes_online_is_told(database: Database, server_folder: ServerFolder, tmp_path: Path) -> None:
    publish(database, server_folder, Publication("season", written(tmp_path, SEASON), "Dongshan"))
    told: list[str] = []
    announcer = Announcer(database, lambda topic, _payload: told.append(topic))
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None, announcer)
    for online in (True, False):
        payload = DeviceState(online=online, store=new_id()).payload()
        state = Received("pomona/v1/kiwi-07/state", payload, b"", datetime.now(timezone.utc))
        worker.process([Delivery(state, lambda: None)])
    assert told == ["pomona/v1/kiwi-07/down/document"]


def test_devices_that_are_online_are_told_once_of_what_is_new(
    database: Database, server_folder: ServerFolder, tmp_path: Path
) -> None:
    told: list[tuple[str, list[int]]] = []

    def publish_to(topic: str, payload: bytes) -> None:
        told.append((topic.split("/")[2], [notice.version for notice in decode_catalogue(payload).documents]))

    with database.write() as session:
        for name, online in (("kiwi-07", True), ("jetson-1", False)):
            session.add(Device(name=name, online=online, last_seen=datetime.now(timezone.utc)))
    announcer = Announcer(database, publish_to)
    announcer.look()
    assert told == []
    publish(database, server_folder, Publication("season", written(tmp_path, SEASON), "Dongshan"))
    announcer.look()
    announcer.look()
    assert told == [("kiwi-07", [1])]
    announcer.greet(["jetson-1"])
    assert told[1:] == [("jetson-1", [1])]
