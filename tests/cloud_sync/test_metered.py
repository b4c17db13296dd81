"""Whether a link is metered, asked of NetworkManager through D-Bus's own tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_sync.metered import is_metered


def answering(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program in the place of busctl; what the real one says is in docs/reference/sync.md."""
    program = folder / "busctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


@pytest.mark.parametrize(("flag", "metered"), [(0, False), (1, True), (2, False), (3, True), (4, False)])
def test_what_networkmanager_says_or_guesses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: int, metered: bool
) -> None:
    """SYNC-105: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no."""
    answering(tmp_path, monkeypatch, f'[ "$6" = Metered ] && echo "u {flag}"')
    assert is_metered() is metered


@pytest.mark.parametrize("script", ["exit 1", "echo", "echo 'u many'", "echo 'Failed to connect' >&2; exit 1"])
def test_without_networkmanager_a_link_is_not_metered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """SYNC-105."""
    answering(tmp_path, monkeypatch, script)
    assert is_metered() is False


def test_without_systemd_a_link_is_not_metered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert is_metered() is False
