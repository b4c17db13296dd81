"""``pomona block``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.commands.common import home_option, opened_store

if TYPE_CHECKING:
    _ParamType = click.ParamType[float]
else:  # click 8.3 has no type parameter here
    _ParamType = click.ParamType


class _Area(_ParamType):
    """An area with its unit, as in 2.5ha, 30mu, 6acre or 1200m2; becomes square metres."""

    name = "AREA"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from calibration.errors import CalibrationError
        from calibration.units import area_to_m2

        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ha|mu|acre|m2|m²)\s*", str(value))
        if match is None:
            self.fail(f"{value!r} is no area with a unit; write it like 2.5ha, 30mu, 6acre or 1200m2", param, ctx)
        try:
            return area_to_m2(float(match[1]), match[2].replace("²", "2"))
        except CalibrationError as error:
            self.fail(str(error), param, ctx)


AREA = _Area()


@click.group()
def block() -> None:
    """Register blocks of an orchard."""


@block.command("add")
@click.argument("name")
@click.option("--orchard", required=True, help="Name of the orchard; registered with its first block.")
@click.option("--area", type=AREA, help="Planted area of the block, as 2.5ha, 30mu, 6acre or 1200m2.")
@click.option("--trees", type=click.IntRange(1), help="Trees standing in the block.")
@click.option("--trees-per-ha", type=float, help="Planting density, where trees or area are not known.")
@click.option("--variety", help="Variety.")
@click.option("--training-system", help="How the trees are trained, such as spindle, trellis or vase.")
@click.option("--fruit-weight", type=float, metavar="GRAMS", help="Single fruit weight in g.")
@click.option(
    "--unit",
    help="Unit yields are shown in: kg/ha, t/ha, kg/mu, kg/tree, lb/acre or 'bins/acre of 400 kg', with what a full "
    "bin of yours weighs in kg or lb.  [default: t/ha]",
)
@click.option("--region", help="Where the orchard is, as yield models name it, such as a province.")
@click.option("--county", help="County of the orchard, as yield models name it.")
@click.option(
    "--county-area", type=AREA, help="Area planted with its crop in that county, as 12000ha; not the orchard's own."
)
@home_option
def add(
    name: str,
    orchard: str,
    area: float | None,
    trees: int | None,
    trees_per_ha: float | None,
    variety: str | None,
    training_system: str | None,
    fruit_weight: float | None,
    unit: str | None,
    region: str | None,
    county: str | None,
    county_area: float | None,
    home: Path,
) -> None:
    """Register a block, or change what is known of it; what is not named stays as it is.

    How much fruit leaves hide depends on variety and training system: trees counted by hand (pomona visit by-hand)
    teach blocks alike in both.

    Region, county and the county's planted area are the orchard's; a yield model on the device asks for them.

    \b
    Examples:
      pomona block add B1 --orchard "North farm" --area 30mu --trees 1650 --fruit-weight 210 --unit kg/mu
      pomona block add B1 --orchard "North farm" --region Gansu --county Jingning --county-area 1000000mu
    """
    from calibration.units import M2_PER_HA
    from device.orchard_places import OrchardPlace
    from device.orchards import BlockSettings, register_block

    settings = BlockSettings(area, trees, trees_per_ha, variety, fruit_weight, training_system)
    place = OrchardPlace(region, county, county_area and county_area / M2_PER_HA)
    with opened_store(home, create=True) as store:
        registered = register_block(store, name, orchard, settings, unit, place)
    density = f", {registered.trees_per_ha:.0f} trees a hectare" if registered.trees_per_ha else ""
    click.echo(f"Block {registered.name} of {registered.orchard}{density}.")


@block.command("list")
@home_option
def list_(home: Path) -> None:
    """List the registered blocks.

    \b
    Example:
      pomona block list
    """
    from device.orchards import all_blocks

    with opened_store(home) as store:
        blocks = all_blocks(store)
    for item in blocks:
        area = f"{item.area_m2 / 10_000:.2f} ha" if item.area_m2 else "area unknown"
        trees = f"{item.trees} trees" if item.trees else "trees unknown"
        training = item.training_system or "training system unknown"
        click.echo(f"{item.orchard}\t{item.name}\t{item.variety or 'variety unknown'}\t{area}\t{trees}\t{training}")
    if not blocks:
        click.echo("No block is registered yet. Add one: pomona block add NAME --orchard ORCHARD")
