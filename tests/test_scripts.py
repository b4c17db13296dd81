"""``scripts/``: what they install, and that nothing missing stops the rest. The tools they call only say so here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
TOOLS = ("sh", "cat", "chmod", "cksum", "cp", "dirname", "env", "grep", "head", "mkdir", "rm")
# knows the commands the scripts give to Python of version VERSION
PYTHON = """#!/bin/sh
case "$*" in
    *version_info\\[*) echo VERSION ;;
    *version_info*) exit 0 ;;
    "-c import ensurepip") test -e "$ENSUREPIP" ;;
    "-m venv "*)
        echo "$*" >>"$CALLS"
        for folder; do :; done
        mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" && cp "$0" "$folder/bin/pip"
        rm -f "$folder/.pomona"
        echo >"$folder/pyvenv.cfg"
        ;;
    -m*) echo "$*" >>"$CALLS" ;;
    *) exit 1 ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A folder with all programs there are, and a note of what was called."""

    folder: Path

    def add(self, name: str, script: str) -> Path:
        path = self.folder / "bin" / name
        path.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def add_python(self, version: str) -> Path:
        return self.add(f"python{version}", PYTHON.replace("VERSION", version))

    def run(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.folder / "bin"),
            "CALLS": str(self.folder / "calls"),
            "ENSUREPIP": str(self.folder / "ensurepip"),
        }
        return subprocess.run(
            [SCRIPTS / script, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """What was called since the last time."""
        path = self.folder / "calls"
        made = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return made


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A Debian where root may install anything but the package ``unknown``; ``systemd`` is there."""
    made = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "ensurepip").touch()
    made.add("id", "echo 0")
    made.add("dpkg-query", 'case "$*" in *" systemd "*) echo "install ok installed" ;; *) exit 1 ;; esac')
    made.add("apt-get", 'echo "apt-get $*" >>"$CALLS"; case "$*" in *unknown*) exit 100 ;; esac')
    return made


def test_packages_that_are_there_are_left_alone(machine: Machine) -> None:
    done = machine.run("system-packages", "systemd")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.calls() == []


def test_a_package_that_cannot_be_had_stops_neither_the_others_nor_what_follows(machine: Machine) -> None:
    done = machine.run("system-packages", "systemd", "unknown", "mosquitto")
    assert done.returncode == 0
    assert "not installed: unknown." in done.stderr
    assert any(call.endswith("install -y --no-install-recommends mosquitto") for call in machine.calls())


def test_without_root_and_sudo_the_missing_packages_are_named(machine: Machine) -> None:
    machine.add("id", "echo 1000")
    done = machine.run("system-packages", "systemd", "mosquitto", "libgl1")
    assert done.returncode == 0
    assert "As root: apt-get install mosquitto libgl1\n" in done.stderr
    assert machine.calls() == []


def test_without_root_sudo_installs(machine: Machine) -> None:
    machine.add("id", "echo 1000")
    machine.add("sudo", 'echo sudo >>"$CALLS"; exec "$@"')
    assert machine.run("system-packages", "mosquitto").stderr == ""
    assert machine.calls()[-2:] == ["sudo", "apt-get -q install -y --no-install-recommends mosquitto"]


def test_another_system_is_told_what_it_needs(machine: Machine) -> None:
    (machine.folder / "bin" / "dpkg-query").unlink()
    done = machine.run("system-packages", "mosquitto")
    assert done.returncode == 0
    assert "Install these yourself: mosquitto" in done.stderr


def test_an_environment_is_made_once(machine: Machine) -> None:
    python = machine.add_python("3.12")
    folder = machine.folder / "venv"
    first = machine.run("virtual-environment", python, folder, "device")
    assert first.returncode == 0
    assert [call.split()[1] for call in machine.calls()] == ["venv", "pip"]
    second = machine.run("virtual-environment", python, folder, "device")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert machine.calls() == []


def test_changed_requirements_and_other_extras_are_installed(machine: Machine) -> None:
    python, folder = machine.add_python("3.12"), machine.folder / "venv"
    machine.run("virtual-environment", python, folder, "device")
    machine.run("virtual-environment", python, folder, "device,dev")
    assert machine.calls()[-1].endswith(".[device,dev]")
    (machine.folder / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    machine.run("virtual-environment", python, folder, "device,dev")
    assert [call.split()[1] for call in machine.calls()] == ["pip"]


def test_an_environment_of_another_python_is_made_anew(machine: Machine) -> None:
    folder = machine.folder / "venv"
    machine.run("virtual-environment", machine.add_python("3.11"), folder, "device")
    machine.calls()
    done = machine.run("virtual-environment", machine.add_python("3.12"), folder, "device")
    assert f"{folder} has Python 3.11; making it anew" in done.stdout
    assert machine.calls()[0] == f"-m venv --clear {folder}"


def test_a_folder_that_is_no_environment_is_not_emptied(machine: Machine) -> None:
    folder = machine.folder / "mine"
    folder.mkdir()
    machine.run("virtual-environment", machine.add_python("3.12"), folder, "device")
    assert machine.calls()[0] == f"-m venv {folder}"


def test_the_venv_package_is_of_the_same_python(machine: Machine) -> None:
    (machine.folder / "ensurepip").unlink()
    machine.run("virtual-environment", machine.add_python("3.12"), machine.folder / "venv", "device")
    assert any(call.endswith(" python3.12-venv") for call in machine.calls())


def test_a_python_that_is_missing_is_installed_or_another_asked_for(machine: Machine) -> None:
    done = machine.run("virtual-environment", "python3.12", machine.folder / "venv", "device")
    assert done.returncode == 1
    assert any(call.endswith(" python3.12") for call in machine.calls())
    assert "Name another: make PYTHON=python3.12" in done.stderr


def test_a_chromium_that_runs_is_enough(machine: Machine) -> None:
    machine.add("google-chrome", "echo Google Chrome 140")
    done = machine.run("chromium", machine.add_python("3.12"))
    assert (done.returncode, done.stdout, done.stderr, machine.calls()) == (0, "", "", [])


def test_where_the_system_has_no_chromium_playwright_brings_its_own(machine: Machine) -> None:
    """Ubuntu's stand-in without its snap fails."""
    machine.add("chromium-browser", "exit 1")
    done = machine.run("chromium", machine.add_python("3.12"))
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls()[-1] == "-m playwright install --with-deps chromium"


def test_no_chromium_stops_nothing(machine: Machine) -> None:
    python = machine.add("python3.12", PYTHON.replace("-m*) echo", "-m*) exit 1; echo"))
    done = machine.run("chromium", python)
    assert done.returncode == 0
    assert "no Chromium; the tests of the pages will fail and say so" in done.stderr
