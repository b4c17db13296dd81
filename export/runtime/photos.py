"""Finding photos and reading them upright, with the time and place their camera wrote down."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from export.runtime.errors import MissingPartError, PhotoError
from export.runtime.processor import cores

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".heic", ".heif"})
_HEIC = frozenset({".heic", ".heif"})
_FORMATS = ("JPEG", "PNG")  # nothing else is tried: Pillow also knows formats that start other programs
LEAST_PIXELS, MOST_PIXELS = 300_000, 50_500_000
# how to turn a photo upright, by its EXIF orientation
_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
_LYING = frozenset({5, 6, 7, 8})  # orientations that swap width and height
_STRIP_ROWS = 128
# what can be averaged as it is; palettes and 16-bit grey are converted first
_SHRINKING_MODES = frozenset({"RGB", "L"})
# what Pillow raises on bytes that are no image, or metadata that is none
_MALFORMED = (OSError, SyntaxError, TypeError, ValueError, EOFError, KeyError, struct.error)

_open_image = Image.open  # kept: ultralytics puts one in its place that installs libraries when a photo is broken
Image.MAX_IMAGE_PIXELS = None  # our own limit below is lower and says what to do
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True)
class Photo:
    """A decoded photo, turned upright.

    Attributes:
        pixels: (height, width, 3) uint8, RGB; of a photo decoded small, fewer than the file holds.
        taken_at: the camera's clock, without a zone; None where the file does not say.
        latitude: degrees north, None where the file does not say.
        longitude: degrees east, None where the file does not say.
        size: width and height of the whole photo where ``pixels`` are fewer.
        decode_larger: decodes again to a longer side of at least so many pixels, where ``pixels`` are not all.
    """

    pixels: NDArray[np.uint8]
    taken_at: datetime | None
    latitude: float | None
    longitude: float | None
    size: tuple[int, int] | None = None
    decode_larger: Callable[[int], Photo] | None = None

    @property
    def width(self) -> int:
        """Pixels across the whole photo."""
        return self.size[0] if self.size else int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down the whole photo."""
        return self.size[1] if self.size else int(self.pixels.shape[0])

    def scaled(self, longest_side_px: int) -> NDArray[np.uint8]:
        """The photo with a longer side of at most this many pixels, each the mean of those it stands for.

        Raises:
            PhotoError: more pixels than were decoded are asked for, and the file is no longer there.
        """
        longest = max(self.width, self.height)
        pixels = self.pixels
        if self.decode_larger is not None and max(pixels.shape) < min(longest_side_px, longest):
            pixels = self.decode_larger(longest_side_px).pixels
        if max(pixels.shape) <= longest_side_px:
            return pixels
        size = _scaled_size(self.width, self.height, longest_side_px)
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def find_photos(paths: Iterable[Path]) -> Iterator[Path]:
    """Photos named directly and photos in folders (sub-folders included, sorted, hidden files left out).

    Raises:
        PhotoError: a path that does not exist, a file that is no photo, a folder without photos.
    """
    for path in paths:
        yield from _photos_of(path)


def _photos_of(path: Path) -> list[Path]:
    known = ", ".join(sorted(PHOTO_SUFFIXES))
    try:
        if path.is_dir():
            if inside := [p for p in sorted(path.rglob("*")) if is_photo(p) and not _is_hidden(p, path)]:
                return inside
            raise PhotoError(f"{path} holds no photos; looked for {known} files")
        if not path.exists():
            raise PhotoError(f"{path} does not exist; check the path")
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error.strerror}; check the path and its permissions") from error
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        raise PhotoError(f"{path} is no photo by its name; known are {known}")
    return [path]


def is_photo(path: Path) -> bool:
    """Whether the path is a file that is named like a photo."""
    return path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def read_photo(path: Path, least_side_px: int | None = None) -> Photo:
    """Decode a photo file and turn it upright by its EXIF orientation.

    Args:
        path: the file.
        least_side_px: a longer side of this many pixels is enough: a JPEG is then decoded at a half, a quarter or an
            eighth where that leaves as many, in a fraction of the time, and the rest is averaged away. None keeps
            everything.

    Raises:
        PhotoError: the file cannot be read or decoded whole, or is smaller or larger than can be counted in.
        MissingPartError: a HEIC photo without the library that reads it.
    """
    try:
        with path.open("rb") as file:
            return _decode(file, str(path), least_side_px, partial(read_photo, path))
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error.strerror or error}") from error


def read_taken_at(path: Path) -> datetime | None:
    """The camera's clock when a photo was taken, without decoding its pixels; None where the file does not say."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(file, str(path)) as image:
                return _metadata(image).taken_at
    except (*_MALFORMED, MissingPartError):
        return None


def decode_photo(content: bytes, name: str, least_side_px: int | None = None) -> Photo:
    """Decode the bytes of a photo; ``name`` stands in error messages. The rest as :func:`read_photo`."""
    return _decode(io.BytesIO(content), name, least_side_px, partial(decode_photo, content, name))


def _decode(file: IO[bytes], name: str, least_side_px: int | None, decode_larger: Callable[[int], Photo]) -> Photo:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable metadata is no reason to alarm a technician
            with open_image(file, name) as image:
                _check_size(image, name)
                width, height = image.size
                if least_side_px is not None:
                    image.draft("RGB", _least_size(width, height, least_side_px))
                image.load()
                said = _metadata(image)
                pixels = _rgb(image, _enough(image, width, height, least_side_px))
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} is no photo that can be decoded; copy it again from the camera") from error
    except _MALFORMED as error:
        raise PhotoError(f"{name} is broken ({error}); copy it again from the camera") from error
    is_whole = pixels.shape[:2] == (height, width)
    if said.orientation in _TURNS:
        pixels = np.ascontiguousarray(_TURNS[said.orientation](pixels))
        if said.orientation in _LYING:
            width, height = height, width
    if is_whole:
        return Photo(pixels, said.taken_at, said.latitude, said.longitude)
    return Photo(pixels, said.taken_at, said.latitude, said.longitude, (width, height), decode_larger)


def _scaled_size(width: int, height: int, longest_side_px: int) -> tuple[int, int]:
    factor = longest_side_px / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _enough(image: Image.Image, width: int, height: int, least_side_px: int | None) -> tuple[int, int]:
    """Size at which the decoded image is enough; ``width`` and ``height`` are the file's."""
    if least_side_px is None or image.mode not in _SHRINKING_MODES or max(image.size) <= least_side_px:
        return image.size
    return _scaled_size(width, height, least_side_px)


def _least_size(width: int, height: int, least_side_px: int) -> tuple[int, int]:
    """Size of the photo at that longer side, rounded down: decoding at a half rounds odd sizes up."""
    factor = min(1.0, least_side_px / max(width, height))
    return max(1, int(width * factor)), max(1, int(height * factor))


def open_image(file: IO[bytes], name: str) -> Image.Image:
    """Open a photo without decoding it yet; only formats that photos come in are tried.

    Raises:
        PIL.UnidentifiedImageError: it is none of them.
        MissingPartError: a HEIC photo without the library that reads it.
    """
    if Path(name).suffix.lower() not in _HEIC:
        return _open_image(file, formats=_FORMATS)
    try:
        import pillow_heif  # noqa: PLC0415  (only for this format, and absent on some devices)
    except ImportError as error:
        raise MissingPartError(f"{name} is a HEIC photo; install pillow-heif to read it, or send JPEG") from error
    pillow_heif.register_heif_opener()
    return _open_image(file, formats=(*_FORMATS, "HEIF"))


def _rgb(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The pixels at that size, each the mean of those it stands for.

    Made strip by strip, each core one at a time: averaging takes longer than decoding, and whole copies of a large
    photo do not fit beside it on a small device.
    """
    width, height = size
    rows = image.height / height
    pixels = np.empty((height, width, 3), dtype=np.uint8)

    def make(top: int) -> None:
        bottom = min(top + _STRIP_ROWS, height)
        if size == image.size:
            strip = image.crop((0, top, width, bottom))
        else:
            box = (0, top * rows, image.width, min(bottom * rows, image.height))
            strip = image.resize((width, bottom - top), Image.Resampling.BOX, box)
        pixels[top:bottom] = _rgb_strip(strip)

    with ThreadPoolExecutor(cores()) as threads:
        for _ in threads.map(make, range(0, height, _STRIP_ROWS)):
            pass
    return pixels


def _rgb_strip(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip to white
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.stack([grey] * 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _check_size(image: Image.Image, name: str) -> None:
    pixels = image.width * image.height
    if not LEAST_PIXELS <= pixels <= MOST_PIXELS:
        raise PhotoError(
            f"{name} has {pixels / 1e6:.1f} megapixels ({image.width} x {image.height}); "
            f"photos of {LEAST_PIXELS / 1e6:.1f} to {MOST_PIXELS / 1e6:.0f} megapixels can be counted"
        )


class _Metadata(NamedTuple):
    orientation: int
    taken_at: datetime | None
    latitude: float | None
    longitude: float | None


def _metadata(image: Image.Image) -> _Metadata:
    """What the file says besides its pixels; damaged metadata says nothing."""
    try:
        exif = image.getexif()
        return _Metadata(exif.get(ExifTags.Base.Orientation, 1), _time(exif), *_place(exif))
    except _MALFORMED:
        return _Metadata(1, None, None, None)


def _time(exif: Image.Exif) -> datetime | None:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    text = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    try:
        return datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007  (cameras know no zone)
    except ValueError:
        return None


def _place(exif: Image.Exif) -> tuple[float | None, float | None]:
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S", 90.0)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W", 180.0)
    if latitude is None or longitude is None or latitude == longitude == 0:  # phones without a fix say 0, 0
        return None, None
    return latitude, longitude


def _degrees(parts: Any, reference: Any, negative: str, most: float) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not 0 <= value <= most:  # also refuses NaN, which 0/0 rationals give
        return None
    return -value if str(reference).strip("\0 ").upper() == negative else value
