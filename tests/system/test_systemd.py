"""The units: installed into a root of their own, and their commands under their system call filters."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from device.orchards import find_block
from device.queries import list_trees, list_visits
from device.store import Store
from tests.device.page.helpers import add_example_block
from tests.drawing import exif, save_photo
from tests.processes import run_python
from tests.system.conftest import Site, wait_until
from tests.system.system_call_filter import LIBRARY, SystemCallFilter, read_filter

REPOSITORY = Path(__file__).parents[2]
BROKER = "pomona-broker.service"
OURS = (
    *("pomona-count.service", "pomona-page.service", "pomona-sync.service"),
    *("pomona-server.service", "pomona-fleet.service"),
)
SERVICES = (*OURS, BROKER)
UNITS = ("pomona.target", "pomona-server.target", *SERVICES)
POMONA = (sys.executable, "-m", "pomona")
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
    broker = folder / "usr/sbin/mosquitto"
    broker.parent.mkdir(parents=True, exist_ok=True)
    for stand_in in (program, broker):
        stand_in.write_text("#!/bin/sh\n")
        stand_in.chmod(0o755)
    return folder


def text_of(service: str) -> str:
    return (REPOSITORY / "systemd" / service).read_text()


def words_of(service: str) -> list[str]:
    """What the service runs, behind the name of the program."""
    (command,) = (line for line in text_of(service).splitlines() if line.startswith("ExecStart="))
    return command.split()[1:]


def test_verify_has_nothing_to_say(root: Path) -> None:
    assert analyze(root, "verify", *UNITS) == ""


def test_verify_speaks_up_about_a_unit_that_is_wrong(root: Path, tmp_path: Path) -> None:
    unit = root / "usr/lib/systemd/system/pomona-wrong.service"
    unit.write_text((root / "usr/lib/systemd/system/pomona-page.service").read_text() + "\n[Service]\nRestrat=always\n")
    assert "Restrat" in analyze(root, "verify", unit.name)
    unit.unlink()


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_hardened(root: Path, service: str) -> None:
    said = analyze(root, "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", service)
    assert "exit code" not in said, said


def test_the_user_and_the_folders_are_made(root: Path) -> None:
    done = subprocess.run(
        ["systemd-sysusers", f"--root={root}", "--dry-run"], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert "Creating user 'pomona'" in said
    assert "Creating user 'pomona-server'" in said
    assert "Creating group 'pomona-photos'" in said
    lines = (root / "usr/lib/tmpfiles.d/pomona.conf").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("d ")} >= {
        *("/var/lib/pomona", "/var/lib/pomona-server", "/srv/pomona/inbox")
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders of another user")
def test_the_service_may_move_photos_out_of_folders_others_made(tmp_path: Path) -> None:
    subprocess.run([REPOSITORY / "systemd" / "install", tmp_path], check=True)
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", "pomona.conf"], check=True)
    folder = tmp_path / "srv/pomona/inbox/B1"
    before = os.umask(0o022)
    folder.mkdir()
    os.umask(before)
    assert stat.filemode(folder.stat().st_mode) == "drwxrws---"


@pytest.mark.parametrize("service", OURS)
def test_units_run_commands_that_exist(service: str) -> None:
    words = [word for word in words_of(service) if not word.startswith("/") and word != "--folder"]
    done = subprocess.run([*POMONA, *words, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def seccomp() -> None:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pytest.fail(f"{LIBRARY} loads the services' system call filters: apt-get install libseccomp2, or run make test")


def run_under(wanted: SystemCallFilter, code: str) -> subprocess.CompletedProcess[str]:
    command = wanted.command(sys.executable, "-c", code)
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Running:
    """A service's command under its filter."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something the command does, as long as it runs; on a busy machine its model starts slowly."""
        wait_until(lambda: condition() or self.process.poll() is not None, what, timeout_s=90)
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said()}"


@contextlib.contextmanager
def running(service: str, home: Path, *words: object) -> Iterator[Running]:
    """Start a service's command under its filter; stop it as systemd would."""
    log = home.with_suffix(".log")
    command = read_filter(text_of(service)).command(*POMONA, *words, "--home", home)
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=output)
    try:
        yield Running(process, log)
        process.terminate()
        assert process.wait(timeout=30) in (0, -signal.SIGTERM), log.read_text()
    finally:
        process.kill()
        process.wait()


def counted_trees(home: Path) -> list[str]:
    store = Store(home)
    trees = [tree.tree for visit in list_visits(store, find_block(store, "B1")) for tree in list_trees(store, visit)]
    store.close()
    return trees


def test_a_filter_that_kills_is_felt(seccomp: None) -> None:
    """Else the tests below would pass without any filter."""
    wanted = read_filter("SystemCallFilter=@system-service\nSystemCallFilter=~@resources\n")
    done = run_under(wanted, "import os; os.sched_setaffinity(0, os.sched_getaffinity(0))")
    assert done.returncode == -signal.SIGSYS


@pytest.mark.parametrize("service", OURS)
def test_services_may_ask_whether_the_clock_is_synchronised(seccomp: None, service: str) -> None:
    """The filter takes nothing away: a container may forbid the question already, with it as without it."""
    question = "from cloud_sync import clock; print(clock.kernel_state())"
    without = run_python(question)
    done = run_under(read_filter(text_of(service)), question)
    assert (done.returncode, done.stdout) == (without.returncode, without.stdout), done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_services_may_not_set_the_clock(seccomp: None, service: str) -> None:
    done = run_under(read_filter(text_of(service)), "import time; time.clock_settime(time.CLOCK_MONOTONIC, 0)")
    assert "PermissionError" in done.stderr


def test_the_counting_service_counts_under_its_filter(seccomp: None, tmp_path: Path) -> None:
    home, inbox = tmp_path / "home", tmp_path / "inbox"
    add_example_block(home)
    save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5, said=exif())
    words = [inbox if word == "/srv/pomona/inbox" else word for word in words_of("pomona-count.service")]
    with running("pomona-count.service", home, *words) as service:
        service.wait_until((inbox / ".done" / "B1" / "ripening" / "T01" / "1.jpg").exists, "the photo is counted")
    assert counted_trees(home) == ["T01"]
    assert "affinity" not in service.said()  # ONNX Runtime complains of threads it may not place


def test_the_page_service_serves_and_counts_under_its_filter(seccomp: None, tmp_path: Path) -> None:
    home = tmp_path / "home"
    add_example_block(home)
    photo = save_photo(tmp_path / "1.jpg", 5, said=exif())
    with running("pomona-page.service", home, *words_of("pomona-page.service"), "--port", 0) as service:
        service.wait_until(lambda: "http://" in service.said(), "the pages are there")
        (address,) = re.findall(r"http://[\d.:]+", service.said())
        with httpx2.Client(base_url=address, headers={"Origin": address}) as client:
            form = {"block": "B1", "stage": "ripening", "tree": "T01", "side": "a"}
            client.post("/upload", data=form, files={"photos": ("1.jpg", photo.read_bytes())})
            service.wait_until(lambda: "T01" in counted_trees(home), "the photo is counted")
            assert client.get("/").status_code == 200


def test_the_sync_service_sends_under_its_filter(seccomp: None, running_site: Site) -> None:
    device = running_site.device("kiwi-07")
    device.record(5)
    with running("pomona-sync.service", device.folder, *words_of("pomona-sync.service")) as service:
        service.wait_until(lambda: device.waiting() == 0, "all is at the server")
    keys = running_site.keys_of("kiwi-07")
    assert (len(keys), "health/kiwi-07" in keys) == (6, True), "the trees, and how the device fares"


def test_the_server_s_services_take_in_what_a_device_sends_under_their_filters(seccomp: None, site: Site) -> None:
    folder = site.server_folder.path

    def start(service: str, *more: str) -> subprocess.Popen[str]:
        line = next(line for line in text_of(service).splitlines() if line.startswith("ExecStart="))
        program, *words = line.removeprefix("ExecStart=").replace("/var/lib/pomona-server", str(folder)).split()
        command = POMONA if program == "/opt/pomona/bin/pomona" else (program,)
        return site.start(read_filter(text_of(service)).command(*command, *words, *more))

    broker = start(BROKER)
    wait_until(lambda: site.is_listening() or broker.poll() is not None, "the broker listens", timeout_s=60)
    assert broker.poll() is None, site.log(broker)
    server = start("pomona-server.service", "--ingest", "2")
    site.await_ready(server)
    device = site.device("kiwi-07")
    device.record(5)
    device.sync()
    assert len([key for key in site.keys_of("kiwi-07") if key.startswith("tree/")]) == 5
    fleet = start("pomona-fleet.service", "--port", "0")
    assert fleet.stdout is not None
    (address,) = re.findall(r"http://\S+", fleet.stdout.readline())
    assert "kiwi-07" in httpx2.get(address).text
    broker.send_signal(signal.SIGHUP)
    for process in (fleet, server, broker):
        returned, said = site.stop(process)
        assert returned in (0, -signal.SIGTERM), said
