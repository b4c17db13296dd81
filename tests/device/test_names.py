"""Names are kept in one way of writing."""

from __future__ import annotations

import unicodedata

import pytest

from device.names import clean_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Grün-1", "Grün-1"),
        (unicodedata.normalize("NFD", "Grün-1"), "Grün-1"),
        ("  row 3   tree\t7 ", "row 3 tree 7"),
        ("R3\u00a0T7", "R3 T7"),
        ("行三\u3000树七", "行三 树七"),
        (" ", ""),
        ("bell\x07", "bell\x07"),
        ("\udcff", "\udcff"),
    ],
)
def test_one_name_is_written_in_one_way(text: str, name: str) -> None:
    assert clean_name(text) == name
    assert clean_name(name) == name
