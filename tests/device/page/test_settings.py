"""Who may see the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_sync.pages.errors import PagesError
from device.errors import InputError
from device.page.settings import PageSettings, read_pass_phrase


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.4.20", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_pass_phrase(host: str) -> None:
    assert PageSettings(host).on_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.4.1", "kiwi-07", "localhost.example"])
def test_the_network_needs_a_pass_phrase(host: str) -> None:
    with pytest.raises(InputError, match="POMONA_PAGE_PASSPHRASE") as refused:
        PageSettings(host)
    assert refused.value.exit_code == 2
    assert not PageSettings(host, pass_phrase="red delicious").on_loopback


def test_a_short_pass_phrase_is_refused() -> None:
    with pytest.raises(PagesError, match="7 characters"):
        PageSettings(pass_phrase="1234567")
    assert PageSettings(pass_phrase="12345678").pass_phrase == "12345678"


def test_the_pass_phrase_is_not_shown() -> None:
    assert "delicious" not in repr(PageSettings(pass_phrase="red delicious"))


def test_pass_phrase_from_the_environment_goes_before_the_credential(tmp_path: Path) -> None:
    (tmp_path / "page-passphrase").write_text("from systemd\n")
    both = {"CREDENTIALS_DIRECTORY": str(tmp_path), "POMONA_PAGE_PASSPHRASE": "from outside"}
    assert read_pass_phrase(both) == "from outside"
    assert read_pass_phrase({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "from systemd"


def test_no_pass_phrase(tmp_path: Path) -> None:
    assert read_pass_phrase({}) is None
    assert read_pass_phrase({"POMONA_PAGE_PASSPHRASE": " "}) is None
    assert read_pass_phrase({"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_an_empty_or_unreadable_credential_is_an_error_and_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "page-passphrase").write_text("\n")
    with pytest.raises(PagesError, match="is empty"):
        read_pass_phrase({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    (tmp_path / "page-passphrase").unlink()
    (tmp_path / "page-passphrase").mkdir()
    with pytest.raises(PagesError, match="cannot be read"):
        read_pass_phrase({"CREDENTIALS_DIRECTORY": str(tmp_path)})
