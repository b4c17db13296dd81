"""docs/explanation/correction.md says what calibration computes: each number, each sum, each picture."""

from __future__ import annotations

import re
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from calibration.bootstrap import Block, draw_again
from calibration.siting import area_factor
from calibration.yields import CONFIDENCE
from tests import correction_example as example
from tests.correction_plots import IMAGES, PICTURES, make_pictures
from tests.correction_sayings import SAYINGS
from tests.dark_svg import DARK, LIGHT, read_shown

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "correction.md"
CITED = "Sources"  # years and pages are looked up, not computed
_SUM = re.compile(r"[-−+×÷√²^%(). \d]*\d[-−+×÷√²^%(). \d]*=[-− ]*\d+(?:\.\d+)?(?: %)?")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)( ?%)?")


@cache
def sections() -> dict[str, str]:
    """The page by heading, each in one line."""
    parts = re.split(r"^#+ (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {heading: re.sub(r"\s+", " ", text) for heading, text in zip(parts[::2], parts[1::2], strict=True)}


@pytest.mark.parametrize("heading", SAYINGS)
def test_the_page_says_what_is_computed(heading: str) -> None:
    text = sections()[heading]
    assert [saying for saying in SAYINGS[heading]() if saying not in text] == []


@pytest.mark.parametrize("heading", sorted(set(sections()) - {CITED}))
def test_no_number_stands_there_that_was_not_computed(heading: str) -> None:
    text = re.sub(r"\]\([^)]*\)|^ ?\d\. | \d\. (?=\*\*)", "]", sections()[heading])
    for saying in sorted(SAYINGS.get(heading, list)(), key=len, reverse=True):
        text = text.replace(saying, "…")
    assert re.findall(r".{0,40}\d.{0,20}", text) == []


def value(expression: str) -> float:
    """What a sum on the page comes to, worked out from the figures printed there."""
    python = _NUMBER.sub(lambda found: f"({found[1]}/100)" if found[2] else found[1], expression)
    python = re.sub(r"√([\d.]+)", r"sqrt(\1)", python).replace("√(", "sqrt(")
    for sign, operator in {"−": "-", "×": "*", "÷": "/", "²": "**2", "^": "**"}.items():
        python = python.replace(sign, operator)
    return float(eval(python, {"__builtins__": {}, "sqrt": sqrt}))


def sums() -> list[tuple[str, str]]:
    found = [match[0].split("=") for text in sections().values() for match in _SUM.finditer(text)]
    return [(left.strip(), right.strip()) for left, right in found]


@pytest.mark.parametrize(("expression", "printed"), sums())
def test_pencil_and_paper_come_to_the_same(expression: str, printed: str) -> None:
    figure = _NUMBER.search(printed)
    assert figure
    # half of the last digit for the result, and half for the figures that went into it
    last_digit = 10 ** -(len(figure[1].partition(".")[2]) + 2 * bool(figure[2]))
    assert value(expression) == pytest.approx(value(printed), abs=last_digit)


def test_shares_of_the_error_are_as_told() -> None:
    """Seven tenths from the areas, a fifth from the detector, less than a tenth from the trees."""
    found = example.estimate()
    shares = [each.relative_variance / found.corrected_kg_per_ha.relative_variance for each in found.components]
    assert shares == pytest.approx([0.09, 0.02, 0.2, 0.7], abs=0.01)


def test_no_number_of_trees_does_what_hand_counts_do() -> None:
    all_trees = example.for_trees(example.BLOCK_TREES, example.SHARED)
    counted = list(example.steps().values())[-1].corrected_kg_per_ha
    assert example.half_width(all_trees) > 1.5 * example.half_width(counted)


def test_the_bootstrap_comes_within_a_few_per_cent() -> None:
    again = draw_again([Block(*example.visited(), area_factor("one area"))], 4000, np.random.default_rng(1))
    ends = example.estimate().corrected_kg_per_ha.positive_interval(CONFIDENCE)
    assert again.intervals(CONFIDENCE)[0] == pytest.approx(np.array(ends), rel=0.04)


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_current(picture: str) -> None:
    compute, _ = PICTURES[picture]
    assert read_shown(IMAGES / f"{picture}.svg") == compute(), "run: python -m tests.correction_plots"


def test_the_page_shows_every_picture() -> None:
    assert re.findall(r"\(\.\./images/(.+?)\.svg\)", PAGE.read_text(encoding="utf-8")) == list(PICTURES)


def test_the_command_draws_them(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    for picture in PICTURES:
        drawn = (tmp_path / f"{picture}.svg").read_text(encoding="utf-8")
        assert "prefers-color-scheme:dark" in drawn
        colours = {*re.findall(r"(?:fill|stroke): (#\w{6})", drawn)}
        assert colours <= set(LIGHT), "a colour without a dark counterpart"


def _luminance(colour: str) -> float:
    """Of sRGB (Web Content Accessibility Guidelines 2.2, relative luminance)."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_stand_out_from_the_ground(colours: tuple[str, ...]) -> None:
    """Letters are written in all of them: 4.5 to 1 (the same guidelines, 1.4.3)."""
    ground, *others = map(_luminance, colours)
    for other in others:
        brighter, darker = max(ground, other), min(ground, other)
        assert (brighter + 0.05) / (darker + 0.05) >= 4.5
