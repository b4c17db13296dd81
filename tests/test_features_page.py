"""docs/reference/features.md lists what is computed, with the formulas and sources that the code carries."""

from __future__ import annotations

import re
from pathlib import Path

from models.earth.glcm import FORMULAS, TextureSettings
from models.earth.indices import INDICES
from models.earth.phenology import SURROGATES, PhenologyWindows

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "features.md").read_text()


def table_of(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.split(f"## {heading}\n")[1]
    lines = re.findall(r"^\| (.+) \|$", section.split("\n\n|")[1].split("\n\n")[0], flags=re.MULTILINE)
    return [line.replace("&#124;", "|").split(" | ") for line in lines if not line.startswith("---")]


def test_indices() -> None:
    rows = [[f"{name}, {of.long_name}", of.formula, of.source] for name, of in INDICES.items()]
    assert table_of("Spectral indices") == rows


def test_surrogates_and_their_months() -> None:
    assert table_of("Orchard phenology: surrogates") == [list(row) for row in SURROGATES.items()]
    windows = PhenologyWindows()
    assert (windows.early, windows.late, windows.season) == ((4, 5), (9, 10), tuple(range(4, 11)))
    assert (windows.hold, windows.least_difference) == (tuple(range(5, 10)), 0.02)
    assert "early April and May, late September and October" in PAGE


def test_textures_and_their_settings() -> None:
    assert table_of("Textures") == [list(row) for row in FORMULAS.items()]
    settings = TextureSettings()
    for name, value in {
        "`size_px`": settings.size_px,
        "`levels`": settings.levels,
        "`low`, `high`": f"{settings.low:g}, {settings.high:g}",
        "`least_share`": settings.least_share,
    }.items():
        assert f"| {name} | {value} |" in PAGE
    assert f"| `offsets` | {', '.join(map(str, settings.offsets)).replace('-', '−')} |" in PAGE
