"""Taking an upload apart while it arrives: photos go to disk piece by piece, so that none fills the memory."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from device.disk import remedy_for
from device.errors import InputError, StoreError
from device.page.photo_names import HEAD_BYTES, clean_name, fitting_name, kind_of

MOST_PHOTO_BYTES = 60_000_000
MOST_PHOTOS = 50
_MOST_FIELD_BYTES, _MOST_FIELDS, _MOST_HEADER_BYTES = 2_000, 20, 4_000


@dataclass
class ReceivedPhoto:
    """A photo as it came.

    Attributes:
        name: clean file name.
        path: where it lies; None when it was refused.
        problem: why it was refused.
    """

    name: str
    path: Path | None = None
    problem: str | None = None


@dataclass
class ReceivedForm:
    """A form with photos.

    Attributes:
        fields: the texts by name.
        photos: the photos in order.
    """

    fields: dict[str, str] = field(default_factory=dict)
    photos: list[ReceivedPhoto] = field(default_factory=list)


class FormReceiver:
    """Parses one multipart form.

    Args:
        content_type: the request's header.
        folder: photos go to numbered sub-folders of it.
        most_photo_bytes: a larger photo is refused, the rest go on.

    Raises:
        InputError: the request is no form with files.
    """

    def __init__(self, content_type: str, folder: Path, most_photo_bytes: int = MOST_PHOTO_BYTES) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or b"boundary" not in options:
            raise InputError("this is no form with photos; send them from the upload page")
        self._folder = folder
        self._most_photo_bytes = most_photo_bytes
        self._form = ReceivedForm()
        self._complete = False
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._name = ""
        self._text: bytearray | None = None
        self._file: BinaryIO | None = None
        self._head = b""
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": lambda data, start, end: self._add_content(data[start:end]),
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        """Take the next piece of the request.

        Raises:
            InputError: the form is malformed or too long.
            StoreError: a photo cannot be written.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InputError("the upload arrived damaged; send it again") from error
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}; {remedy_for(error)}") from error

    def finish(self) -> ReceivedForm:
        """The form, once every piece was written.

        Raises:
            InputError: its end never came.
        """
        if not self._complete:
            raise InputError("the upload broke off; send it again, nothing is counted twice")
        return self._form

    def close(self) -> None:
        """Let go of a photo that was being written."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # it writes what is left; what had to be kept was flushed before
                self._file.close()
            self._file = None

    def _begin_part(self) -> None:
        self._disposition = b""
        self._text = None
        self._file = None
        self._head = b""

    def _add_header(self, which: int, data: bytes) -> None:
        self._header[which] += data
        if len(self._header[which]) > _MOST_HEADER_BYTES:
            raise InputError("the upload arrived damaged; send it again")

    def _end_header(self) -> None:
        name, value = (bytes(part) for part in self._header)
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = [bytearray(), bytearray()]

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            if len(self._form.fields) >= _MOST_FIELDS:
                raise InputError("the form has too many fields; send it from the upload page")
            self._text = bytearray()
            return
        file_name = options[b"filename"].decode("utf-8", "replace")
        if not file_name:
            return  # a file field left empty
        photo = ReceivedPhoto(clean_name(file_name))
        self._form.photos.append(photo)
        number = len(self._form.photos)
        if number > MOST_PHOTOS:
            photo.problem = (
                f"{photo.name} is one too many: {MOST_PHOTOS} photos fit into one upload; send it with the next"
            )
            return
        photo.path = self._folder / str(number) / "photo"
        photo.path.parent.mkdir(parents=True)
        self._file = photo.path.open("xb")

    def _add_content(self, data: bytes) -> None:
        if self._text is not None:
            self._text += data
            if len(self._text) > _MOST_FIELD_BYTES:
                raise InputError(f"{self._name} is too long; shorten it")
        elif self._file is not None:
            self._head += data[: HEAD_BYTES - len(self._head)]
            self._file.write(data)
            if self._file.tell() > self._most_photo_bytes:
                limit = f"{self._most_photo_bytes / 1e6:.0f} MB"
                self._refuse(f"is larger than {limit}; take it at a lower resolution")

    def _end_part(self) -> None:
        if self._text is not None:
            self._form.fields[self._name] = self._text.decode("utf-8", "replace").strip()
        elif self._file is not None:
            kind = kind_of(self._head)
            if kind is None:
                what = "is empty" if not self._head else "is no photo that can be counted"
                self._refuse(f"{what}; send a JPEG, PNG or HEIC photo")
                return
            self._file.flush()
            os.fsync(self._file.fileno())
            self.close()
            photo = self._form.photos[-1]
            assert photo.path is not None  # its file was open
            photo.name = fitting_name(photo.name, kind)
            photo.path = photo.path.replace(photo.path.with_name(photo.name))

    def _refuse(self, why: str) -> None:
        photo = self._form.photos[-1]
        self.close()
        assert photo.path is not None  # its file was open
        photo.path.unlink()
        photo.path, photo.problem = None, f"{photo.name} {why}"

    def _end(self) -> None:
        self._complete = True
