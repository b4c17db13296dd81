"""``/register``: a small form for a block."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from calibration.errors import CalibrationError
from calibration.units import AREA_UNITS, M2_PER_HA, YIELD_UNITS, area_from_m2, area_to_m2
from device.errors import InputError
from device.names import clean_name
from device.orchard_places import OrchardPlace, place_of
from device.orchards import BlockSettings, all_blocks, find_block, register_block
from device.page.context import Context, OpenedStore
from device.page.failures import unknown_is_404
from device.page.forms import Fields, number_text, read_choice, read_name, read_number, read_whole_number
from device.store import Store

router = APIRouter(prefix="/register")


@router.get("")
def form(store: OpenedStore, context: Context, block: str | None = None) -> Response:
    """The form, with what is known of a block filled in."""
    fields: dict[str, str] = {}
    if block is not None:
        with unknown_is_404():
            found = find_block(store, block)
        fields = {"name": found.name, "orchard": found.orchard, "unit": found.yield_unit, "area_unit": "ha"}
        numbers = {
            "area": found.area_m2 and area_from_m2(found.area_m2, "ha"),
            "trees": found.trees,
            "fruit_weight": found.fruit_weight_g,
        }
        place = place_of(store, found.orchard)
        numbers["county_area"] = place.county_area_ha
        fields |= {"region": place.region or "", "county": place.county or "", "county_area_unit": "ha"}
        fields |= {name: number_text(value) for name, value in numbers.items() if value}
    return _form(store, context, fields)


@router.post("")
def register(fields: Fields, store: OpenedStore, context: Context) -> Response:
    """Register the block, or change what is known of it."""
    try:
        name = _register(store, fields)
    except (InputError, CalibrationError) as error:
        return _form(store, context, fields, str(error))
    return RedirectResponse(f"/blocks/{quote(name, safe='')}", status_code=303)


def _register(store: Store, fields: Mapping[str, str]) -> str:
    name = read_name(fields, "name", "the block's name")
    orchard = read_name(fields, "orchard", "the orchard's name")
    unit = read_choice(fields, "unit", "the yield unit", _yield_units(store))
    area = read_number(fields, "area", "the area")
    area_unit = read_choice(fields, "area_unit", "the area's unit", AREA_UNITS)
    settings = BlockSettings(
        area_m2=None if area is None else area_to_m2(area, area_unit),
        trees=read_whole_number(fields, "trees", "the number of trees"),
        fruit_weight_g=read_number(fields, "fruit_weight", "the fruit weight"),
    )
    county_area = read_number(fields, "county_area", "the county's area")
    county_area_unit = read_choice(fields, "county_area_unit", "the unit of the county's area", AREA_UNITS)
    place = OrchardPlace(
        region=clean_name(fields.get("region", "")) or None,
        county=clean_name(fields.get("county", "")) or None,
        county_area_ha=None if county_area is None else area_to_m2(county_area, county_area_unit) / M2_PER_HA,
    )
    return register_block(store, name, orchard, settings, unit, place).name


def _form(store: Store, context: Context, fields: Mapping[str, str], problem: str | None = None) -> Response:
    blocks = all_blocks(store)
    return context.templates.page(
        "register",
        400 if problem else 200,
        fields=fields,
        problem=problem,
        is_first=not blocks,
        orchards=sorted({block.orchard for block in blocks}),
        units=_yield_units(store),
        area_units=AREA_UNITS,
    )


def _yield_units(store: Store) -> tuple[str, ...]:
    """The units to choose from: those that stand for themselves and those in use, such as bins of a certain mass."""
    used = {block.yield_unit for block in all_blocks(store)}
    return (*YIELD_UNITS, *sorted(used.difference(YIELD_UNITS)))
