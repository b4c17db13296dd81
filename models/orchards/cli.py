"""``pomona map``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.crop_commands import map_crops_command
from models.pixel_yield_commands import map_yield_command
from models.progress import progress_bar

if TYPE_CHECKING:
    from models.maps.rasters import BaseMask
    from models.maps.runs import Work
    from models.orchards.comparison import Compared, Region, Run
    from models.orchards.evaluation import Validation
    from models.orchards.points import LabelledPoints
    from models.orchards.yearly import YearOfOrchards

_CLASSIFIERS = ("random-forest", "svm", "cart", "gradient-boosting", "knn")
_TABLE_WIDTH = 98
_Command = Callable[..., None]
_PATH = click.Path(path_type=Path)


@click.group("map")
def map_() -> None:
    """Map where the orchards are, which crops stand where, and what fields yield."""


map_.add_command(map_crops_command)
map_.add_command(map_yield_command)


def _options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def apply(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


_points_options = _options(
    click.option("--points", required=True, type=_PATH, help="Labelled points: GeoPackage, (Geo)Parquet, CSV."),
    click.option("--label", default="orchard", show_default=True, help="Column that says what is there."),
    click.option("--orchard-value", "orchard_values", multiple=True, help="Its value for orchards.  [default: 1]"),
)
_validation_options = _options(
    click.option(
        "--block-km", default=10.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Side of a block."
    ),
    click.option("--folds", default=5, show_default=True, type=click.IntRange(2), help="Folds of whole blocks."),
    click.option("--seed", default=0, show_default=True, type=click.IntRange(0)),
)
_base_options = _options(
    click.option("--cropland", type=_PATH, help="Raster of land cover; orchards are looked for on its cropland."),
    click.option(
        "--cropland-class",
        "cropland_classes",
        multiple=True,
        type=int,
        help="Its value for cropland.  [default: 40, as in ESA WorldCover]",
    ),
)
_work_options = _options(
    click.option("--memory-mb", default=512, show_default=True, type=click.IntRange(16), help="What a tile may take."),
    click.option("--threads", type=click.IntRange(1), help="To classify with here.  [default: all cores]"),
    click.option("--scheduler", metavar="ADDRESS", help="Map on a Dask cluster, such as tcp://host:8786."),
)
_classifier_option = click.option(
    "--classifier", default="random-forest", show_default=True, type=click.Choice(_CLASSIFIERS)
)
_plan_option = click.option(
    "--plan", default="all", show_default=True, help="Kinds of features: 1, 2, 3, all, or such as spectral+radar."
)


@map_.command("orchards")
@click.option("--features", required=True, multiple=True, type=_PATH, help="Raster with a described band a feature.")
@_points_options
@_classifier_option
@_plan_option
@_base_options
@_validation_options
@click.option("--smallest-ha", default=0.05, show_default=True, type=click.FloatRange(0), help="Smallest polygon.")
@_work_options
@click.option("--out", required=True, type=_PATH, help="Folder of the map; an unfinished one is gone on with.")
def map_orchards_command(
    features: tuple[Path, ...],
    points: Path,
    label: str,
    orchard_values: tuple[str, ...],
    classifier: str,
    plan: str,
    cropland: Path | None,
    cropland_classes: tuple[int, ...],
    block_km: float,
    folds: int,
    seed: int,
    smallest_ha: float,
    memory_mb: int,
    threads: int | None,
    scheduler: str | None,
    out: Path,
) -> None:
    """Map the orchards of a region: GeoTIFF, polygons, quick look, page.

    Stop it any time and run it again to go on.

    \b
    Example:
      pomona map orchards --features features.tif --points points.gpkg \\
        --cropland worldcover.tif --out map
    """
    from models.maps.rasters import open_features
    from models.orchards.mapping import MapSettings, map_orchards
    from models.orchards.page import PAGE

    validation = _validation(block_km, folds, seed)
    settings = MapSettings(classifier, plan, validation, _base(cropland, cropland_classes), smallest_ha)
    labelled = _points(points, label, orchard_values)
    with progress_bar() as told:
        made = map_orchards(
            open_features(features), labelled, settings, _work(memory_mb, threads, scheduler), out, told
        )
    if made.resumed:
        click.echo(f"went on with {made.resumed} of {made.tiles} tiles that were there")
    ha = made.areas.orchard / 10_000
    overall = made.evaluation.accuracy["overall"]
    click.echo(f"mapped {ha:,.1f} ha ({15 * ha:,.0f} mu) of orchards, {made.orchards:,} outlined")
    click.echo(f"overall accuracy on unseen blocks {overall.value:.3f} ({overall.low:.3f} to {overall.high:.3f})")
    click.echo(f"page: {out / PAGE}")


_region_options = _options(
    click.option("--features", multiple=True, type=_PATH, help="Raster to map with each, to compare areas."),
    click.option("--reference-ha", type=click.FloatRange(0), help="True area of that region's orchards."),
    click.option("--out", type=_PATH, help="Folder of those maps."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object."),
)


@map_.command("plans")
@_points_options
@_classifier_option
@_validation_options
@_base_options
@_region_options
@_work_options
def map_plans(classifier: str, **options: Any) -> None:
    """Compare the three feature plans of the paper's Table 6 on the same blocks.

    \b
    Example:
      pomona map plans --points features.parquet
    """
    from models.orchards.comparison import TABLE_6_PLANS, Run

    _compare([Run(f"plan-{plan}", classifier, plan) for plan in TABLE_6_PLANS], options)


@map_.command("classifiers")
@_points_options
@_plan_option
@_validation_options
@_base_options
@_region_options
@_work_options
def map_classifiers(plan: str, **options: Any) -> None:
    """Compare the five classifiers of the paper's Table 7 on the same blocks.

    \b
    Example:
      pomona map classifiers --points features.parquet --plan 3
    """
    from models.orchards.comparison import Run

    _compare([Run(name, name, plan) for name in _CLASSIFIERS], options)


@map_.command("area")
@click.option("--map", "maps", required=True, multiple=True, metavar="YEAR=FILE", help="Map of a year.")
@click.option("--points", "samples", multiple=True, metavar="YEAR=FILE", help="Reference points of a year.")
@click.option("--label", default="orchard", show_default=True, help="Column that says what is there.")
@click.option("--orchard-value", "orchard_values", multiple=True, help="Its value for orchards.  [default: 1]")
@click.option("--reference", type=_PATH, help="CSV: year, area_ha or area_mu by a statistic.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def map_area(
    maps: tuple[str, ...],
    samples: tuple[str, ...],
    label: str,
    orchard_values: tuple[str, ...],
    reference: Path | None,
    as_json: bool,
) -> None:
    """Count the orchards of maps by year, estimate their true area, compare with a statistic.

    Estimates are those of Olofsson et al. (2014); their reference points are drawn at random within each class of the
    map, looked at by a person, and none of them was trained on.

    \b
    Example:
      pomona map area --map 2023=map/orchards.tif --points 2023=reference.gpkg \\
        --reference statistic.csv
    """
    from models.orchards.yearly import orchards_of_year, read_reference

    points = dict(_year_and_file(text) for text in samples)
    by_statistic = {} if reference is None else read_reference(reference)
    years = []
    for year, path in map(_year_and_file, maps):
        sample = _points(points.pop(year), label, orchard_values) if year in points else None
        years.append(orchards_of_year(year, path, sample, by_statistic.get(year)))
    if points:
        raise click.UsageError(f"there are points but no map of {', '.join(points)}; give --map for each")
    if as_json:
        click.echo(json.dumps({"years": [_year_json(year) for year in years]}))
    else:
        _print_years(years)


def _year_and_file(text: str) -> tuple[str, Path]:
    year, equals, path = text.partition("=")
    if not equals or not path:
        raise click.UsageError(f"{text!r} is not YEAR=FILE, such as 2023=map/orchards.tif")
    return year, Path(path)


def _points(path: Path, label: str, orchard_values: tuple[str, ...]) -> LabelledPoints:
    from models.orchards.points import read_points

    return read_points(path, label, orchard_values)


def _validation(block_km: float, folds: int, seed: int) -> Validation:
    from models.orchards.evaluation import Validation

    return Validation(block_km, folds, seed)


def _base(cropland: Path | None, classes: tuple[int, ...]) -> BaseMask | None:
    from models.maps.rasters import BaseMask

    if cropland is None:
        if classes:
            raise click.UsageError("--cropland-class needs --cropland, the raster that holds it")
        return None
    return BaseMask(str(cropland.absolute()), classes or (40,))


def _work(memory_mb: int, threads: int | None, scheduler: str | None) -> Work:
    import os

    from models.maps.runs import Work

    return Work(memory_mb, threads or os.cpu_count() or 1, scheduler)


def _region(options: dict[str, Any]) -> Region | None:
    from models.maps.rasters import open_features
    from models.orchards.comparison import Region

    if not options["features"]:
        if options["out"] or options["reference_ha"] is not None:
            raise click.UsageError("--out and --reference-ha are of maps; give --features, the raster to map")
        return None
    if options["out"] is None:
        raise click.UsageError("--features needs --out, a folder for the maps")
    return Region(
        open_features(options["features"]),
        _base(options["cropland"], options["cropland_classes"]),
        options["out"],
        _work(options["memory_mb"], options["threads"], options["scheduler"]),
    )


def _compare(runs: list[Run], options: dict[str, Any]) -> None:
    from models.orchards.comparison import compare

    points = _points(options["points"], options["label"], options["orchard_values"])
    validation = _validation(options["block_km"], options["folds"], options["seed"])
    region = _region(options)
    with progress_bar() as told:
        compared = compare(points, runs, validation, region, told)
    if options["as_json"]:
        click.echo(json.dumps({"runs": [_run_json(one, options["reference_ha"]) for one in compared]}))
    else:
        _print_compared(compared, options["reference_ha"])


def _run_json(one: Compared, reference_ha: float | None) -> dict[str, Any]:
    from models.orchards.report import finite

    told: dict[str, Any] = {
        "name": one.run.name,
        "classifier": one.run.classifier,
        "groups": list(one.evaluation.groups),
        "features": one.evaluation.features,
        "error_matrix": one.evaluation.matrix.tolist(),
        "accuracy": {name: finite(asdict(interval)) for name, interval in one.evaluation.accuracy.items()},
        "overall_less_first": None if one.less is None else finite(asdict(one.less)),
        "chosen": list(one.evaluation.chosen),
        "seconds": round(one.evaluation.seconds, 1),
    }
    if one.mapped_ha is not None:
        told["mapped_ha"] = one.mapped_ha
        told["difference_ha"] = None if reference_ha is None else one.mapped_ha - reference_ha
    return told


def _print_compared(compared: list[Compared], reference_ha: float | None) -> None:
    from models.orchards.report import compared_rows

    _print_table(*compared_rows(compared, reference_ha))
    click.echo("below each figure its 95 % interval by resamples of blocks; UA, PA: user's, producer's of orchards")


def _year_json(year: YearOfOrchards) -> dict[str, Any]:
    from models.orchards.report import year_json

    return year_json(year)


def _print_years(years: list[YearOfOrchards]) -> None:
    from models.orchards.report import year_rows

    _print_table(*year_rows(years))
    click.echo("areas in 10,000 mu (666.7 ha); estimates with the half width of their 95 % interval")


def _print_table(head: list[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)  # a figure cut short is worse than a line that wraps
    console.print(table)
