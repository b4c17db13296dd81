"""The prior of the correction factor, taken over from a file and kept."""

from __future__ import annotations

import json
import os
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.pooling import prior_from_document
from device.errors import InputError, StoreError
from device.factor_prior import keep_prior, kept_prior
from tests.device.fitted_prior import prior_document, write_prior


def test_a_prior_that_was_taken_over_is_kept_as_it_came(home: Path, tmp_path: Path) -> None:
    assert kept_prior(home) is None
    path = write_prior(tmp_path / "prior.json")
    document = keep_prior(home, path)
    assert document.prior == prior_from_document(prior_document())
    assert document.regions == {"North farm": "Zhaoyuan"}
    assert document.levels("region") == ["Qixia", "Zhaoyuan"]
    assert document.levels("year") == ["2023", "2024"]
    content = path.read_bytes()
    path.unlink()
    assert kept_prior(home) == document
    assert [file.read_bytes() for file in home.rglob("*") if file.is_file()] == [content]


def test_a_newer_one_takes_its_place(home: Path, tmp_path: Path) -> None:
    keep_prior(home, write_prior(tmp_path / "prior.json"))
    newer = keep_prior(home, write_prior(tmp_path / "newer.json", regions={"South farm": "Qixia"}))
    assert kept_prior(home) == newer


def test_orchards_are_named_as_the_device_names_them(home: Path, tmp_path: Path) -> None:
    document = keep_prior(home, write_prior(tmp_path / "prior.json", regions={" North  farm ": "Zhaoyuan"}))
    assert document.regions == {"North farm": "Zhaoyuan"}
    assert keep_prior(home, write_prior(tmp_path / "prior.json", regions=None)).regions == {}


def _covariances_too_large(covariance: list[list[float]]) -> list[list[float]]:
    variances = np.diag(np.diag(covariance))
    told: list[list[float]] = (variances + 99 * (np.array(covariance) - variances)).tolist()
    return told


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"schema": "pomona-factor-prior/2"}, "is of schema 'pomona-factor-prior/2' and this Pomona reads"),
    ({"schema": None}, "is of schema None and this Pomona reads 'pomona-factor-prior/1'; upgrade Pomona, or fetch"),
    ({"levels": None}, "the prior of the correction factor holds no 'levels'; fetch it again"),
    ({"levels": [["region", "Zhaoyuan"]]}, "holds 1 levels with"),
    ({"levels": [["region"]]}, "holds values of another kind"),
    ({"effects": "large"}, "holds values of another kind"),
    ({"effects": [nan] * 11}, "holds an effect or covariance that is no number"),
    ({"spread": {}}, "holds no spread of block, region, season, variety, year"),
    ({"trees": {"variance": -1}}, "variance between trees is -1; it must be a number above 0"),
    ({"blocks": "many"}, "holds values of another kind"),
    ({"blocks": inf}, "holds a number beyond all measure; fetch it again"),
    (
        {"covariance": _covariances_too_large(prior_document()["covariance"])},
        "covariance is not that of any effects; fetch the file",
    ),
    ({"regions": ["Zhaoyuan"]}, "regions is no object of orchards and their regions"),
    ({"regions": {"North farm": ""}}, "the region of orchard 'North farm' is ''; give 1 to 200 printable characters"),
    ({"regions": {"North farm": 5}}, "the region of orchard 'North farm' is ''"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_prior_that_is_wrong_is_named_and_the_old_one_stays(
    home: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    before = keep_prior(home, write_prior(tmp_path / "prior.json"))
    wrong = write_prior(tmp_path / "wrong.json", **changes)
    with pytest.raises(InputError) as refused:
        keep_prior(home, wrong)
    assert said in str(refused.value)
    assert str(wrong) in str(refused.value)
    assert kept_prior(home) == before


def test_a_covariance_must_be_symmetric(home: Path, tmp_path: Path) -> None:
    covariance = [list(row) for row in prior_document()["covariance"]]
    covariance[0][1] += covariance[0][0]
    with pytest.raises(InputError, match="covariance is not that of any effects"):
        keep_prior(home, write_prior(tmp_path / "prior.json", covariance=covariance))


@pytest.mark.parametrize("content", [b"", b"prior", b"[1, 2]", b"\xff\xfe{", b"null"])
def test_what_is_no_prior_is_refused(home: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prior.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"prior .*prior\.json is (no JSON|of schema None)"):
        keep_prior(home, path)
    assert kept_prior(home) is None


def test_a_file_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prior .*nowhere\.json cannot be read: No such file or directory; name the"):
        keep_prior(home, tmp_path / "nowhere.json")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "home"
    blocked.write_text("a file stands in the way")
    with pytest.raises(StoreError, match=r"home/documents/factor-prior\.json: .*; free some space, or let this user"):
        keep_prior(blocked, write_prior(tmp_path / "prior.json"))


def test_a_kept_prior_that_was_damaged_is_named(home: Path, tmp_path: Path) -> None:
    keep_prior(home, write_prior(tmp_path / "prior.json"))
    (kept,) = (file for file in home.rglob("*") if file.is_file())
    os.truncate(kept, kept.stat().st_size // 2)
    with pytest.raises(InputError, match=r"factor-prior\.json is no JSON"):
        kept_prior(home)


def test_nothing_is_lost_on_the_way_through_json() -> None:
    document = prior_document()
    assert prior_from_document(json.loads(json.dumps(document))) == prior_from_document(document)
