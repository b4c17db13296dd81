"""The picture of skill before the season is over shows what its page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.dark_svg import read_shown

DOCS = Path(__file__).parents[1] / "docs"


def test_the_picture_shows_the_pages_numbers() -> None:
    page = (DOCS / "results" / "yields-in-season.md").read_text(encoding="utf-8")
    shown: Any = read_shown(DOCS / "images" / "yields-in-season.svg")
    assert len(shown) >= 2
    for name, values in shown.items():
        for _, skill, low, high in zip(*[iter(values)] * 4, strict=True):
            told = f"{skill:+.1f} ({low:+.1f} to {high:+.1f})"
            assert told in page, f"{name}: {told} is not on the page; run python -m tests.benchmarks.yields_season"
