"""Finding photos and reading them upright, whatever cameras and cards make of them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from export.runtime.errors import PhotoError
from export.runtime.photos import Photo, decode_photo, find_photos, read_photo, read_taken_at
from tests.drawing import TAKEN_AT, draw_discs, encode, exif, in_rows, save_photo
from tests.processes import run_python

Pixels = NDArray[np.uint8]

RED_TOP_LEFT = np.full((500, 640, 3), 40, np.uint8)
RED_TOP_LEFT[:100, :100] = (220, 20, 20)
JPEG = encode(draw_discs([(300, 200)]), said=exif(TAKEN_AT, (56.5, 24.5), 6))

# how an upright photo must lie in the file for each EXIF orientation, after the EXIF standard's table
LAID: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def as_png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says its size and holds no pixel."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    chunks = (b"IHDR", size + bytes([8, 2, 0, 0, 0])), (b"IDAT", b""), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
        for name, content in chunks
    )


def is_red(pixels: Pixels, y: int, x: int) -> bool:
    red, green, blue = (int(value) for value in pixels[y, x])
    return red > 180 and green < 70 and blue < 70


def place_of(photo: Photo) -> list[float | None]:
    return [photo.latitude, photo.longitude]


@pytest.mark.parametrize("orientation", LAID)
def test_every_orientation_is_turned_upright(orientation: int) -> None:
    laid = np.ascontiguousarray(LAID[orientation](RED_TOP_LEFT))
    photo = decode_photo(encode(laid, said=exif(orientation=orientation)), "a.jpg")
    assert (photo.width, photo.height) == (640, 500)
    assert is_red(photo.pixels, 40, 40)
    assert not is_red(photo.pixels, 460, 600)


def test_time_and_place_are_the_cameras() -> None:
    photo = decode_photo(encode(RED_TOP_LEFT, said=exif(TAKEN_AT, (56.508, 24.017))), "a.jpg")
    assert photo.taken_at == TAKEN_AT
    assert place_of(photo) == pytest.approx([56.508, 24.017])


def test_south_and_west_are_negative() -> None:
    photo = decode_photo(encode(RED_TOP_LEFT, said=exif(place=(-33.25, -70.75))), "a.jpg")
    assert place_of(photo) == pytest.approx([-33.25, -70.75])


@pytest.mark.parametrize("parts", [(91.0, 0.0, 0.0), (IFDRational(0, 0), 0.0, 0.0), (1.0, 2.0)], ids=str)
def test_a_place_that_is_none_is_unknown(parts: object) -> None:
    said = exif(place=(10, 20))
    said.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = parts
    photo = decode_photo(encode(RED_TOP_LEFT, said=said), "a.jpg")
    assert place_of(photo) == [None, None]


def test_without_exif_time_and_place_are_unknown() -> None:
    photo = decode_photo(as_png(Image.fromarray(RED_TOP_LEFT)), "a.png")
    assert photo.taken_at is None
    assert place_of(photo) == [None, None]


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "yesterday", "", "2025-09-24T10:30:00"])
def test_a_time_that_is_none_is_unknown(text: str) -> None:
    said = exif(None)
    said.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = text
    assert decode_photo(encode(RED_TOP_LEFT, said=said), "a.jpg").taken_at is None


def test_the_files_own_time_stands_in_for_the_moment_of_the_photo() -> None:
    said = exif(None)
    said[ExifTags.Base.DateTime] = "2024:05:06 07:08:09"
    assert decode_photo(encode(RED_TOP_LEFT, said=said), "a.jpg").taken_at == datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("alpha", Image.new("RGBA", (640, 500), (200, 30, 10, 90))),
        ("palette", Image.new("RGB", (640, 500), (200, 30, 10)).convert("P", palette=Image.Palette.ADAPTIVE)),
    ],
)
def test_png_colours_are_read_as_they_look(name: str, image: Image.Image) -> None:
    assert decode_photo(as_png(image), f"{name}.png").pixels[250, 320].tolist() == [200, 30, 10]


@pytest.mark.parametrize(("grey", "shown"), [(0, 0), (0x7500, 0x75), (0xFFFF, 0xFF)])
def test_sixteen_bit_grey_keeps_its_tones(grey: int, shown: int) -> None:
    photo = decode_photo(as_png(Image.fromarray(np.full((500, 640), grey, np.uint16))), "grey.png")
    assert photo.pixels.shape == (500, 640, 3)
    assert photo.pixels[250, 320].tolist() == [shown] * 3


def test_a_cmyk_jpeg_is_read_in_colour() -> None:
    content = io.BytesIO()
    Image.new("CMYK", (640, 500), (0, 255, 255, 0)).save(content, "JPEG")
    assert is_red(decode_photo(content.getvalue(), "print.jpg").pixels, 250, 320)


def test_of_a_phones_double_photo_the_first_is_read() -> None:
    content = io.BytesIO()
    first, second = Image.new("RGB", (640, 500), (220, 10, 10)), Image.new("RGB", (640, 500), (10, 220, 10))
    first.save(content, "MPO", save_all=True, append_images=[second])
    assert is_red(decode_photo(content.getvalue(), "phone.jpg").pixels, 250, 320)


def test_heic_is_read_upright_with_its_time() -> None:
    pillow_heif.register_heif_opener()
    laid = np.ascontiguousarray(LAID[6](RED_TOP_LEFT))
    photo = decode_photo(encode(laid, "HEIF", exif(orientation=6)), "phone.HEIC")
    assert (photo.width, photo.height) == (640, 500)
    assert is_red(photo.pixels, 40, 40)
    assert photo.taken_at == TAKEN_AT


def test_heic_without_its_library_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"whatever")
    code = """
import sys
from pathlib import Path
from export.runtime.errors import MissingPartError
from export.runtime.photos import read_photo, read_taken_at
assert read_taken_at(Path(sys.argv[1])) is None
try:
    read_photo(Path(sys.argv[1]))
except MissingPartError as error:
    print(error)
"""
    done = run_python(code, tmp_path / "a.heic", blocked=["pillow_heif"])
    assert done.stdout.strip() == f"{tmp_path / 'a.heic'} is a HEIC photo; install pillow-heif to read it, or send JPEG"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no photo that can be decoded; copy it again"),
        (b"Dear diary, today no photo.", "is no photo that can be decoded; copy it again"),
        (JPEG[: len(JPEG) // 2], "is broken .*; copy it again"),
        (JPEG[:200], "is (broken|no photo)"),
        (as_png(Image.fromarray(RED_TOP_LEFT))[:-500], "is broken .*; copy it again"),
    ],
    ids=["empty", "text", "half", "header", "half a PNG"],
)
def test_what_is_no_whole_photo_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "T01.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=f"T01.jpg {said}"):
        read_photo(path)
    assert read_taken_at(path) in (None, TAKEN_AT)


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [
        (500, 400, r"0\.2 megapixels \(500 x 400\)"),
        (8500, 6000, r"51\.0 megapixels \(8500 x 6000\)"),
        (60_000, 60_000, r"3600\.0 megapixels"),
    ],
)
def test_too_small_and_too_large_photos_are_refused_before_they_are_decoded(width: int, height: int, said: str) -> None:
    with pytest.raises(PhotoError, match=rf"a\.png has {said}.*; photos of 0\.3 to 50 megapixels can be counted"):
        decode_photo(png_header(width, height), "a.png")


def test_a_format_that_starts_other_programs_is_not_tried() -> None:
    content = io.BytesIO()
    Image.fromarray(RED_TOP_LEFT).save(content, "EPS")
    with pytest.raises(PhotoError, match="is no photo that can be decoded"):
        decode_photo(content.getvalue(), "sly.jpg")


def test_what_other_libraries_do_to_pillow_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics replaces its way to open images by one that looks for more libraries when a file is no image."""

    def look_for_more(*_arguments: object, **_options: object) -> None:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", look_for_more)
    assert decode_photo(JPEG, "a.jpg").taken_at == TAKEN_AT


@given(st.integers(0, 300), st.binary(min_size=1, max_size=12))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(at: int, junk: bytes) -> None:
    damaged = JPEG[:at] + junk + JPEG[at + len(junk) :]
    try:
        photo = decode_photo(damaged, "a.jpg")
    except PhotoError:
        return
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape[2] == 3


def test_damaged_metadata_does_not_cost_the_photo() -> None:
    start = JPEG.index(b"Exif\0\0") + 6
    photo = decode_photo(JPEG[:start] + b"\xff" * 40 + JPEG[start + 40 :], "a.jpg")
    assert (photo.width, photo.height) == (640, 480)
    assert photo.taken_at is None


def test_the_moment_is_read_without_decoding(tmp_path: Path) -> None:
    whole = save_photo(tmp_path / "a.jpg")
    assert read_taken_at(whole) == TAKEN_AT
    assert read_taken_at(tmp_path / "gone.jpg") is None


def test_a_missing_photo_is_named() -> None:
    with pytest.raises(PhotoError, match=r"nowhere/a\.jpg cannot be read: No such file"):
        read_photo(Path("nowhere/a.jpg"))


def test_photos_are_found_in_folders_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a/3.heic", ".trash/4.jpg", "b/.5.jpg", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in find_photos([tmp_path, tmp_path / "b" / "1.png"])]
    assert found == ["a/3.heic", "b/1.png", "b/2.JPG", "b/1.png"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", r"empty holds no photos; looked for \.heic, \.heif, \.jpeg, \.jpg, \.png files"),
        ("notes.txt", r"notes\.txt is no photo by its name; known are \.heic"),
        ("gone.jpg", r"gone\.jpg does not exist; check the path"),
        ("x" * 300, "cannot be read: File name too long; check the path"),
    ],
)
def test_a_path_without_photos_is_refused_by_name(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PhotoError, match=said):
        list(find_photos([tmp_path / name]))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_is_kept_no_larger_than_needed(orientation: int) -> None:
    content = encode(draw_discs(in_rows(10), size=(1601, 1000), radius=40), said=exif(TAKEN_AT, None, orientation))
    whole, small = decode_photo(content, "a.jpg"), decode_photo(content, "a.jpg", 800)
    assert (small.width, small.height) == (whole.width, whole.height)
    assert max(small.pixels.shape) == 800
    between = decode_photo(content, "a.jpg", 1200)  # no half or quarter of it
    assert np.abs(between.pixels.astype(int) - whole.scaled(1200)).mean() < 1  # rounded before or after turning
    assert np.array_equal(small.scaled(1601), whole.pixels)  # and the rest when somebody asks for it
    for side in (800, 400, 333):
        shrunk, fewer = whole.scaled(side), small.scaled(side)
        assert shrunk.shape == fewer.shape
        assert max(shrunk.shape) == side
        assert abs(shrunk.astype(float) - fewer).mean() < 3


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "I;16"])
def test_every_kind_of_pixels_is_looked_at_in_the_same_size(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    drawn = Image.fromarray(draw_discs(in_rows(3), size=(1600, 1000)))
    (drawn.convert("L").convert("I").convert("I;16") if mode == "I;16" else drawn.convert(mode)).save(path)
    assert read_photo(path, 640).scaled(640).shape == (400, 640, 3)
    assert read_photo(path).pixels.shape == (1000, 1600, 3)


def test_a_photo_that_is_gone_cannot_be_looked_at_more_closely(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(draw_discs(in_rows(3), size=(1600, 1000))))
    small = read_photo(path, 640)
    path.unlink()
    assert max(small.scaled(640).shape) == 640
    with pytest.raises(PhotoError, match=r"a\.jpg cannot be read: No such file"):
        small.scaled(1600)
