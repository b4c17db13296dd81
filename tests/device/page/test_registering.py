"""The form for a block."""

from __future__ import annotations

import contextlib
import re
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from device.orchard_places import place_of
from device.orchards import BlockSettings, register_block
from device.page import registering
from device.store import Store
from tests.device.page.helpers import browser

TYPED = {
    "name": "B7",
    "orchard": "South farm",
    "area": "30",
    "area_unit": "mu",
    "trees": "1650",
    "fruit_weight": "210,5",
    "unit": "kg/mu",
    "region": "Gansu",
    "county": "Jingning",
    "county_area": "1 000 000",
    "county_area_unit": "mu",
}

TEXTS = ("name", "orchard", "area", "trees", "fruit_weight", "region", "county", "county_area")


def blocks(client: TestClient) -> dict[str, Any]:
    return {item["block"]["name"]: item["block"] for item in client.get("/api/summary").json()["blocks"]}


def register(client: TestClient, **fields: str) -> Response:
    return client.post("/register", data={**TYPED, **fields})


def test_a_block_is_registered(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        answer = register(client)
        assert answer.url.path == "/blocks/B7"
        block = blocks(client)["B7"]
        assert block["orchard"] == "South farm"
        assert block["area_m2"] == pytest.approx(20_000)
        assert (block["trees"], block["fruit_weight_g"], block["yield_unit"]) == (1650, 210.5, "kg/mu")
        assert 'value="South farm"' in client.get("/register").text  # offered for the next block


def test_yield_models_learn_where_the_orchard_is(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        register(client)
        register(client, name="B8", region="", county=" ", county_area="")  # what is left empty stays
    with contextlib.closing(Store(tmp_path)) as store:
        place = place_of(store, "South farm")
    assert (place.region, place.county) == ("Gansu", "Jingning")
    assert place.county_area_ha == pytest.approx(66_666.67, abs=0.01)


def test_sending_it_twice_changes_nothing(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        register(client)
        once = blocks(client)
        register(client)
        assert blocks(client) == once


def test_an_empty_field_leaves_what_is_known(home: Path) -> None:
    with browser(home) as client:
        form = client.get("/register?block=B1").text
        assert 'value="210"' in form
        assert 'value="1650"' in form
        register(client, name="B1", orchard="North farm", area="", trees="", fruit_weight="190")
        block = blocks(client)["B1"]
        assert (block["trees"], block["fruit_weight_g"]) == (1650, 190)


def test_what_the_form_shows_of_a_block_can_be_sent_back(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        register(client, area="12340", area_unit="m2", trees="1,650", fruit_weight="0,125")
        before = blocks(client)["B7"]
        assert (before["area_m2"], before["trees"], before["fruit_weight_g"]) == (12_340, 1650, 0.125)
        form = client.get("/register?block=B7").text
        shown = {name: re.search(f'name="{name}" value="([^"]*)"', form)[1] for name in TEXTS}  # type: ignore[index]
        assert register(client, **shown, area_unit="ha", county_area_unit="ha").url.path == "/blocks/B7"
        assert blocks(client)["B7"] == before


def test_bins_that_are_in_use_are_offered_and_stay(home: Path) -> None:
    with browser(home) as client:
        assert register(client, unit="bins/acre of 400 kg").status_code == 400  # nobody said so far what a bin weighs
        with contextlib.closing(Store(home)) as store:
            register_block(store, "B8", "South farm", BlockSettings(), "bins/acre of 400 kg")
        assert "<option selected>bins/acre of 400 kg</option>" in client.get("/register?block=B8").text
        register(client, name="B8", area="6", area_unit="acre", unit="bins/acre of 400 kg")
        assert blocks(client)["B8"]["yield_unit"] == "bins/acre of 400 kg"
        assert blocks(client)["B8"]["area_m2"] == pytest.approx(24_281.14, abs=0.01)


def test_one_name_however_it_is_typed_is_one_block(tmp_path: Path) -> None:
    with browser(tmp_path) as client:
        register(client, name="Su\u0308d  1")
        register(client, name=" S\u00fcd 1")
        assert list(blocks(client)) == ["S\u00fcd 1"]


def test_a_mistake_in_the_code_is_not_told_as_a_mistake_in_the_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError("1 validation error for BlockBody")

    monkeypatch.setattr(registering, "register_block", fail)
    with browser(tmp_path) as client, pytest.raises(ValueError, match="BlockBody"):
        register(client)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", " ", "the block's name is ''; give 1 to 200 printable characters"),
        ("name", "x" * 201, "give 1 to 200 printable characters"),
        ("name", "a\u200b\x07", "give 1 to 200 printable characters"),
        ("orchard", "", "the orchard's name is ''"),
        ("area", "wide", "the area is 'wide'"),
        ("area", "-3", "a number above 0"),
        ("area", "inf", "a number above 0"),
        ("area_unit", "rood", "the area's unit is not chosen"),
        ("trees", "12.5", "write a whole number"),
        ("trees", "0", "a number above 0"),
        ("trees", "99999999999999999", "at most"),
        ("area", "30,000", "the area is '30,000'; write 30000 or 30, whichever you mean"),
        ("fruit_weight", "nan", "a number above 0"),
        ("unit", "bushel", "the yield unit is not chosen"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(tmp_path: Path, field: str, value: str, says: str) -> None:
    with browser(tmp_path) as client:
        answer = register(client, **{field: value})
        assert answer.status_code == 400
        assert says in unescape(answer.text)
        assert f'value="{escape(value)}"' in answer.text or field not in TEXTS
        assert 'value="210,5"' in answer.text or field == "fruit_weight"
        assert blocks(client) == {}


def test_a_block_stays_in_its_orchard(home: Path) -> None:
    with browser(home) as client:
        answer = register(client, name="B1")
        assert answer.status_code == 400
        assert "already belongs to North farm" in answer.text
        assert "South farm" not in client.get("/register").text.split("<datalist")[1].split("</datalist>")[0]
