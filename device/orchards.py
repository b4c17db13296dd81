"""Registering orchards and blocks, and finding them again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from calibration.errors import CalibrationError
from calibration.units import M2_PER_HA, require_yield_unit
from cloud_sync.messages import BlockBody
from device.errors import InputError
from device.names import clean_name, require_name
from device.orchard_places import NOWHERE, OrchardPlace, record_orchard
from device.store import Store

CROP = "apple"
# far above any block; what is larger is a slip of the keyboard, and could not be sent
_MOST = {"area_m2": 10**9, "trees": 10**7, "trees_per_ha": 10**5, "fruit_weight_g": 10**4}
# what is said of a block in words
_SAID = {"variety": "the variety", "training_system": "the training system"}
# a density that people give beside trees and area is rounded
_DENSITY_TOLERANCE = 0.01


@dataclass(frozen=True)
class Block:
    """A block with what is needed of its orchard.

    Attributes:
        id: id of its row.
        name: name, unique on this device.
        orchard: name of the orchard.
        yield_unit: unit in which the orchard's people read yield.
        area_m2: planted area, None where nobody said.
        trees: trees standing in it.
        trees_per_ha: planting density, given or computed from trees and area.
        variety: variety.
        training_system: how its trees are trained, such as spindle.
        fruit_weight_g: single fruit weight.
    """

    id: str
    name: str
    orchard: str
    yield_unit: str
    area_m2: float | None
    trees: int | None
    trees_per_ha: float | None
    variety: str | None
    training_system: str | None
    fruit_weight_g: float | None


@dataclass(frozen=True)
class BlockSettings:
    """What a person may say of a block; None leaves what is known.

    Attributes:
        area_m2: planted area.
        trees: trees standing in it.
        trees_per_ha: planting density.
        variety: variety.
        fruit_weight_g: single fruit weight.
        training_system: how its trees are trained, such as spindle.
    """

    area_m2: float | None = None
    trees: int | None = None
    trees_per_ha: float | None = None
    variety: str | None = None
    fruit_weight_g: float | None = None
    training_system: str | None = None


def register_block(
    store: Store,
    name: str,
    orchard: str,
    settings: BlockSettings,
    yield_unit: str | None = None,
    place: OrchardPlace = NOWHERE,
) -> Block:
    """Register a block and its orchard, or change what is known of them: both or, where one is refused, neither.

    Trees and area given together set the planting density, in place of one that was given before.

    Args:
        store: the device's records.
        name: name of the block.
        orchard: name of the orchard.
        settings: what is known of the block.
        yield_unit: unit in which the orchard's people read yield; None leaves it.
        place: where the orchard is.

    Raises:
        InputError: a name that cannot be kept, a block of that name in another orchard, an unknown unit, a number
            that is not above zero or implausibly large, or trees, area and density that contradict one another.
    """
    name, orchard = clean_name(name), clean_name(orchard)
    words = {field: getattr(settings, field) for field in _SAID}
    cleaned: dict[str, Any] = {field: clean_name(text) for field, text in words.items() if text is not None}
    settings = replace(settings, **cleaned)
    with store.change():
        _record_block(store, name, _record_orchard(store, orchard, yield_unit, place), orchard, settings)
    return find_block(store, name)


def _record_orchard(store: Store, name: str, yield_unit: str | None, place: OrchardPlace) -> str:
    require_name(name, "the orchard's name")
    if yield_unit is not None:
        _check_unit(yield_unit)
    row = store.one("SELECT yield_unit FROM orchard WHERE name = ?", [name])
    unit = yield_unit or (row["yield_unit"] if row else "t/ha")
    return record_orchard(store, name, CROP, unit, place)


def _check_unit(unit: str) -> None:
    try:
        require_yield_unit(unit)
    except CalibrationError as error:
        raise InputError(f"yield {error}") from error


def _record_block(store: Store, name: str, owner: str, orchard: str, settings: BlockSettings) -> None:
    require_name(name, "the block's name")
    for field, what in _SAID.items():
        if (text := getattr(settings, field)) is not None:
            require_name(text, f"{what} of block {name}")
    for field, most in _MOST.items():
        value = getattr(settings, field)
        if value is not None and not 0 < value <= most:
            raise InputError(f"{field} of block {name} is {value:g}; it must be above 0 and at most {most:,}")
    _check_density(name, settings)
    known = store.one("SELECT * FROM block WHERE name = ?", [name])
    if known is not None and known["orchard"] != owner:
        other = find_block(store, name).orchard
        raise InputError(f"block {name!r} already belongs to {other}; give this one another name")
    values = {
        field: given if (given := getattr(settings, field)) is not None else (known[field] if known else None)
        for field in BlockSettings.__dataclass_fields__
    }
    if settings.trees and settings.area_m2:
        values["trees_per_ha"] = settings.trees_per_ha  # one given earlier was of other trees or another area
    body = BlockBody(orchard=orchard, block=name, **values)
    store.record("block", {"name": name}, {"orchard": owner, **values}, body)


def _check_density(name: str, given: BlockSettings) -> None:
    if given.trees is None or given.area_m2 is None or given.trees_per_ha is None:
        return
    computed = _density(given.trees, given.area_m2)
    if abs(given.trees_per_ha / computed - 1) > _DENSITY_TOLERANCE:
        raise InputError(
            f"trees_per_ha of block {name} is {given.trees_per_ha:g}, but {given.trees} trees on {given.area_m2:g} m² "
            f"are {computed:g} a hectare; correct one of the three or leave it out"
        )


def _density(trees: int, area_m2: float) -> float:
    return trees / area_m2 * M2_PER_HA


def find_block(store: Store, name: str) -> Block:
    """Look a block up by its name.

    Raises:
        InputError: no such block; the message lists those there are.
    """
    name = clean_name(name)
    rows = {row["name"]: row for row in store.db.query(_BLOCKS)}
    if name not in rows:
        known = f"known are {', '.join(sorted(rows))}" if rows else "none is registered yet"
        raise InputError(f"block {name!r} is unknown ({known}); register it: pomona block add {name} --orchard NAME")
    return _block(rows[name])


def all_blocks(store: Store) -> list[Block]:
    """Every block, by orchard and name."""
    return [_block(row) for row in store.db.query(f"{_BLOCKS} ORDER BY orchard.name, block.name")]


_BLOCKS = """
    SELECT block.*, orchard.name AS orchard_name, orchard.yield_unit
    FROM block JOIN orchard ON orchard.id = block.orchard
"""


def _block(row: dict[str, Any]) -> Block:
    density = row["trees_per_ha"]
    if density is None and row["trees"] and row["area_m2"]:
        density = _density(row["trees"], row["area_m2"])
    return Block(
        id=row["id"],
        name=row["name"],
        orchard=row["orchard_name"],
        yield_unit=row["yield_unit"],
        area_m2=row["area_m2"],
        trees=row["trees"],
        trees_per_ha=density,
        variety=row["variety"],
        training_system=row["training_system"],
        fruit_weight_g=row["fruit_weight_g"],
    )
