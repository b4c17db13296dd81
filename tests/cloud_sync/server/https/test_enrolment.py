"""Enrolment by invitation and renewal, over real TLS, and what becomes of both when either side dies in the middle."""

from __future__ import annotations

import base64
import contextlib
import hmac
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync import clock, keys
from cloud_sync.enrolling import enroll, hear
from cloud_sync.enrolment import ENROLMENT, EnrolmentRequest
from cloud_sync.errors import HttpsError, IdentityError
from cloud_sync.https import HttpsRefusedError
from cloud_sync.server.certificates import Authority, read_revoked
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.invitations import InvitationError, invite, redeem
from cloud_sync.server.signing import parse_request
from cloud_sync.timekeeping import Timekeeper
from tests.cloud_sync.helpers import make_server
from tests.cloud_sync.server.https.conftest import HttpsSite, serial_of
from tests.cloud_sync.server.test_certificates import request


def key_of(csr: bytes) -> Any:
    return parse_request(csr, "test")[1]


def test_an_invitation_makes_an_identity(https_site: HttpsSite) -> None:
    """SYNC-077, SYNC-078: with its key made here, and where to connect."""
    identity = https_site.device("kiwi-10")
    settings_ = https_site.server_folder.read_settings()
    assert (identity.name, identity.broker_host, identity.broker_port) == ("kiwi-10", "localhost", settings_.port)
    assert identity.https == https_site.address
    enrolled = https_site.server_folder.enrolled / "kiwi-10.pem"
    assert identity.certificate.read_bytes().endswith(enrolled.read_bytes())
    assert identity.certificate.stat().st_mode & 0o777 == 0o600


def test_an_invitation_is_good_for_the_first_key_that_shows_it(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-077."""
    invitation = https_site.invite("kiwi-11")
    mine = enroll(tmp_path / "mine", invitation)
    with pytest.raises(HttpsRefusedError, match=r"was used by another device.*pomona server revoke kiwi-11"):
        enroll(tmp_path / "thief", invitation)
    assert hear(tmp_path / "mine").certificate in mine.certificate.read_text()


def test_an_invitation_ends(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-077: by time, by a newer one, and by revocation."""
    folder = https_site.server_folder
    late = invite(folder, "kiwi-12", timedelta(seconds=-1))
    with pytest.raises(HttpsRefusedError, match=r"the invitation for 'kiwi-12' ended on .* UTC; ask anew"):
        enroll(tmp_path, late)
    former, latter = https_site.invite("kiwi-12"), https_site.invite("kiwi-12")
    with pytest.raises(HttpsRefusedError, match="no such invitation for 'kiwi-12'"):
        enroll(tmp_path, former)
    Authority(folder).withdraw("kiwi-12")
    with pytest.raises(HttpsRefusedError, match="no such invitation for 'kiwi-12'"):
        enroll(tmp_path, latter)


def test_a_revoked_device_is_not_let_in_again_by_its_old_invitation(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-077: whoever stole it may have found the code as well."""
    invitation = https_site.invite("kiwi-13")
    enroll(tmp_path, invitation)
    Authority(https_site.server_folder).withdraw("kiwi-13")
    with pytest.raises(HttpsRefusedError, match="no such invitation for 'kiwi-13'"):
        enroll(tmp_path, invitation)
    before = serial_of(tmp_path), keys.read_key(tmp_path / "identity" / "device.pem")
    again = enroll(tmp_path, https_site.invite("kiwi-13"))
    assert serial_of(tmp_path) != before[0]
    assert not keys.same_key(keys.read_key(again.key).public_key(), before[1].public_key())
    assert hear(tmp_path).device == "kiwi-13"


def test_the_server_keeps_no_secret(server_folder: ServerFolder) -> None:
    """SYNC-077, SYNC-094."""
    with pytest.raises(FolderError, match="has no HTTPS"):
        invite(server_folder, "kiwi-07", timedelta(hours=1))
    made = make_server(server_folder.path, 8883, 8443)
    invitation = invite(made, "kiwi-07", timedelta(hours=1))
    kept = b"".join(file.read_bytes() for file in made.path.rglob("*") if file.is_file())
    assert invitation.secret.hex().encode() not in kept
    assert invitation.secret not in kept
    assert (made.invitations / "kiwi-07.json").stat().st_mode & 0o777 == 0o600


def test_every_secret_is_another_one_of_64_bits(server_folder: ServerFolder) -> None:
    """SYNC-076."""
    made = make_server(server_folder.path, 8883, 8443)
    secrets = {invite(made, "kiwi-07", timedelta(hours=1)).secret for _ in range(50)}
    assert len(secrets) == 50
    assert {len(secret) for secret in secrets} == {8}


def test_secrets_are_compared_in_constant_time_also_where_there_is_none(
    server_folder: ServerFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-077."""
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    made = make_server(server_folder.path, 8883, 8443)
    invite(made, "kiwi-07", timedelta(hours=1))
    for name in ("kiwi-07", "kiwi-08"):
        with pytest.raises(InvitationError):
            redeem(made, name, b"x" * 8, key_of(request(name)))
    assert [len(one) == len(other) == 64 for one, other in compared] == [True, True]


@pytest.mark.parametrize(
    "name", ["../root", "pomona-server", "pomona-broker", "pomona-https", "pomona-server-2", "a/b"]
)
def test_no_name_leads_out_of_the_folder_or_to_the_server_s_own(https_site: HttpsSite, name: str) -> None:
    """SYNC-005, SYNC-077."""
    body = EnrolmentRequest(secret="0" * 16, request=request(name).decode()).model_dump_json().encode()
    status, answer = https_site.ask("POST", ENROLMENT, body)
    assert status == 403
    assert "cannot name a device" in answer["reason"] or "a name of the server's own" in answer["reason"]
    with pytest.raises(IdentityError):
        https_site.invite(name)


def test_an_enrolled_name_is_invited_only_to_be_replaced(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-005."""
    former = https_site.device("kiwi-14")
    with pytest.raises(IdentityError, match=r"already enrolled; .*--replace"):
        https_site.invite("kiwi-14")
    serial = keys.read_certificate(former.certificate).serial_number
    invitation = https_site.invite("kiwi-14", replace=True)
    assert hear(https_site.home("kiwi-14")).device == "kiwi-14"  # until the other one comes
    enroll(tmp_path, invitation)
    assert serial in read_revoked(https_site.server_folder)
    assert hear(tmp_path).device == "kiwi-14"


def test_wrong_invitations_make_their_sender_wait(tmp_path: Path) -> None:
    """SYNC-093."""
    site = HttpsSite(tmp_path)
    with site.serving():
        invitation = site.invite("kiwi-07")
        wrong = EnrolmentRequest(secret="0" * 16, request=request("kiwi-07").decode()).model_dump_json().encode()
        statuses = [site.ask("POST", ENROLMENT, wrong)[0] for _ in range(21)]
        assert statuses == [403] * 20 + [429]
        with pytest.raises(HttpsError, match=r"cannot do this now: too many wrong invitations; wait \d+ s"):
            enroll(tmp_path / "kiwi", invitation)


def test_the_secret_is_shown_to_nobody_but_the_server_that_is_meant(
    https_site: HttpsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-078: whoever intercepts has another authority, or shows ours without having its key."""
    between = HttpsSite(tmp_path)
    invitation = replace(https_site.invite("kiwi-15"), port=between.address.port)  # where the device ends up
    shown: list[object] = []
    monkeypatch.setattr(
        "cloud_sync.server.https.enrolment.enroll_by_invitation", lambda *said: shown.append(said), raising=True
    )
    with between.serving():
        with pytest.raises(HttpsRefusedError, match=r"not the one the invitation is for: its authority is another"):
            enroll(tmp_path / "kiwi", invitation)
        root = https_site.server_folder.root_certificate.read_bytes()
        between.server_folder.root_certificate.write_bytes(root)
        with pytest.raises(HttpsRefusedError, match="shows a certificate this device does not trust"):
            enroll(tmp_path / "kiwi", invitation)
    assert shown == []


def test_something_that_is_no_server_of_ours_is_told(https_site: HttpsSite, tmp_path: Path) -> None:
    with pytest.raises(HttpsError, match="cannot be reached"):
        enroll(tmp_path, replace(https_site.invite("kiwi-16"), port=1))


def test_a_device_that_has_another_name_keeps_it(https_site: HttpsSite) -> None:
    https_site.device("kiwi-17")
    with pytest.raises(IdentityError, match=r"already called 'kiwi-17'.*move .*identity away"):
        enroll(https_site.home("kiwi-17"), https_site.invite("kiwi-18"))


def test_enrolment_at_another_server_takes_its_place(https_site: HttpsSite, tmp_path: Path) -> None:
    other = HttpsSite(tmp_path)
    https_site.device("kiwi-19")
    with other.serving():
        moved = enroll(https_site.home("kiwi-19"), other.invite("kiwi-19"))
        assert moved.https == other.address
        assert hear(https_site.home("kiwi-19")).device == "kiwi-19"


def test_a_device_that_is_enrolled_there_already_stays_as_it_is(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-079: nobody knows whether what died had finished."""
    invitation = https_site.invite("kiwi-20")
    enroll(tmp_path, invitation)
    before = (tmp_path / "identity" / "device.pem").read_bytes()
    enroll(tmp_path, invitation)
    assert (tmp_path / "identity" / "device.pem").read_bytes() == before


GOOD_REQUEST = request("kiwi-07")
GOOD_DER = x509.load_pem_x509_csr(GOOD_REQUEST).public_bytes(Encoding.DER)


@pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")
@given(st.lists(st.tuples(st.integers(0, len(GOOD_DER) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_request_with_bytes_exchanged_is_refused_at_worst(changes: list[tuple[int, int]]) -> None:
    """SYNC-005."""
    der = bytearray(GOOD_DER)
    for place, value in changes:
        der[place] = value
    lines = base64.encodebytes(bytes(der))
    bad = b"-----BEGIN CERTIFICATE REQUEST-----\n" + lines + b"-----END CERTIFICATE REQUEST-----\n"
    with contextlib.suppress(IdentityError):
        name, key = parse_request(bad, "test")
        assert (name, keys.same_key(key, key_of(GOOD_REQUEST))) == ("kiwi-07", True)


@pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")
@given(st.integers(0, len(GOOD_REQUEST)), st.integers(0, 20), st.binary(max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_request_with_characters_exchanged_is_refused_at_worst(place: int, less: int, more: bytes) -> None:
    """SYNC-005."""
    with contextlib.suppress(IdentityError):
        parse_request(GOOD_REQUEST[:place] + more + GOOD_REQUEST[place + less :], "test")


def test_enrolment_and_every_answer_tell_the_time(https_site: HttpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """SYNC-088: on a device whose clock was never set."""
    monkeypatch.setattr(clock, "now", lambda: datetime(1970, 1, 1, tzinfo=timezone.utc))
    monkeypatch.setattr(clock, "is_synchronised", lambda: False)
    https_site.device("kiwi-25")
    read = Timekeeper(https_site.home("kiwi-25") / "identity").read()
    assert read.is_known
    assert abs(read.at - datetime.now(timezone.utc)) < timedelta(seconds=20)
