"""The demo as a stranger runs it: real broker, real server, real device, the bundle that ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device.virtual_orchard import OrchardSettings, draw_orchard
from tests.processes import run_pomona_process


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn trees, as a person's own photos."""
    folder = tmp_path_factory.mktemp("orchard")
    draw_orchard(OrchardSettings(trees=2), folder)
    return folder / "photos"


def row(output: str, name: str) -> list[str]:
    """What stands beside a name in the table of device and server."""
    _, _, table = output.partition("At the device and at the server")
    (line,) = (line for line in table.splitlines() if re.match(rf"\s*{name}  ", line))
    return line.strip().removeprefix(name).split()


def test_the_demo_draws_counts_corrects_and_syncs_and_can_be_run_again(tmp_path: Path, mosquitto: None) -> None:
    for _ in range(2):
        done = run_pomona_process("demo", "--trees", 2, "--folder", tmp_path / "demo")
        assert (done.returncode, done.stderr) == (0, "")
        for name in ("trees", "photos", "fruit counted", "corrected yield, kg/ha"):
            at_device, at_server = row(done.stdout, name)
            assert at_device == at_server != "0", name
        assert row(done.stdout, "still to be sent") == ["0"]
        assert "Counted and true, on drawn trees" in done.stdout
        assert "apple-yield-simulated-0.2.0 against apple-yield-simulated-0.1.0" in done.stdout
        assert done.stdout.index("before:  predicted") < done.stdout.index("after:   predicted")
        assert len(list((tmp_path / "demo" / "overlays").glob("*.jpg"))) == int(row(done.stdout, "photos")[0])


def test_the_demo_takes_ones_own_photos_and_names_the_one_it_cannot_read(
    tmp_path: Path, photos: Path, mosquitto: None
) -> None:
    broken = photos / "T99_a.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 cut off")
    done = run_pomona_process("demo", "--photos", photos, "--folder", tmp_path / "demo")
    broken.unlink()
    assert done.returncode == 2
    assert str(broken) in done.stderr
    assert "Traceback" not in done.stderr
    assert row(done.stdout, "trees") == ["2", "2"]
    assert "Counted and true" not in done.stdout


def test_the_demo_does_not_empty_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    done = run_pomona_process("demo", "--trees", 2, "--folder", tmp_path)
    assert done.returncode == 2
    assert "is not empty and no demo's" in done.stderr
    assert (tmp_path / "mine.txt").read_text() == "keep"
