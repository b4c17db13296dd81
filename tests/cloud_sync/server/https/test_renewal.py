"""Renewal of a device's key and certificate over HTTPS."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from cryptography import x509

from cloud_sync import keys
from cloud_sync.enrolling import hear, renew
from cloud_sync.enrolment import ENROLMENT, RENEWAL
from cloud_sync.identity import create_request
from cloud_sync.server.certificates import Authority
from cloud_sync.server.signing import DEVICE_LIFE
from tests.cloud_sync.server.https.conftest import HttpsSite
from tests.cloud_sync.server.test_certificates import request


def test_a_certificate_in_its_second_half_is_to_be_renewed(
    https_site: HttpsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-083."""
    https_site.device("kiwi-21")
    home = https_site.home("kiwi-21")
    assert hear(home).renew is False
    for share, due in ((0.49, False), (0.51, True)):
        now = datetime.now(timezone.utc) + DEVICE_LIFE * share
        monkeypatch.setattr("cloud_sync.server.signing._now", lambda now=now: now)
        assert hear(home).renew is due
    monkeypatch.undo()
    request_file = create_request(home, "kiwi-21")
    former = keys.read_certificate(https_site.server_folder.enrolled / "kiwi-21.pem")
    monkeypatch.setattr("cloud_sync.server.signing._now", lambda: now)
    _, by_file = Authority(https_site.server_folder).enroll(request_file.read_bytes(), "test")
    assert x509.load_pem_x509_certificate(by_file).not_valid_after_utc > former.not_valid_after_utc


def test_a_renewal_makes_a_new_key_and_the_former_ends_when_the_new_one_is_shown(https_site: HttpsSite) -> None:
    """SYNC-083."""
    former = https_site.device("kiwi-22")
    home = https_site.home("kiwi-22")
    copied = home / "copied.pem"
    copied.write_bytes(former.certificate.read_bytes())
    stolen = replace(former, key=copied, certificate=copied)
    renewed = renew(home)
    new_key, old_key = (keys.read_key(file).public_key() for file in (renewed.key, copied))
    assert not keys.same_key(new_key, old_key)
    status, answer = https_site.ask("GET", ENROLMENT, identity=stolen)
    assert (status, answer) == (403, {"reason": "the certificate of 'kiwi-22' was revoked"})
    assert hear(home).device == "kiwi-22"


def test_nobody_renews_in_another_s_name(https_site: HttpsSite) -> None:
    """SYNC-074."""
    identity = https_site.device("kiwi-23")
    https_site.device("kiwi-24")
    for csr, said in ((request("kiwi-24"), "which is not the name"), (b"nonsense", "no certificate signing request")):
        body = json.dumps({"request": csr.decode()}).encode()
        status, answer = https_site.ask("POST", RENEWAL, body, identity=identity)
        assert status == 403
        assert said in answer["reason"]
