"""What ``pomona sync`` says of the outbox; sending itself is tested with a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_sync import keys
from device.link import read_metered
from device.orchards import Block
from device.store import Store
from tests.cloud_sync.helpers import enrolment_file, make_server
from tests.conftest import Pomona


def test_the_status_tells_what_waits_and_since_when(run_pomona: Pomona, store: Store, block: Block) -> None:
    store.db.execute("UPDATE outbox SET recorded_at = '2025-09-24T10:30:00+00:00'")
    done = run_pomona("sync", "status")
    assert (done.exit_code, done.out) == (
        *(0, "2 records wait, the oldest since 2025-09-24 10:30 UTC; 0 were refused.\n"),
    )


def test_an_empty_outbox_has_no_oldest_record(run_pomona: Pomona, store: Store) -> None:
    assert run_pomona("sync", "status").out == "0 records wait; 0 were refused.\n"


def test_refused_records_are_offered_again(run_pomona: Pomona, store: Store, block: Block) -> None:
    store.outbox.rejected(store.outbox.waiting("kiwi-07", 0, 1)[0].message, "type is unknown here")
    assert "1 records wait" in run_pomona("sync", "status").out
    assert run_pomona("sync", "replay").out == "1 refused records wait to be sent again.\n"
    assert store.outbox.state().waiting == 2


def test_thumbnails_are_switched_off_and_on(run_pomona: Pomona, block: Block) -> None:
    said = "Photos imported from now on are sent {} small picture.\n"
    assert run_pomona("sync", "thumbnails").out == said.format("with a")
    assert run_pomona("sync", "thumbnails", "off").out == said.format("without their")
    assert run_pomona("sync", "thumbnails").out == said.format("without their")
    assert run_pomona("sync", "thumbnails", "on").out == said.format("with a")


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        (["--home", "elsewhere"], "write it behind: pomona sync status --home"),
        (["--once"], "leave it out"),
        (["--time-limit", "5"], "leave it out"),
    ],
)
def test_an_option_before_the_command_is_refused_and_not_ignored(
    run_pomona: Pomona, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: list[str], remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_pomona("sync", *option, "status")
    assert done.exit_code == 2
    assert f"{option[0]} before status has no effect; {remedy}" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_enrolled_sends_nothing(run_pomona: Pomona, block: Block) -> None:
    done = run_pomona("sync", "--once")
    assert done.exit_code == 2
    assert "this device is not enrolled yet; run `pomona sync request NAME`" in done.err


def test_the_key_s_and_the_authority_s_fingerprints_are_shown_to_be_compared(
    run_pomona: Pomona, home: Path, tmp_path: Path
) -> None:
    """SYNC-009."""
    server = make_server(tmp_path / "server")
    asked = run_pomona("sync", "request", "kiwi-07")
    key = keys.fingerprint(keys.read_key(home / "identity" / "device.key").public_key())
    assert f"Key of kiwi-07: {key}. See that it shows the same." in asked.out
    file = enrolment_file(server, home / "identity" / "device.csr", tmp_path / "kiwi.json")
    accepted = run_pomona("sync", "accept", file)
    authority = keys.fingerprint(keys.read_certificate(server.root_certificate).public_key())
    assert f"Authority: {authority}. See that `pomona server init` showed the same on the server." in accepted.out


def test_a_link_is_metered_when_somebody_says_so(run_pomona: Pomona, store: Store) -> None:
    """SYNC-105: until then NetworkManager is asked."""
    assert run_pomona("sync", "metered").out == "NetworkManager is asked whether the link is metered.\n"
    for answer, metered, said in (("yes", "yes", "is metered: small pictures wait"), ("no", "no", "is not metered")):
        assert said in run_pomona("sync", "metered", answer).out
        assert read_metered(store) == metered
    assert run_pomona("sync", "metered", "auto").out == run_pomona("sync", "metered").out
    assert run_pomona("sync", "metered", "perhaps").exit_code == 2
