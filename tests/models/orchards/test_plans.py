"""Features are known by their names."""

from __future__ import annotations

import pytest

from models.maps.errors import MapError
from models.orchards.plans import columns_of, group_of, groups_of_plan

_NAMES = ("B04_06", "NDVI_06", "B08_asm", "slope", "VH_04", "field")


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("B02", "spectral"),
        ("b8a_2021-07", "spectral"),
        ("VARI_median", "spectral"),
        ("OPAI_s", "spectral"),
        ("B08_VAR", "texture"),
        ("B08 entropy", "texture"),
        ("aspect_sin", "elevation"),
        ("VV_09", "radar"),
        ("tmean_05", "weather"),
        ("B13", None),
        ("field", None),
        ("zone", None),
    ],
)
def test_a_name_says_what_kind_of_feature_it_is(name: str, group: str | None) -> None:
    assert group_of(name) == group


@pytest.mark.parametrize(
    ("plan", "columns"),
    [("1", [0, 1, 3]), ("2", [0, 1, 2]), ("3", [0, 1, 2, 3]), ("all", [0, 1, 2, 3, 4]), ("radar+elevation", [3, 4])],
)
def test_a_plan_takes_its_features_and_no_number_of_a_field(plan: str, columns: list[int]) -> None:
    assert columns_of(_NAMES, groups_of_plan(plan, _NAMES)) == columns


def test_a_plan_without_its_features_is_refused() -> None:
    with pytest.raises(MapError, match=r"no texture features \(there are: spectral 1\)"):
        columns_of(["B02"], groups_of_plan("2", ["B02"]))


@pytest.mark.parametrize("names", [[], ["field", "zone"]])
def test_features_nobody_knows_are_refused(names: list[str]) -> None:
    with pytest.raises(MapError, match="no feature has a name we know"):
        columns_of(names, groups_of_plan("all", names))


def test_an_unknown_plan_is_refused() -> None:
    with pytest.raises(MapError, match="there is no plan 'sepctral'"):
        groups_of_plan("sepctral", _NAMES)
