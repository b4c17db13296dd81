"""The boxes of a photo packed for the wire, in less than half of what ten bytes a box take there.

Boxes are put in order of their top edges, and what is then left to say of each is six small numbers: how far below
the last box it begins, its left edge, how much wider it is than most, how much taller than wide, how much worse than
the best, and its label. Each of the six columns is Rice coded with a parameter of its own (Rice 1971, Golomb 1966).
docs/reference/boxes.md has the layout for readers in other languages.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud_sync.errors import MessageError

ROW = np.dtype([("box", "<u2", (4,)), ("score", "u1"), ("label", "u1")])
"""Ten bytes a box: x1, y1, x2, y2 in pixels of the upright photo, score x 255, class index."""

MOST_BOXES = 15_000
MOST_CHARACTERS = 200_000
_MOST_COORDINATE = 65_535
_COLUMNS = 6
# bits of the header: number of boxes, first top edge, usual width, best score, lowest label, six parameters
_HEADER = (16, 16, 16, 8, 8, *(4,) * _COLUMNS)
_HEADER_BYTES = sum(_HEADER) // 8
# instead of a parameter: the column is all zeros, and nothing of it follows
_ALL_ZERO = 15

Rows = NDArray[Any]
_Bits = NDArray[np.uint8]
_Numbers = NDArray[np.int64]


class _Header(NamedTuple):
    """What stands before the columns."""

    boxes: int
    top: int
    width: int
    score: int
    label: int
    parameters: tuple[int, ...]


def pack_boxes(rows: Rows) -> str:
    """Pack boxes as base64 text; the order they came in is not kept.

    Args:
        rows: (N,) of :data:`ROW`.

    Raises:
        ValueError: more than :data:`MOST_BOXES`, or a box whose right or bottom edge comes before its left or top one.
    """
    if len(rows) > MOST_BOXES:
        raise ValueError(f"at most {MOST_BOXES:,} boxes can be packed, not {len(rows):,}")
    if not len(rows):
        return ""
    x1, y1, x2, y2 = rows["box"].astype(np.int64).T
    score, label = rows["score"].astype(np.int64), rows["label"].astype(np.int64)
    order = np.lexsort((label, score, y2, x2, x1, y1))
    left, top, width, height, score, label = (column[order] for column in (x1, y1, x2 - x1, y2 - y1, score, label))
    if min(width.min(), height.min()) < 0:
        raise ValueError("a box has its right edge left of its left edge, or its bottom above its top")
    usual = int(np.sort(width)[len(width) // 2])
    columns = (
        np.diff(top, prepend=top[0]),
        left,
        _folded(width - usual),
        _folded(height - width),
        score.max() - score,
        label - label.min(),
    )
    # the first is always written, so that no text says more boxes than it has bits
    parameters = (
        _parameter(columns[0]),
        *(_parameter(column) if column.any() else _ALL_ZERO for column in columns[1:]),
    )
    header = _Header(len(rows), int(top[0]), usual, int(score.max()), int(label.min()), parameters)
    said = (*header[:-1], *header.parameters)
    bits = "".join(f"{number:0{length}b}" for number, length in zip(said, _HEADER, strict=True))
    parts = [_coded(*part) for part in zip(columns, parameters, strict=True)]
    content = int(bits, 2).to_bytes(_HEADER_BYTES, "big") + np.packbits(np.concatenate(parts)).tobytes()
    return base64.b64encode(content).decode("ascii")


def unpack_boxes(text: str) -> Rows:
    """The boxes of a packed text, best first; among equals from top to bottom, then from left to right.

    Returns:
        (N,) of :data:`ROW`.

    Raises:
        MessageError: the text is too long or no packed boxes, or a box lies outside what sixteen bits can say.
    """
    if not text:
        return np.zeros(0, ROW)
    reader = _Reader(_content(text))
    header = reader.header
    if not 1 <= header.boxes <= MOST_BOXES:
        raise MessageError(f"boxes say that they are {header.boxes}, and can be 1 to {MOST_BOXES}")
    if header.parameters[0] == _ALL_ZERO:
        raise MessageError("boxes have no first column")
    below, left, wider, taller, worse, label = (reader.column(parameter) for parameter in header.parameters)
    reader.end()
    rows = np.zeros(header.boxes, ROW)
    top = header.top + np.cumsum(below)
    width = header.width + _unfolded(wider)
    height = width + _unfolded(taller)
    box = np.stack((left, top, left + width, top + height), axis=1)
    score, label = header.score - worse, header.label + label
    if min(width.min(), height.min(), score.min()) < 0 or box.max() > _MOST_COORDINATE or label.max() > 255:
        raise MessageError("boxes hold a number outside its range")
    rows["box"], rows["score"], rows["label"] = box, score, label
    best_first: Rows = rows[np.lexsort((label, box[:, 3], box[:, 2], left, top, -score))]
    return best_first


def repack_boxes(text: str) -> str:
    """Packed boxes from the ten bytes a box, in base64, that were sent once.

    Raises:
        MessageError: the text is no boxes, too many, or one whose right or bottom edge comes before its left or top.
    """
    content = _content(text)
    if len(content) % ROW.itemsize:
        raise MessageError(f"{len(content)} bytes are no boxes of {ROW.itemsize} bytes each")
    try:
        return pack_boxes(np.frombuffer(content, ROW))
    except ValueError as error:
        raise MessageError(str(error)) from error


def _content(text: str) -> bytes:
    if len(text) > MOST_CHARACTERS:
        raise MessageError(f"boxes of {len(text)} characters are longer than {MOST_CHARACTERS}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"boxes are no base64: {error}") from error


class _Reader:
    """Reads packed boxes from the front."""

    def __init__(self, content: bytes) -> None:
        if len(content) < _HEADER_BYTES:
            raise _cut_short()
        self.header = _header(int.from_bytes(content[:_HEADER_BYTES], "big"))
        self._bits: _Bits = np.unpackbits(np.frombuffer(content, np.uint8, offset=_HEADER_BYTES))
        self._ones: _Numbers = np.flatnonzero(self._bits)
        self._at = 0

    def column(self, parameter: int) -> _Numbers:
        """One column: the upper parts of all its numbers, each as so many zeros and a one, then all lower parts."""
        count = self.header.boxes
        if parameter == _ALL_ZERO:
            return np.zeros(count, np.int64)
        first = int(self._ones.searchsorted(self._at))
        ones = self._ones[first : first + count]
        if len(ones) < count:
            raise _cut_short()
        upper = ones.copy()
        upper[0] -= self._at
        upper[1:] -= ones[:-1] + 1
        start = int(ones[-1]) + 1
        self._at = start + count * parameter
        if self._at > len(self._bits):
            raise _cut_short()
        lower = np.zeros((count, 16), np.uint8)
        lower[:, 16 - parameter :] = self._bits[start : self._at].reshape(count, parameter)
        together: _Numbers = (upper << parameter) | np.packbits(lower).view(">u2")
        return together

    def end(self) -> None:
        """See that nothing is left but the zeros that fill the last byte."""
        if len(self._bits) - self._at >= 8 or (len(self._ones) and self._ones[-1] >= self._at):
            raise MessageError("boxes have something behind their end")


def _header(number: int) -> _Header:
    parts = []
    for length in reversed(_HEADER):
        parts.append(number & ((1 << length) - 1))
        number >>= length
    *parameters, label, score, width, top, boxes = parts
    return _Header(boxes, top, width, score, label, tuple(reversed(parameters)))


def _cut_short() -> MessageError:
    return MessageError("boxes are cut short")


def _coded(column: _Numbers, parameter: int) -> _Bits:
    if parameter == _ALL_ZERO:
        return np.zeros(0, np.uint8)
    ends = np.cumsum((column >> parameter) + 1)
    upper = np.zeros(int(ends[-1]), np.uint8)
    upper[ends - 1] = 1
    return np.concatenate((upper, _low_bits(column, parameter)))


def _low_bits(numbers: _Numbers, length: int) -> _Bits:
    """The lowest bits of each number, the highest of them first."""
    bits: _Bits = ((numbers[:, None] >> np.arange(length)[::-1]) & 1).astype(np.uint8).ravel()
    return bits


def _parameter(column: _Numbers) -> int:
    """How many low bits are best left as they are."""
    parameters = np.arange(_ALL_ZERO)
    return int(np.argmin(len(column) * parameters + (column[:, None] >> parameters).sum(axis=0)))


def _folded(numbers: _Numbers) -> _Numbers:
    """Numbers round zero as numbers from zero: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4."""
    return np.where(numbers >= 0, 2 * numbers, -2 * numbers - 1)


def _unfolded(numbers: _Numbers) -> _Numbers:
    return (numbers >> 1) ^ -(numbers & 1)
