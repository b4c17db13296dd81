"""Packed boxes: exact, short, and nothing that is none of them is taken for one."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cloud_sync.boxes import MOST_BOXES, MOST_CHARACTERS, ROW, pack_boxes, repack_boxes, unpack_boxes
from cloud_sync.errors import MessageError
from tests.orchard_boxes import orchard_like

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "boxes.md"

edges = st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)).map(sorted)
near = st.tuples(st.integers(0, 30), st.integers(31, 60))
Box = tuple[int, int, int, int, int, int]
boxes = st.lists(
    st.tuples(edges | near, edges | near, st.integers(0, 255), st.integers(0, 3) | st.integers(0, 255)).map(
        lambda box: (box[0][0], box[1][0], box[0][1], box[1][1], box[2], box[3])
    ),
    max_size=30,
)


def rows_of(some: list[Box]) -> NDArray[Any]:
    rows = np.zeros(len(some), ROW)
    for row, box in zip(rows, some, strict=True):
        row["box"], row["score"], row["label"] = box[:4], box[4], box[5]
    return rows


def boxes_of(rows: NDArray[Any]) -> list[Box]:
    columns = (*rows["box"].T, rows["score"], rows["label"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def best_first(some: list[Box]) -> list[Box]:
    return sorted(some, key=lambda box: (-box[4], box[1], box[0], box[2], box[3], box[5]))


@pytest.fixture(scope="module")
def plain() -> Callable[[str], list[Box]]:
    """The reader that the reference page shows."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    reader: Callable[[str], list[Box]] = names["read_boxes"]
    return reader


@given(boxes)
def test_boxes_come_back_exactly_and_best_first(some: list[Box]) -> None:
    """SYNC-070."""
    assert boxes_of(unpack_boxes(pack_boxes(rows_of(some)))) == best_first(some)


@given(boxes)
def test_the_reader_of_the_reference_page_says_the_same(plain: Callable[[str], list[Box]], some: list[Box]) -> None:
    """SYNC-070."""
    assert plain(pack_boxes(rows_of(some))) == best_first(some)


@given(boxes, st.randoms(use_true_random=False))
def test_the_same_boxes_in_any_order_are_the_same_text(some: list[Box], chance: Any) -> None:
    """SYNC-070."""
    shuffled = list(some)
    chance.shuffle(shuffled)
    assert pack_boxes(rows_of(shuffled)) == pack_boxes(rows_of(some))


def test_the_layout_is_that_of_the_reference_page() -> None:
    """SYNC-070: two boxes, bit by bit."""
    fields = [
        f"{2:016b}",  # boxes
        f"{20:016b}",  # topmost y1
        f"{30:016b}",  # usual width
        f"{200:08b}",  # best score
        f"{1:08b}",  # lowest label
        *(f"{parameter:04b}" for parameter in (1, 2, 1, 15, 0, 15)),
        *("1", "0001", "0", "1"),  # 0 and 7 below, with one low bit each
        *("01", "001", "01", "10"),  # x1 of 5 and 10
        *("1", "0000001", "1", "0"),  # width of 29 and 36: -1 and 6, so 1 and 12
        *("1", "001"),  # scores of 200 and 198
    ]
    bits = "".join(fields)
    bits += "0" * (-len(bits) % 8)
    text = base64.b64encode(int(bits, 2).to_bytes(len(bits) // 8, "big")).decode()
    assert boxes_of(unpack_boxes(text)) == [(5, 20, 34, 49, 200, 1), (10, 27, 46, 63, 198, 1)]


def test_no_boxes_are_no_text() -> None:
    """SYNC-070."""
    assert not pack_boxes(rows_of([]))
    assert len(unpack_boxes("")) == 0


def test_150_boxes_take_less_than_half_of_ten_bytes_each() -> None:
    """SYNC-070."""
    assert len(base64.b64decode(pack_boxes(orchard_like(150)))) < 720


@pytest.mark.parametrize("spread", ["any", "far"])
def test_the_most_boxes_fit_whatever_they_are(spread: str) -> None:
    """SYNC-071."""
    random = np.random.default_rng(2)
    values = random.choice([0, 65_535] if spread == "far" else 65_536, (MOST_BOXES, 2, 2))
    rows = np.zeros(MOST_BOXES, ROW)
    rows["box"] = np.sort(values, axis=1).reshape(MOST_BOXES, 4)
    rows["score"], rows["label"] = random.integers(0, 256, (2, MOST_BOXES))
    text = pack_boxes(rows)
    assert len(text) <= MOST_CHARACTERS
    assert boxes_of(unpack_boxes(text)) == best_first(boxes_of(rows))


def test_what_cannot_be_packed_is_said() -> None:
    """SYNC-071."""
    with pytest.raises(ValueError, match=r"at most 15,000 boxes can be packed, not 15,001"):
        pack_boxes(orchard_like(MOST_BOXES + 1))
    for box in ((10, 10, 9, 20, 1, 0), (10, 10, 20, 9, 1, 0)):
        with pytest.raises(ValueError, match="a box has its right edge left of its left edge"):
            pack_boxes(rows_of([box]))


def with_header(text: str, at: int, length: int, number: int) -> str:
    """A packed text with other bits in its header."""
    bits = "".join(f"{byte:08b}" for byte in base64.b64decode(text))
    bits = f"{bits[:at]}{number:0{length}b}{bits[at + length :]}"
    return base64.b64encode(int(bits, 2).to_bytes(len(bits) // 8, "big")).decode()


GOOD = pack_boxes(orchard_like(20))
RAW = base64.b64decode(GOOD)


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("é", "no base64"),
        ("!", "no base64"),
        (GOOD[:-3], "no base64"),
        (GOOD + "\n", "no base64"),
        ("A" * (MOST_CHARACTERS + 4), "are longer than 200000"),
        (text_of(RAW[:10]), "are cut short"),
        (text_of(RAW[:11]), "are cut short"),
        (text_of(RAW[:-1]), "are cut short"),
        (text_of(RAW + b"\0"), "something behind their end"),
        (text_of(RAW[:-1] + bytes([RAW[-1] | 1])), "something behind their end"),
        (text_of(bytes(11)), "say that they are 0"),
        (with_header(GOOD, 0, 16, 15_001), "say that they are 15001"),
        (with_header(GOOD, 0, 16, 15_000), "are cut short"),
        (with_header(GOOD, 16, 16, 65_000), "outside its range"),
        (with_header(GOOD, 32, 16, 0), "outside its range"),
        (with_header(GOOD, 48, 8, 0), "outside its range"),
        (with_header(pack_boxes(rows_of([(1, 2, 3, 4, 5, 0), (1, 2, 3, 4, 5, 1)])), 56, 8, 255), "outside its range"),
        (with_header(GOOD, 64, 4, 15), "have no first column"),
    ],
)
def test_what_is_no_packed_boxes_is_refused_with_the_reason(text: str, said: str) -> None:
    """SYNC-071."""
    with pytest.raises(MessageError, match=said):
        unpack_boxes(text)


@settings(max_examples=500)
@given(st.binary(max_size=60).map(text_of) | st.text(max_size=40))
def test_any_text_is_boxes_or_a_message_error(text: str) -> None:
    """SYNC-047, SYNC-071."""
    with contextlib.suppress(MessageError):
        rows = unpack_boxes(text)
        assert len(rows) <= 8 * len(text)
        assert boxes_of(unpack_boxes(pack_boxes(rows))) == boxes_of(rows)


@settings(max_examples=500)
@given(st.integers(0, 8 * len(RAW) - 1))
def test_any_bit_turned_is_other_boxes_or_a_message_error(at: int) -> None:
    """SYNC-071."""
    content = bytearray(RAW)
    content[at // 8] ^= 0x80 >> at % 8
    with contextlib.suppress(MessageError):
        assert boxes_of(unpack_boxes(text_of(bytes(content)))) != boxes_of(unpack_boxes(GOOD))


@given(boxes)
def test_ten_bytes_a_box_are_packed(some: list[Box]) -> None:
    """SYNC-014."""
    assert repack_boxes(text_of(rows_of(some).tobytes())) == pack_boxes(rows_of(some))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (text_of(bytes(9)), "9 bytes are no boxes of 10 bytes each"),
        ("AAA", "no base64"),
        (text_of(rows_of([(9, 0, 8, 0, 0, 0)]).tobytes()), "right edge left of its left edge"),
    ],
)
def test_what_is_no_ten_bytes_a_box_is_refused(text: str, said: str) -> None:
    """SYNC-014."""
    with pytest.raises(MessageError, match=said):
        repack_boxes(text)
