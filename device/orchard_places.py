"""Where an orchard is, as a yield model asks: region, county, and the county's planted area."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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


def set_place(store: Store, orchard: str, place: OrchardPlace) -> None:
    """Keep where an orchard is; what is None stays as it is known.

    Raises:
        InputError: the orchard is not registered, a name cannot be kept, or the area is none.
    """
    values = {name: value for name, value in asdict(place).items() if value is not None}
    for name in ("region", "county"):
        if name in values:
            values[name] = clean_name(values[name])
            require_name(values[name], f"the {name} of {orchard}")
    area = place.county_area_ha
    if area is not None and not 0 < area <= _MOST_AREA_HA:
        raise InputError(f"county_area_ha of {orchard} is {area:g}; it must be above 0 and at most {_MOST_AREA_HA:,}")
    if not values:
        return
    with store.change() as db:
        db.table("orchard").update(_row(store, orchard)["id"], values)


def place_of(store: Store, orchard: str) -> OrchardPlace:
    """Where an orchard is, as far as somebody has said.

    Raises:
        InputError: the orchard is not registered.
    """
    row = _row(store, orchard)
    return OrchardPlace(row["region"], row["county"], row["county_area_ha"])


def crop_of(store: Store, orchard: str) -> str:
    """What grows in an orchard.

    Raises:
        InputError: the orchard is not registered.
    """
    return str(_row(store, orchard)["crop"])


def _row(store: Store, orchard: str) -> dict[str, Any]:
    row = store.one("SELECT * FROM orchard WHERE name = ?", [clean_name(orchard)])
    if row is None:
        raise InputError(f"orchard {orchard!r} is unknown; register it with a block: pomona block add")
    return row
