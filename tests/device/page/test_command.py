"""``pomona page`` as a command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POMONA_", "CREDENTIALS_"))}
    return subprocess.run(
        [sys.executable, "-m", "pomona", "page", *arguments],
        cwd=_ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_open_to_the_network_without_a_pass_phrase_is_refused(tmp_path: Path) -> None:
    result = run("--host", "0.0.0.0", "--port", "0", "--home", str(tmp_path / "home"))
    assert result.returncode == 2
    assert "POMONA_PAGE_PASSPHRASE" in result.stderr
    assert not (tmp_path / "home").exists()


def test_a_short_pass_phrase_is_refused_and_not_shown(tmp_path: Path) -> None:
    result = run("--home", str(tmp_path), POMONA_PAGE_PASSPHRASE="secret")
    assert result.returncode == 2
    assert "choose one of 8 or more" in result.stderr
    assert "secret" not in result.stderr


def test_a_taken_port_and_a_wrong_bundle_are_said_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("--port", str(taken.getsockname()[1]), "--home", str(tmp_path))
    assert result.returncode == 2
    assert "choose another --host or --port" in result.stderr
    result = run("--bundle", str(tmp_path), "--home", str(tmp_path))
    assert result.returncode == 2
    assert "model bundle" in result.stderr


@pytest.mark.parametrize("module", ["device.cli", "pomona"])
def test_the_command_line_starts_without_the_web_server(module: str) -> None:
    program = f"import sys, {module}; print([name for name in ('fastapi', 'uvicorn', 'PIL') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
