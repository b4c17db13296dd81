"""Taking uploads apart as they arrive."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.errors import InputError, StoreError
from device.page.photo_names import clean_name, fitting_name, kind_of
from device.page.receiving import MOST_PHOTOS, FormReceiver, ReceivedForm
from tests.device.page.helpers import draw_photo, full_disk

BOUNDARY = "----pomona"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(*parts: tuple[str, bytes], end: bool = True) -> bytes:
    """A multipart body; each part is the options after ``form-data`` and the content."""
    lines = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {options}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        + content
        + b"\r\n"
        for options, content in parts
    ]
    return b"".join(lines) + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def photo_part(name: str, content: bytes) -> tuple[str, bytes]:
    return f'name="photos"; filename="{name}"', content


def receive(folder: Path, body: bytes, step: int = 65_536, most_photo_bytes: int = 1_000_000) -> ReceivedForm:
    receiver = FormReceiver(TYPE, folder, most_photo_bytes)
    try:
        for start in range(0, len(body), step):
            receiver.write(body[start : start + step])
        return receiver.finish()
    finally:
        receiver.close()


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_however_it_is_cut_up_it_arrives_whole(tmp_path: Path, step: int) -> None:
    body = form(
        ('name="tree"', b" R01-T01 "),
        photo_part("Grün 1.JPG", draw_photo(1)[:3000]),
        photo_part("", b""),
        photo_part("b.png", draw_photo(2, size=(20, 20), kind="PNG")),
    )
    received = receive(tmp_path, body, step)
    assert received.fields == {"tree": "R01-T01"}
    first, second = received.photos
    assert (first.name, second.name) == ("Grün 1.JPG", "b.png")
    assert first.path is not None
    assert first.path.name == "Grün 1.JPG"
    assert first.path.read_bytes() == draw_photo(1)[:3000]
    assert second.path is not None
    assert second.path.read_bytes() == draw_photo(2, size=(20, 20), kind="PNG")


def test_a_photo_too_large_is_dropped_and_the_rest_go_on(tmp_path: Path) -> None:
    body = form(photo_part("large.jpg", b"\xff\xd8\xff" + bytes(50_000)), photo_part("b.jpg", draw_photo(3)[:900]))
    large, small = receive(tmp_path, body, step=4096, most_photo_bytes=10_000).photos
    assert large.path is None
    assert large.problem is not None
    assert "large.jpg is larger than" in large.problem
    assert small.problem is None
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b.jpg"]


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "is empty"), (b"hello", "is no photo"), (b"GIF89a" + bytes(100), "is no photo")]
)
def test_what_is_no_photo_is_dropped(tmp_path: Path, content: bytes, says: str) -> None:
    (photo,) = receive(tmp_path, form(photo_part("x.jpg", content))).photos
    assert photo.path is None
    assert photo.problem is not None
    assert says in photo.problem
    assert "send a JPEG, PNG or HEIC photo" in photo.problem


def test_more_photos_than_one_upload_takes(tmp_path: Path) -> None:
    photos = receive(tmp_path, form(*[photo_part("x.jpg", draw_photo()[:50])] * (MOST_PHOTOS + 1))).photos
    assert [photo.problem is None for photo in photos] == [True] * MOST_PHOTOS + [False]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        form(photo_part("x.jpg", b"\xff\xd8\xff"), end=False),
        form(photo_part("x.jpg", draw_photo()))[:-30],
        form((f'name="{"x" * 5000}"', b"")),
        form(('name="tree"', b"x" * 3000)),
        form(*[(f'name="field{number}"', b"") for number in range(30)]),
    ],
)
def test_a_damaged_or_endless_form_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(InputError):
        receive(tmp_path, body)


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "application/x-www-form-urlencoded"])
def test_what_is_no_form_with_files_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="upload page"):
        FormReceiver(kind, tmp_path)


def test_a_disk_that_takes_no_more_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch)
    for content in (draw_photo(), draw_photo()[:900]):  # one that is written at once, and one that is buffered
        with pytest.raises(StoreError, match="No space left on device; free some space"):
            receive(tmp_path / str(len(content)), form(photo_part("x.jpg", content)))


def test_space_is_no_remedy_for_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("in the way")
    with pytest.raises(StoreError, match="File exists; check the folder's permissions and the disk"):
        receive(tmp_path, form(photo_part("x.jpg", draw_photo())))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("苹果树" * 30 + ".jpg", "苹果树" * 20 + ".jpg"),
        ("x" + "é" * 200 + ".JPG", "x" + "é" * 89 + ".JPG"),
        ("🍎" * 100, "🍎" * 45 + ".jpg"),
        ("🍎" * 100 + "." + "果" * 100, "🍎" * 45 + ".jpg"),
    ],
    ids=["Chinese", "accents", "no suffix", "long suffix"],
)
def test_long_names_of_every_script_fit_on_the_disk(tmp_path: Path, name: str, kept: str) -> None:
    (photo,) = receive(tmp_path, form(photo_part(name, draw_photo()))).photos
    assert photo.path is not None
    assert photo.path.name == photo.name == kept
    assert photo.path.read_bytes() == draw_photo()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("IMG_1.JPG", "IMG_1.JPG"),
        ("C:\\fake\\a.jpg", "a.jpg"),
        ("../../etc/passwd", "passwd"),
        ("..", "photo"),
        (".jpg", "jpg"),
        ("a\0\nb.jpg", "ab.jpg"),
        ("苹果.jpg", "苹果.jpg"),
        ("x" * 300 + ".jpg", "x" * 180 + ".jpg"),
    ],
)
def test_file_names_are_made_safe(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_the_suffix_follows_the_content() -> None:
    assert fitting_name("a.HEIC", "JPEG") == "a.jpg"
    assert fitting_name("a.JPEG", "JPEG") == "a.JPEG"
    assert fitting_name("image", "HEIC") == "image.heic"
    assert kind_of(b"\x00\x00\x00\x18ftypheic") == "HEIC"
    assert kind_of(b"\x00\x00\x00\x18ftypmp42") is None
