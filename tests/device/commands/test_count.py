"""``pomona count``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from device.commands.count import name_overlays
from export.runtime.bundle import Bundle
from tests.conftest import Pomona
from tests.drawing import RADIUS_PX, draw_discs, encode, in_rows, save_photo
from tests.processes import ROOT, run_pomona_process, run_python


@pytest.fixture
def model(disc_bundle: Bundle) -> tuple[str, ...]:
    """The options that count drawn discs."""
    return ("--bundle", str(disc_bundle.folder), "--threads", "1")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_one_object_a_photo_with_these_fields(
    run_pomona: Pomona, model: tuple[str, ...], disc_bundle: Bundle, tmp_path: Path
) -> None:
    first, second = save_photo(tmp_path / "1.jpg", 1, 1), save_photo(tmp_path / "2.jpg")
    done = run_pomona("count", first, second, "--json", *model)
    assert (done.exit_code, done.err) == (0, "")
    full, empty = lines(done.out)
    assert list(full) == ["photo", "counts", "detections", "bundle", "engine", "milliseconds"]
    assert (full["photo"], empty["photo"]) == (str(first), str(second))
    assert full["counts"] == {"apple": 1, "apple_flower": 1}
    assert empty["counts"] == {"apple": 0, "apple_flower": 0}
    assert empty["detections"] == []
    assert full["bundle"] == disc_bundle.identity
    assert re.fullmatch(r"onnxruntime-\d+\.\d+\.\d+.*", full["engine"])
    assert full["milliseconds"] > 0
    assert {found["label"] for found in full["detections"]} == {"apple", "apple_flower"}
    apple = next(found for found in full["detections"] if found["label"] == "apple")
    assert list(apple) == ["label", "score", "box", "counted"]
    assert apple["box"] == pytest.approx([40 - RADIUS_PX, 40 - RADIUS_PX, 40 + RADIUS_PX, 40 + RADIUS_PX], abs=5)
    assert 0.6 <= apple["score"] <= 1
    assert apple["counted"] is True


@pytest.mark.parametrize(("min_score", "listed"), [(None, {True}), ("0.2", {True, False}), ("0.99", set())])
def test_the_lowest_score_changes_what_is_listed_and_not_what_counts(
    run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path, min_score: str | None, listed: set[bool]
) -> None:
    pixels = draw_discs(in_rows(10), radius=RADIUS_PX - 1).copy()
    pixels[80:] = draw_discs(in_rows(30)[10:], radius=RADIUS_PX - 9)[80:]
    (tmp_path / "1.jpg").write_bytes(encode(pixels))
    options = () if min_score is None else ("--min-score", min_score)
    (result,) = lines(run_pomona("count", tmp_path / "1.jpg", "--json", *options, *model).out)
    assert result["counts"]["apple"] == 10
    assert {found["counted"] for found in result["detections"]} == listed
    assert all(found["score"] >= float(min_score or 0.6) - 1e-4 for found in result["detections"])


def test_a_folder_counts_all_its_photos_in_order(run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path) -> None:
    for name, apples in (("b/1.jpg", 3), ("a.png", 2), ("c.JPG", 4)):
        save_photo(tmp_path / name, apples)
    results = lines(run_pomona("count", tmp_path, "--json", *model).out)
    assert [result["counts"]["apple"] for result in results] == [2, 3, 4]


def test_the_table_names_photos_counts_and_their_sum(
    run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_photo(tmp_path / "1.jpg", 3, 2)
    save_photo(tmp_path / "2.jpg", 4)
    done = run_pomona("count", "1.jpg", "2.jpg", *model)
    rows = [[cell.strip() for cell in re.split("[┃│]", line)[1:-1]] for line in done.out.splitlines()]
    assert ["photo", "apple", "apple flower", "ms"] in rows
    assert [row[:3] for row in rows if row and row[0] in ("1.jpg", "2.jpg", "all")] == [
        ["1.jpg", "3", "2"],
        ["2.jpg", "4", "0"],
        ["all", "7", "2"],
    ]


def test_a_broken_photo_is_reported_the_rest_goes_on_and_the_code_is_two(
    run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path
) -> None:
    save_photo(tmp_path / "1.jpg", 3)
    (tmp_path / "2.jpg").write_bytes(b"no photo")
    save_photo(tmp_path / "3.jpg", 4)
    done = run_pomona("count", tmp_path, "--json", *model)
    assert done.exit_code == 2
    assert [result["counts"]["apple"] for result in lines(done.out)] == [3, 4]
    assert done.err.splitlines() == [
        f"Error: {tmp_path / '2.jpg'} is no photo that can be decoded; copy it again from the camera",
        "1 of 3 photos could not be counted.",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["empty"], "empty holds no photos; looked for .heic"),
        (["nowhere"], "nowhere does not exist; check the path"),
        (["notes.txt"], "notes.txt is no photo by its name"),
        ([], "Missing argument"),
        (["1.jpg", "--min-score", "2"], "2.0 is not in the range 0<=x<=1"),
        (["1.jpg", "--bundle", "nowhere"], "nowhere is no folder; name a model bundle"),
        (["1.jpg", "--bundle", "empty"], "manifest.json cannot be read"),
        (["1.jpg", "--overlay", "notes.txt/boxes"], "cannot be written: Not a directory; name another folder"),
    ],
)
def test_wrong_input_is_named_and_the_code_is_two(
    run_pomona: Pomona, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    save_photo(tmp_path / "1.jpg")
    done = run_pomona("count", *arguments)
    assert done.exit_code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_overlays_are_drawn_into_the_folder(run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("photos/a/1.jpg", "photos/b/1.jpg", "photos/b/2.jpg"):
        save_photo(tmp_path / name, 3)
    done = run_pomona("count", tmp_path / "photos", "--overlay", tmp_path / "boxes", *model)
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "boxes").iterdir()) == ["2.jpg", "a_1.jpg", "b_1.jpg"]
    with Image.open(tmp_path / "boxes" / "2.jpg") as overlay:
        assert overlay.size == (640, 480)


def test_an_overlay_never_takes_the_place_of_a_photo(
    run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path
) -> None:
    photo = save_photo(tmp_path / "card" / "1.jpg", 1)
    before = photo.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "card")
    for folder in ("card", "link"):
        done = run_pomona("count", photo, "--overlay", tmp_path / folder, *model)
        assert done.exit_code == 2
        assert "1.jpg would overwrite the photo itself; name another folder" in done.err
    assert photo.read_bytes() == before


def test_the_table_shows_file_names_as_they_are(
    run_pomona: Pomona, model: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(save_photo(tmp_path / "tree[red].jpg").parent)
    assert "tree[red].jpg" in run_pomona("count", "tree[red].jpg", *model).out


@pytest.mark.parametrize(
    ("photos", "names"),
    [
        (["/p/1.jpg"], ["1.jpg"]),
        (["/p/a/1.jpg", "/p/b/1.jpg", "/p/2.png"], ["a_1.jpg", "b_1.jpg", "2.jpg"]),
        (["/p/x/a/1.jpg", "/p/y/a/1.jpg"], ["x_a_1.jpg", "y_a_1.jpg"]),
        (["/p/1.jpg", "/p/1.png", "/p/1.heic"], ["1.jpg", "1_2.jpg", "1_3.jpg"]),
        (["/p/a/1.jpg", "/p/b/1.jpg", "/p/a_1.jpg"], ["a_1.jpg", "b_1.jpg", "a_1_2.jpg"]),
        (["/p/1.jpg", "/p/1.jpg"], ["1.jpg"]),
    ],
)
def test_no_two_photos_share_an_overlay(photos: list[str], names: list[str]) -> None:
    named = name_overlays(Path("out"), [Path(photo) for photo in photos])
    assert list(named.values()) == [Path("out") / name for name in names]
    assert list(named) == [Path(photo) for photo in dict.fromkeys(photos)]


def test_a_file_name_in_another_encoding_does_not_stop_the_batch(disc_bundle: Bundle, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xb5\xda1\xca\xf7.jpg")
    save_photo(tmp_path / odd, 3)
    save_photo(tmp_path / "ok.jpg", 4)
    command = [sys.executable, "-m", "pomona", "count", str(tmp_path), "--json", "--bundle", str(disc_bundle.folder)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    results = {Path(result["photo"]).name: result["counts"]["apple"] for result in lines(done.stdout.decode())}
    assert results == {odd: 3, "ok.jpg": 4}


def test_counting_imports_no_training_library_and_starts_quickly(
    disc_bundle: Bundle, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    photo = save_photo(tmp_path / "1.jpg", 3)
    code = """
import sys
import pomona
sys.argv[0] = "pomona"
try:
    pomona.main()
except SystemExit as ended:
    heavy = {"torch", "torchvision", "ultralytics", "sqlalchemy", "xarray", "fastapi", "paho", "cv2"} & set(sys.modules)
    print(ended.code, sorted(heavy), file=sys.stderr)
"""
    started = time.monotonic()
    done = run_python(code, "count", photo, "--json", "--bundle", disc_bundle.folder)
    seconds = time.monotonic() - started
    record_property("seconds of pomona count for one photo", round(seconds, 2))
    assert done.stderr == "0 []\n"
    assert lines(done.stdout)[0]["counts"]["apple"] == 3
    assert seconds < 20


def test_the_shipped_bundle_is_taken_when_none_is_named(tmp_path: Path) -> None:
    done = run_pomona_process("count", save_photo(tmp_path / "1.jpg", 3), "--json", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(lines(done.stdout)[0]["counts"]) == {"apple", "apple_flower"}


def test_a_reader_that_closes_the_pipe_ends_it_quietly(disc_bundle: Bundle, tmp_path: Path) -> None:
    for number in range(5):
        save_photo(tmp_path / f"{number}.jpg", 3)
    command = f"{sys.executable} -m pomona count {tmp_path} --json --bundle {disc_bundle.folder} | head -c 20"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert len(done.stdout) == 20
    assert done.stderr == ""


@pytest.mark.slow
def test_the_largest_photos_are_counted_in_600_megabytes(tmp_path: Path) -> None:
    """One behind the other, with the bundle that ships: what the first needed is given back before the second."""
    for name in ("1.jpg", "2.jpg"):
        Image.new("RGB", (8600, 5800), (90, 120, 60)).save(tmp_path / name)
    command = [sys.executable, "-m", "pomona", "count", str(tmp_path), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss / 1024 < 600
