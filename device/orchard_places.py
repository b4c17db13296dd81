"""Where an orchard is, as a yield model asks: region, county, and the county's planted area."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from cloud_sync.messages import OrchardBody
from device.errors import InputError
from device.names import clean_name, require_name
from device.store import Store

_MOST_AREA_HA = 10**7  # more than any county has; a larger one is a slip of the keyboard


@dataclass(frozen=True)
class OrchardPlace:
    """What a yield model asks of an orchard; None where nobody has said.

    Attributes:
        region: such as a province, as models name where they were trained.
        county: as the model's table of counties names it.
        county_area_ha: area planted with the crop in that county, not the orchard's own.
    """

    region: str | None = None
    county: str | None = None
    county_area_ha: float | None = None


NOWHERE = OrchardPlace()


def record_orchard(store: Store, name: str, crop: str, yield_unit: str, said: OrchardPlace = NOWHERE) -> str:
    """Record an orchard, and queue its message where that says something new; inside a change.

    Args:
        store: the store, inside a change.
        name: name of the orchard.
        crop: what grows there.
        yield_unit: unit in which the orchard's people read yield.
        said: where it is; what is None stays as it is known.

    Returns:
        Id of its row.

    Raises:
        InputError: a name cannot be kept, or the area is none.
    """
    row = store.one("SELECT * FROM orchard WHERE name = ?", [name])
    known = NOWHERE if row is None else _place(row)
    news = {field: value for field, value in asdict(_checked(name, said)).items() if value is not None}
    place = replace(known, **news)
    told = {"crop": crop, **asdict(place)}
    body = OrchardBody.model_validate({"orchard": name, **told})
    return store.record("orchard", {"name": name}, told, body, unsent={"yield_unit": yield_unit})


def set_place(store: Store, orchard: str, place: OrchardPlace) -> None:
    """Keep where an orchard is; what is None stays as it is known.

    Raises:
        InputError: the orchard is not registered, a name cannot be kept, or the area is none.
    """
    with store.change():
        row = _row(store, orchard)
        record_orchard(store, row["name"], row["crop"], row["yield_unit"], place)


def place_of(store: Store, orchard: str) -> OrchardPlace:
    """Where an orchard is, as far as somebody has said.

    Raises:
        InputError: the orchard is not registered.
    """
    return _place(_row(store, orchard))


def crop_of(store: Store, orchard: str) -> str:
    """What grows in an orchard.

    Raises:
        InputError: the orchard is not registered.
    """
    return str(_row(store, orchard)["crop"])


def _checked(orchard: str, place: OrchardPlace) -> OrchardPlace:
    area = place.county_area_ha
    if area is not None and not 0 < area <= _MOST_AREA_HA:
        raise InputError(f"county_area_ha of {orchard} is {area:g}; it must be above 0 and at most {_MOST_AREA_HA:,}")
    return OrchardPlace(_name(orchard, "region", place.region), _name(orchard, "county", place.county), area)


def _name(orchard: str, what: str, name: str | None) -> str | None:
    if name is not None:
        name = clean_name(name)
        require_name(name, f"the {what} of {orchard}")
    return name


def _place(row: dict[str, Any]) -> OrchardPlace:
    return OrchardPlace(row["region"], row["county"], row["county_area_ha"])


def _row(store: Store, orchard: str) -> dict[str, Any]:
    row = store.one("SELECT * FROM orchard WHERE name = ?", [clean_name(orchard)])
    if row is None:
        raise InputError(f"orchard {orchard!r} is unknown; register it with a block: pomona block add")
    return row
