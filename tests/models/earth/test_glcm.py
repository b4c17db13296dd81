"""GLCM textures: scikit-image's numbers on any window, Haralick's identities, and the same lazily as in memory."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops

from models.earth.errors import EarthInputError
from models.earth.glcm import FORMULAS, PAPER_MEASURES, TextureSettings, level_textures, quantise, textures
from models.earth.glcm_kernel import MEASURES

ALL = tuple(FORMULAS)
ANGLES = {(0, 1): 0.0, (1, 1): np.pi / 4, (1, 0): np.pi / 2, (1, -1): 3 * np.pi / 4}
GRAYCOPROPS = {
    "asm": "ASM",
    "contrast": "contrast",
    "corr": "correlation",
    "var": "variance",
    "idm": "homogeneity",
    "ent": "entropy",
    "diss": "dissimilarity",
}

Levels = NDArray[np.integer[Any]]


def middle(window: Levels, settings: TextureSettings) -> dict[str, float]:
    """Textures of the pixel in the middle, whose window the whole image is."""
    at = window.shape[0] // 2
    return dict(zip(settings.names, level_textures(window, settings)[:, at, at].tolist(), strict=True))


def matrices(window: Levels, levels: int) -> NDArray[np.float64]:
    """(levels, levels, directions) scikit-image's symmetric, normalised co-occurrences."""
    counted: Any = graycomatrix
    return np.asarray(counted(window, [1], list(ANGLES.values()), levels, symmetric=True, normed=True)[:, :, 0])


def scikit_image(p: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """(directions,) One of scikit-image's measures."""
    measure: Any = graycoprops
    return np.asarray(measure(p[:, :, None, :], name)[0])


def entropy(p: NDArray[Any]) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def by_definition(p: NDArray[np.float64]) -> dict[str, float]:
    """Each measure as Haralick and Conners wrote it, from the whole matrix."""
    levels = len(p)
    i, j = np.indices(p.shape)
    of_sums = np.bincount((i + j).ravel(), weights=p.ravel())
    of_differences = np.bincount(abs(i - j).ravel(), weights=p.ravel())
    px, py = p.sum(1), p.sum(0)
    mean = (i * p).sum()
    variance = ((i - mean) ** 2 * p).sum()
    k, d = np.arange(len(of_sums)), np.arange(levels)
    savg = (k * of_sums).sum()
    diss = (d * of_differences).sum()
    both = np.outer(px, py)
    hxy1 = -(p[both > 0] * np.log(both[both > 0])).sum()
    hxy2 = entropy(both)
    largest = max(entropy(px), entropy(py))
    correlation = ((i - mean) * (j - mean) * p).sum() / variance if variance > 1e-15 else 0.0
    return {
        "asm": (p**2).sum(),
        "contrast": ((i - j) ** 2 * p).sum(),
        "corr": correlation,
        "var": variance,
        "idm": (p / (1 + (i - j) ** 2)).sum(),
        "savg": savg,
        "svar": ((k - savg) ** 2 * of_sums).sum(),
        "sent": entropy(of_sums),
        "ent": entropy(p),
        "dvar": ((d - diss) ** 2 * of_differences).sum(),
        "dent": entropy(of_differences),
        "imcorr1": (entropy(p) - hxy1) / largest if largest > 1e-12 else 0.0,
        "imcorr2": np.sqrt(max(0.0, 1 - np.exp(-2 * (hxy2 - entropy(p))))),
        "diss": diss,
        "inertia": ((i - j) ** 2 * p).sum(),
        "shade": ((i + j - 2 * mean) ** 3 * p).sum(),
        "prom": ((i + j - 2 * mean) ** 4 * p).sum(),
    }


# rough, smooth and nearly constant windows, of few and of many levels
@st.composite
def random_windows(draw: st.DrawFn) -> tuple[Levels, int]:
    levels = draw(st.sampled_from([2, 8, 64, 256]))
    size_px = draw(st.sampled_from([1, 2, 3, 5]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    around, spread = random.uniform(0, levels), draw(st.sampled_from([0.3, 3.0, 100.0]))
    window = random.normal(around, spread, (2 * size_px + 1, 2 * size_px + 1))
    return np.clip(window, 0, levels - 1).astype(np.uint8), levels


@given(random_windows())
def test_every_direction_equals_scikit_image(drawn: tuple[Levels, int]) -> None:
    window, levels = drawn
    p = matrices(window, levels)
    settings = TextureSettings(len(window) // 2, levels, measures=tuple(GRAYCOPROPS), average=False)
    found = middle(window, settings)
    for name, theirs in GRAYCOPROPS.items():
        for direction, ((down, right), expected) in enumerate(zip(ANGLES, scikit_image(p, theirs), strict=True)):
            # of a constant image scikit-image says 1
            constant = name == "corr" and scikit_image(p, "variance")[direction] < 1e-15
            assert found[f"{name}_{down}_{right}"] == pytest.approx(0 if constant else expected, rel=1e-9, abs=1e-9)


@given(random_windows())
def test_the_average_of_all_measures_is_their_definition(drawn: tuple[Levels, int]) -> None:
    window, levels = drawn
    p = matrices(window, levels)
    directions = [by_definition(p[:, :, direction]) for direction in range(len(ANGLES))]
    found = middle(window, TextureSettings(len(window) // 2, levels, measures=ALL))
    for name in ALL:
        # near 0 the square root in imcorr2 makes a rounding error of 1e-16 in the definition one of 1e-8
        absolute = 1e-7 if name == "imcorr2" else 1e-9
        expected = np.mean([direction[name] for direction in directions])
        assert found[name] == pytest.approx(expected, rel=1e-9, abs=absolute), name


def test_a_window_slides_without_a_trace_of_those_before() -> None:
    """All pixels of a large image, of which each has come by one other way, against their windows alone."""
    image = np.random.default_rng(1).integers(0, 64, (16, 300))
    settings = TextureSettings(measures=ALL)
    whole = level_textures(image, settings)
    for y, x in product((3, 8, 12), (3, 150, 296)):
        alone = level_textures(image[y - 3 : y + 4, x - 3 : x + 4], settings)
        np.testing.assert_array_equal(whole[:, y, x], alone[:, 3, 3])


@given(random_windows())
def test_identities(drawn: tuple[Levels, int]) -> None:
    window, levels = drawn
    found = middle(window, TextureSettings(len(window) // 2, levels, measures=ALL, average=False))
    p = matrices(window, levels)
    for direction, (down, right) in enumerate(ANGLES):
        of = {name: found[f"{name}_{down}_{right}"] for name in ALL}
        assert of["savg"] == pytest.approx(2 * (np.arange(levels) * p[:, :, direction].sum(1)).sum(), abs=1e-9)
        assert of["contrast"] == pytest.approx(2 * of["var"] * (1 - of["corr"]), abs=1e-9)
        assert of["inertia"] == of["contrast"]
        assert of["svar"] == pytest.approx(4 * of["var"] - of["contrast"], abs=1e-9)


@pytest.mark.parametrize("level", [0, 17, 63])
def test_a_constant_window(level: int) -> None:
    """Methods' convention: ASM 1, sum average twice the value, homogeneity 1, all others 0; nothing is undefined."""
    found = middle(np.full((7, 7), level), TextureSettings(measures=ALL))
    assert found == {name: 1 if name in {"asm", "idm"} else 2 * level if name == "savg" else 0 for name in ALL}


def test_a_window_by_hand() -> None:
    """Rows 0 1 / 2 3 as a 2 x 2 corner: one pair to the right a row, (0, 1) and (2, 3)."""
    window = np.array([[0, 1, -1], [2, 3, -1], [-1, -1, -1]])
    settings = TextureSettings(1, 4, offsets=((0, 1),), measures=("asm", "contrast", "savg", "ent"), least_share=0)
    found = dict(zip(settings.names, level_textures(window, settings)[:, 1, 1], strict=True))
    assert found == pytest.approx({"asm": 0.25, "contrast": 1, "savg": 3, "ent": np.log(4)}, abs=1e-12)


def test_settings_decide() -> None:
    image = np.random.default_rng(2).integers(0, 8, (15, 15))

    def asm(**changed: Any) -> float:
        return float(level_textures(image, TextureSettings(levels=8, measures=("asm",), **changed))[0, 7, 7])

    assert len({asm(), asm(size_px=2), asm(offsets=((0, 1),)), asm(offsets=((2, 0),))}) == 4
    # an offset and its reverse are the same pairs
    assert asm(offsets=((-1, 1),)) == asm(offsets=((1, -1),))
    assert asm(offsets=((0, -2),)) == asm(offsets=((0, 2),))


def test_levels_are_of_equal_width_and_hold_what_lies_outside() -> None:
    settings = TextureSettings(levels=4, low=0.0, high=0.6)
    values = np.array([-0.1, 0.0, 0.149, 0.151, 0.599, 0.6, 1.2, np.nan])
    assert quantise(values, settings).tolist() == [0, 0, 0, 1, 3, 3, 3, -1]


def test_pairs_with_a_missing_pixel_do_not_count() -> None:
    image = np.random.default_rng(3).integers(0, 8, (9, 9))
    holed = image.copy()
    holed[4, 5] = -1
    p = np.zeros((8, 8))
    for y, x in product(range(1, 8), range(1, 7)):  # to the right, within the window of pixel (4, 4)
        if -1 not in (a := holed[y, x], b := holed[y, x + 1]):
            p[a, b] += 1
            p[b, a] += 1
    settings = TextureSettings(levels=8, measures=ALL, offsets=((0, 1),))
    found = level_textures(holed, settings)
    expected = by_definition(p / p.sum())
    assert dict(zip(ALL, found[:, 4, 4], strict=True)) == pytest.approx(expected, abs=1e-8)
    assert np.isnan(found[:, 4, 5]).all(), "a missing pixel has no texture"


def test_too_few_pairs_are_no_texture() -> None:
    image = np.random.default_rng(4).integers(0, 8, (9, 9))
    for least_share, corner in ((0.0, True), (0.25, True), (0.26, False), (1.0, False)):
        known = ~np.isnan(level_textures(image, TextureSettings(levels=8, least_share=least_share)))
        assert known[:, 4, 4].all()
        assert known[:, 0, 0].all() == corner  # 4 x 3 of 7 x 6 pairs to the right, 3 x 3 of 6 x 6 along the diagonals
    alone = np.full((7, 7), -1)
    alone[3, 3] = 2
    assert np.isnan(level_textures(alone, TextureSettings(levels=8, least_share=0.0))).all()


def scene(shape: tuple[int, ...] = (2, 40, 50)) -> xr.DataArray:
    random = np.random.default_rng(5)
    values = random.uniform(0, 0.6, shape).astype(np.float32)
    values[random.uniform(size=shape) < 0.02] = np.nan
    return xr.DataArray(values, dims=("time", "y", "x")[-len(shape) :], name="B08")


@pytest.mark.parametrize("average", [True, False])
def test_lazily_as_in_memory(average: bool) -> None:
    band = scene()
    settings = TextureSettings(average=average)
    now = textures(band, settings)
    later = textures(band.chunk(time=1, y=13, x=17), settings)
    assert list(later) == list(now)
    assert all(variable.chunks for variable in later.values())
    xr.testing.assert_identical(now, later.compute())


def test_chunks_thinner_than_the_window() -> None:
    band = scene((40, 50))
    later = textures(band.chunk(y=2, x=50), TextureSettings(size_px=5))
    xr.testing.assert_identical(textures(band, TextureSettings(size_px=5)), later.compute())


def test_variables_are_named_after_the_band_and_say_how_they_were_made() -> None:
    found = textures(scene((9, 9)))
    assert list(found) == [f"B08_{name}" for name in PAPER_MEASURES]
    assert found.B08_asm.dtype == np.float32
    assert found.B08_asm.attrs["glcm_levels"] == "64"
    assert found.B08_asm.attrs["formula"] == "Σ p²"
    each = textures(scene((9, 9)), TextureSettings(average=False, measures=("asm",)))
    assert list(each) == ["B08_asm_0_1", "B08_asm_1_1", "B08_asm_1_0", "B08_asm_1_-1"]


def test_formulas_and_kernel_know_the_same_measures() -> None:
    assert set(FORMULAS) == set(MEASURES)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size_px": 0}, "size_px is 0"),
        ({"levels": 257}, "levels is 257"),
        ({"low": 0.6}, "low must be below high"),
        ({"least_share": 1.1}, "least_share is 1.1"),
        ({"measures": ("asm", "maxcorr")}, "maxcorr"),
        ({"measures": ()}, "measures are none"),
        ({"offsets": ((0, 7),)}, "offset (0, 7)"),
        ({"offsets": ()}, "no pairs"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(EarthInputError) as refused:
        TextureSettings(**wrong)
    assert told in str(refused.value)


def test_wrong_images_are_named() -> None:
    with pytest.raises(EarthInputError, match="grey level 64 is above"):
        level_textures(np.full((7, 7), 64), TextureSettings())
    with pytest.raises(EarthInputError, match="B08 holds whole numbers"):
        textures((scene() * 10_000).fillna(0).astype(np.uint16).rename("B08"))
    with pytest.raises(EarthInputError, match="needs y and x"):
        textures(scene().rename(y="row"))
