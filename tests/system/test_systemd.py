"""The units, installed into a root of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
UNITS = ("pomona.target", "pomona-count.service", "pomona-page.service", "pomona-sync.service")
# what systemd calls "OK"; an unhardened service has about 9.6
MOST_EXPOSURE = 20


def analyze(root: Path, *arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing; install the package systemd (make test does)"
    done = subprocess.run([program, f"--root={root}", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    shutil.copytree("/usr/lib/systemd/system", folder / "usr/lib/systemd/system", symlinks=True)
    subprocess.run([REPOSITORY / "systemd" / "install", folder], check=True)
    program = folder / "opt/pomona/bin/pomona"
    program.parent.mkdir(parents=True)
    shutil.copy2(shutil.which("pomona") or "", program)
    return folder


def test_verify_has_nothing_to_say(root: Path) -> None:
    assert analyze(root, "verify", *UNITS) == ""


def test_verify_speaks_up_about_a_unit_that_is_wrong(root: Path, tmp_path: Path) -> None:
    unit = root / "usr/lib/systemd/system/pomona-wrong.service"
    unit.write_text((root / "usr/lib/systemd/system/pomona-page.service").read_text() + "\n[Service]\nRestrat=always\n")
    assert "Restrat" in analyze(root, "verify", unit.name)
    unit.unlink()


@pytest.mark.parametrize("unit", UNITS[1:])
def test_services_are_hardened(root: Path, unit: str) -> None:
    said = analyze(root, "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit)
    assert "exit code" not in said, said


def test_the_user_and_the_folders_are_made(root: Path) -> None:
    done = subprocess.run(
        ["systemd-sysusers", f"--root={root}", "--dry-run"], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert "Creating user 'pomona'" in said
    assert "Creating group 'pomona-photos'" in said
    lines = (root / "usr/lib/tmpfiles.d/pomona.conf").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("d ")} >= {"/var/lib/pomona", "/srv/pomona/inbox"}


def test_units_run_commands_that_exist(root: Path) -> None:
    for unit in UNITS[1:]:
        text = (root / "usr/lib/systemd/system" / unit).read_text()
        (command,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
        words = [word for word in command.split()[1:] if not word.startswith("/")]
        done = subprocess.run(["pomona", *words, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
