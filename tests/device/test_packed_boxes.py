"""Boxes as ten bytes each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync import boxes
from device.packed_boxes import pack_boxes, unpack_boxes
from export.runtime.detections import Detections

LABELS = ("apple", "apple_flower")
corners = st.floats(0, 65_535, width=32)
rows = st.lists(
    st.tuples(st.tuples(corners, corners, corners, corners), st.floats(0, 1, width=32), st.integers(0, 1)), max_size=20
)


def make(drawn: list[tuple[tuple[float, ...], float, int]]) -> Detections:
    return Detections(
        np.array([box for box, _, _ in drawn], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in drawn], np.float32),
        np.array([label for _, _, label in drawn], np.int64),
        LABELS,
    )


@given(rows)
def test_boxes_come_back_to_the_pixel_and_scores_to_a_half_percent(
    drawn: list[tuple[tuple[float, ...], float, int]],
) -> None:
    some = make(drawn)
    packed = pack_boxes(some)
    assert len(packed.content) == 10 * len(some)
    again = unpack_boxes(packed.content, LABELS)
    assert np.abs(again.boxes - some.boxes).max(initial=0) <= 0.5
    assert np.abs(again.scores - some.scores).max(initial=0) <= 0.5 / 255 + 1e-6
    assert again.classes.tolist() == some.classes.tolist()


def test_the_layout_is_what_the_server_reads() -> None:
    packed = pack_boxes(make([((1, 2, 3, 258), 1.0, 1)]))
    assert packed.content == bytes([1, 0, 2, 0, 3, 0, 2, 1, 255, 1])
    assert boxes.unpack_boxes(packed.text).tobytes() == packed.content


def test_a_box_that_was_cut_off_is_noticed() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        unpack_boxes(b"123456789", LABELS)
