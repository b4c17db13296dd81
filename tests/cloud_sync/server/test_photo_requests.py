"""Asking devices for full photos: which, of whom, and how they are told."""

from __future__ import annotations

import json
import queue
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from cloud_sync.documents import decode_catalogue
from cloud_sync.server import photo_requests
from cloud_sync.server.announcing import Announcer
from cloud_sync.server.database import Database, Device
from cloud_sync.server.errors import PhotoRequestError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.photo_requests import PhotoRequest, Wanted, all_requests, ask, first_asked, settle, withdraw
from cloud_sync.server.tree_codes import TreeCode
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.conftest import Pomona

NOW = datetime.now(timezone.utc)


def photo(number: int) -> str:
    return f"{number:064x}"


def hold(database: Database, device: str, number: int, **body: Any) -> None:
    """A photo's record of a device, as if it had sent it."""
    fields = envelope("photo", device=device, body={**EXAMPLES["photo"], "sha256": photo(number), **body})
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    worker.process([Delivery(received(fields), lambda: None)])


def asked(requests: list[PhotoRequest]) -> set[tuple[str, int]]:
    return {(request.device, int(request.photo, 16)) for request in requests}


def test_photos_are_chosen_by_what_they_show(each_database: Database) -> None:
    """SYNC-125: of a block, a tree by either of its codes, a day, a device, or by their hash."""
    hold(each_database, "kiwi", 1)
    hold(each_database, "kiwi", 2, tree="by the gate")
    hold(each_database, "jetson", 3, day="2024-09-02")
    hold(each_database, "jetson", 4, block="B", file_name="../../x.JPG;rm")
    with each_database.write() as session:
        session.add(TreeCode(orchard="Dongshan", block="A", code="by the gate", tree="A-02"))
    for wanted, found in (
        (Wanted(block="A"), {("kiwi", 1), ("kiwi", 2), ("jetson", 3)}),
        (Wanted(block="A", tree="A-02"), {("kiwi", 2)}),
        (Wanted(block="A", tree="by the gate"), {("kiwi", 2)}),
        (Wanted(block="A", day=date(2024, 9, 2)), {("jetson", 3)}),
        (Wanted(device="jetson"), {("jetson", 3), ("jetson", 4)}),
        (Wanted(orchard="Dongshan", block="B"), {("jetson", 4)}),
        (Wanted(photos=[photo(1), photo(4)]), {("kiwi", 1), ("jetson", 4)}),
    ):
        assert asked(ask(each_database, wanted)) == found
    with each_database.read() as session:
        assert {(row.suffix, row.size_bytes) for row in all_requests(session)} == {(".jpg", 4_000_000), ("", 4_000_000)}
        assert asked(first_asked(session, "jetson")) == {("jetson", 3), ("jetson", 4)}
    assert sorted(withdraw(each_database, "kiwi")) == [photo(1), photo(2)]
    assert withdraw(each_database, "jetson", [photo(4)]) == [photo(4)]


def test_a_photo_that_two_devices_hold_is_asked_of_the_one_seen_last(each_database: Database) -> None:
    """SYNC-125."""
    with each_database.write() as session:
        for name, hours in (("away", 9), ("here", 0)):
            session.add(Device(name=name, last_seen=NOW - timedelta(hours=hours)))
    for name in ("here", "away"):
        hold(each_database, name, 1)
    with each_database.write() as session:
        for device in session.query(Device):
            device.last_seen = NOW - timedelta(hours=9 if device.name == "away" else 0)
    assert asked(ask(each_database, Wanted(block="A"))) == {("here", 1)}
    assert asked(ask(each_database, Wanted(block="A", device="away"))) == {("away", 1)}


def test_what_cannot_be_asked_for_is_said(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoRequestError, match=r"no device has sent a record of photo 0+1; name one with --device"):
        ask(database, Wanted(photos=[photo(1)]))
    with pytest.raises(PhotoRequestError, match="no device has sent records of such photos"):
        ask(database, Wanted(block="nowhere"))
    assert asked(ask(database, Wanted(photos=[photo(1)], device="kiwi"))) == {("kiwi", 1)}
    hold(database, "kiwi", 2)
    hold(database, "kiwi", 3)
    monkeypatch.setattr(photo_requests, "MOST_AT_ONCE", 1)
    with pytest.raises(PhotoRequestError, match="2 photos are more than the 1 that can be asked for at once"):
        ask(database, Wanted(block="A"))


def test_asking_again_asks_for_what_is_not_here(database: Database) -> None:
    """SYNC-125: and over a metered link where it is said so now."""
    for number in (1, 2, 3):
        hold(database, "kiwi", number)
    first = {request.photo: request for request in ask(database, Wanted(block="A"))}
    settle(database, first[photo(1)], photo_requests.ARRIVED)
    settle(database, first[photo(2)], photo_requests.ABSENT, "gone")
    states = {request.photo: request.state for request in ask(database, Wanted(block="A"))}
    assert states == {photo(1): "arrived", photo(2): "asked", photo(3): "asked"}
    again = {request.photo: request for request in ask(database, Wanted(block="A", metered=True))}
    assert [again[photo(number)].metered for number in (1, 2, 3)] == [False, True, True]
    assert again[photo(3)].asked_at > first[photo(3)].asked_at


def test_devices_that_are_online_are_told_once_of_photos(database: Database) -> None:
    """SYNC-125: when they come online too, and again when more is asked."""
    told: list[tuple[str, int]] = []

    def publish_to(topic: str, payload: bytes) -> None:
        told.append((topic.split("/")[2], decode_catalogue(payload).photos))

    with database.write() as session:
        for name, online in (("kiwi", True), ("jetson", False)):
            session.add(Device(name=name, online=online, last_seen=NOW))
    announcer = Announcer(database, publish_to)
    announcer.look()
    assert told == []
    for number, device in ((1, "kiwi"), (2, "jetson"), (3, "kiwi")):
        (request,) = ask(database, Wanted([photo(number)], device))
        announcer.look()
        announcer.look()
    assert told == [("kiwi", 1), ("kiwi", 2)]
    settle(database, request, photo_requests.ARRIVED)
    announcer.look()
    announcer.greet(["jetson"])
    assert told[2:] == [("jetson", 1)]


def test_the_commands_ask_list_and_ask_no_longer(run_pomona: Pomona, server_folder: ServerFolder) -> None:
    """SYNC-125: as a person does it."""
    folder = ("--folder", server_folder.path)
    database = Database.in_file(server_folder.database)
    hold(database, "kiwi", 1)
    done = run_pomona("server", "photos", "request", "--block", "A", *folder)
    assert (done.exit_code, done.out) == (0, "Photos asked of kiwi: 1; here already: 0.\n")
    (line,) = run_pomona("server", "photos", "--json", *folder).out.splitlines()
    assert (json.loads(line)["device"], json.loads(line)["state"], json.loads(line)["file"]) == ("kiwi", "asked", None)
    with database.read() as session:
        (request,) = all_requests(session)
    settle(database, request, photo_requests.ABSENT, "[bold]gone\x1b")
    shown = run_pomona("server", "photos", *folder).out
    assert f"{request.asked_at:%Y-%m-%d %H:%M}" in shown
    assert "absent: [bold]gone\N{REPLACEMENT CHARACTER}" in shown
    run_pomona("server", "photos", "request", "--photo", photo(1), *folder)
    done = run_pomona("server", "photos", "withdraw", "--device", "kiwi", *folder)
    assert done.out == "Photos no longer asked of kiwi: 1.\n"
    for wrong, said in (
        (("--photo", "xyz"), "is no SHA-256"),
        ((), "name photos with --photo, or a block with --block"),
        (("--tree", "T1", "--photo", photo(1)), "--tree needs its --block"),
        (("--block", "B"), "no device has sent records of such photos"),
    ):
        done = run_pomona("server", "photos", "request", *wrong, *folder)
        assert (done.exit_code, said in done.err) == (2, True), done.err
    database.close()
