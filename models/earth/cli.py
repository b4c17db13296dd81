"""``pomona earth``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from models.earth.gathering import Reporting, Source

_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.group()
def earth() -> None:
    """Make composites, features and season files of satellite scenes and weather."""


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pomona" / "earth"


_cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=_default_cache,
    show_default="~/.cache/pomona/earth",
    help="Folder for what was read; started again, the work goes on from there.",
)


def _area_options(function: _Function) -> _Function:
    """``--boundary``, and where scenes come from."""
    options = (
        click.option(
            "--boundary", required=True, type=click.Path(path_type=Path), help="Polygons: GeoJSON, GeoPackage, …"
        ),
        click.option(
            "--catalogue",
            default="https://earth-search.aws.element84.com/v1",
            show_default=True,
            help="STAC service, static catalogue, or a folder with SAFE folders or GeoTIFFs.",
        ),
        click.option("--collection", default="sentinel-2-l2a", show_default=True, help="Collection in the catalogue."),
        click.option(
            "--most-cloud",
            type=click.FloatRange(0, 100),
            default=80.0,
            show_default=True,
            metavar="PERCENT",
            help="Leave out scenes with more clouds; what is left is masked cloud by cloud.",
        ),
        click.option(
            "--quality",
            type=click.Choice(["SCL", "QA60"]),
            default="SCL",
            show_default=True,
            help="Layer that tells clouds.",
        ),
        _cache_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


_weather_option = click.option(
    "--weather",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Monthly NetCDF file of FLDAS or GLDAS, or a folder of them; may be given again.",
)


_scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Dask cluster to work on.  [default: this machine]"
)


@earth.command("season")
@_area_options
@click.option("--orchard", required=True, help="Name of the orchard.")
@click.option("--year", required=True, type=click.IntRange(2015, 2100), help="Year of the harvest.")
@click.option("--first", default=4, show_default=True, type=click.IntRange(1, 12), help="First month.")
@click.option("--last", default=10, show_default=True, type=click.IntRange(1, 12), help="Last month.")
@click.option("--margin", default=50.0, show_default=True, type=click.FloatRange(0, 2000), help="In metres.")
@_weather_option
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Season file to write.")
def season_file(
    boundary: Path,
    catalogue: str,
    collection: str,
    most_cloud: float,
    quality: str,
    cache: Path,
    orchard: str,
    year: int,
    first: int,
    last: int,
    margin: float,
    weather: tuple[Path, ...],
    out: Path,
) -> None:
    """Make the season file of an orchard: what a device needs of the satellite's months, and the weather, offline.

    A month in which less than half of the orchard was clear ends the work and is named; nothing is put in its place.

    \b
    Examples:
      pomona earth season --boundary orchard.geojson --orchard "North farm" \\
        --year 2026 --weather fldas/ --out season-2026.json
      pomona earth season --boundary orchard.geojson --orchard "North farm" \\
        --year 2026 --last 7 --catalogue scenes/ --weather fldas/ --out july.json
    """
    from models.earth.areas import cells_of, degree_grid, read_boundaries
    from models.earth.gathering import make_season
    from models.earth.periods import months
    from models.earth.season import SeasonRequest
    from models.earth.weather import monthly_weather, weather_files

    wanted = months(f"{year}-{first:02d}", f"{year}-{last:02d}")
    boundaries = read_boundaries(boundary)
    area = boundaries.geometry.union_all()
    grid = degree_grid(area, margin)
    request = SeasonRequest(orchard, year, wanted, grid, cells_of(area, grid))
    # the weather first: it is quickly read, and what is missing of it is said before scenes are fetched
    known = monthly_weather(weather_files(weather), wanted, boundaries.dissolve())[0]
    with _reporting() as reporting:
        source = _source(catalogue, collection, most_cloud, cache)
        content = make_season(source, area, request, quality, known, reporting)
    _write_whole(out, content)
    click.echo(f"{out}: {grid.shape.y} x {grid.shape.x} cells, {len(wanted)} months, {len(content) / 1000:.0f} kB")


@earth.command()
@_area_options
@click.option("--first", required=True, metavar="MONTH", help="First month, such as 2026-04.")
@click.option("--last", required=True, metavar="MONTH", help="Last month.")
@click.option("--every", type=click.Choice(["month", "ten-days"]), default="month", show_default=True, help="Period.")
@click.option("--band", "bands", multiple=True, metavar="NAME", help="Band; may be given again.  [default: B02 to B12]")
@_scheduler_option
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for GeoTIFFs.")
def composites(
    boundary: Path,
    catalogue: str,
    collection: str,
    most_cloud: float,
    quality: str,
    cache: Path,
    first: str,
    last: str,
    every: str,
    bands: tuple[str, ...],
    scheduler: str | None,
    out: Path,
) -> None:
    """Write the median of what was clear in each period as a Cloud-Optimised GeoTIFF, on Sentinel-2's own grid.

    Stop it any time and start it again to go on: what was read and what was written stays.

    \b
    Example:
      pomona earth composites --boundary county.gpkg --first 2026-04 --last 2026-10 --out composites/
    """
    from models.earth.areas import metric_grid, one_area
    from models.earth.bands import LAND_BANDS, checked_bands
    from models.earth.cache import BlockCache
    from models.earth.gathering import gather
    from models.earth.periods import months, ten_days
    from models.earth.stack import Stacking
    from models.earth.writing import write_composites

    periods = (months if every == "month" else ten_days)(first, last)
    area = one_area(boundary)
    stacking = Stacking(metric_grid(area), checked_bands(bands or LAND_BANDS), quality, cache=BlockCache(cache))
    with _cluster(scheduler), _reporting() as reporting:
        scenes = gather(_source(catalogue, collection, most_cloud, cache), area, periods, stacking, reporting)
        reporting.found(len(periods))
        written = write_composites(scenes, stacking, periods, out, reporting.fetched)
    for path in written:
        click.echo(path)
    for name in sorted({period.name for period in periods} - {path.stem for path in written}):
        click.echo(f"{name}: no scene can be used, so there is no composite", err=True)


@earth.command()
@click.option("--composites", required=True, type=click.Path(path_type=Path), help="Folder of monthly GeoTIFFs.")
@click.option(
    "--elevation",
    metavar="CATALOGUE",
    help="Elevation in metres: GeoTIFF, folder of them, or STAC catalogue with cop-dem-glo-30.",
)
@click.option("--by-month", is_flag=True, help="Bands and indices of each month, not of the season's median.")
@click.option("--texture-band", default="B08", show_default=True, metavar="NAME", help="'none' for no textures.")
@click.option("--texture-size", default=3, show_default=True, type=click.IntRange(1, 32), help="Pixels on each side.")
@click.option("--texture-levels", default=64, show_default=True, type=click.IntRange(2, 256), help="Grey levels.")
@click.option("--phenology/--no-phenology", default=True, show_default=True, help="Surrogates; need April to October.")
@click.option("--radar", metavar="CATALOGUE", help="Sentinel-1: folder of GeoTIFFs, or STAC catalogue.")
@click.option("--radar-collection", default="sentinel-1-rtc", show_default=True, help="Collection in the catalogue.")
@click.option("--longest-gap", type=click.IntRange(1), metavar="DAYS", help="Longer gaps of Sentinel-1 stay open.")
@_cache_option
@_scheduler_option
@click.option("--at", type=click.Path(path_type=Path), help="Points or polygons; makes a table of them.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="GeoTIFF, or GeoParquet.")
def features(
    composites: Path,
    elevation: str | None,
    by_month: bool,
    texture_band: str,
    texture_size: int,
    texture_levels: int,
    phenology: bool,
    radar: str | None,
    radar_collection: str,
    longest_gap: int | None,
    cache: Path,
    scheduler: str | None,
    at: Path | None,
    out: Path,
) -> None:
    """Make the features of an orchard map: a GeoTIFF of all cells, or with --at a GeoParquet table of places.

    \b
    Examples:
      pomona earth features --composites composites/ --elevation dem.tif --out features.tif
      pomona earth features --composites composites/ --radar sentinel-1/ \\
        --at points.geojson --out points.parquet
    """
    from models.earth.cache import BlockCache
    from models.earth.feature_files import Inputs, elevation_of, make_features, make_table, read_composites
    from models.earth.features import FeatureSettings
    from models.earth.glcm import TextureSettings
    from models.earth.phenology import PhenologyWindows
    from models.earth.radar_features import RadarSettings, radar_features

    settings = FeatureSettings(
        by_month=by_month,
        texture_band=None if texture_band == "none" else texture_band,
        texture=TextureSettings(texture_size, texture_levels),
        phenology=PhenologyWindows() if phenology else None,
    )
    monthly = read_composites(composites)
    ground = None if elevation is None else elevation_of(elevation, monthly, BlockCache(cache))
    backscatter = None
    with _cluster(scheduler), _reporting() as reporting:
        if radar is not None:
            source = _source(radar, radar_collection, None, cache)
            backscatter = radar_features(source, monthly, RadarSettings(longest_gap_days=longest_gap), reporting)
        inputs = Inputs(monthly, ground, backscatter)
        if at is None:
            done = f"{make_features(inputs, settings, out, reporting.found, reporting.fetched)} features"
        else:
            with _tasks_told(reporting):
                places, number = make_table(inputs, settings, at, out)
            done = f"{number} features of {places} places"
    click.echo(f"{out}: {done}")


@earth.command()
@click.option("--boundary", required=True, type=click.Path(path_type=Path), help="Polygons: GeoJSON, GeoPackage, …")
@click.option("--first", required=True, metavar="MONTH", help="First month, such as 2026-04.")
@click.option("--last", required=True, metavar="MONTH", help="Last month.")
@_weather_option
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="CSV to write.")
def weather(boundary: Path, first: str, last: str, weather: tuple[Path, ...], out: Path) -> None:
    """Write the mean weather over each polygon and month, with the polygons' own columns, as CSV.

    \b
    Example:
      pomona earth weather --boundary counties.gpkg --first 2019-04 --last 2019-10 --weather fldas/ --out weather.csv
    """
    from models.earth.areas import read_boundaries
    from models.earth.periods import months
    from models.earth.weather import monthly_weather, weather_files, weather_table

    wanted, boundaries = months(first, last), read_boundaries(boundary)
    table = weather_table(monthly_weather(weather_files(weather), wanted, boundaries), wanted, boundaries)
    _write_whole(out, table.to_csv(index=False).encode())
    click.echo(f"{out}: {len(boundaries)} polygons, {len(wanted)} months")


def _source(catalogue: str, collection: str, most_cloud: float | None, cache: Path) -> Source:
    from models.earth.gathering import Source

    return Source(catalogue, collection, most_cloud, cache)


@contextmanager
def _reporting() -> Iterator[Reporting]:
    """A bar on a terminal; in a pipe only what was left out is said."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.earth.errors import CloudedSceneError
    from models.earth.gathering import Reporting

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        yield Reporting(
            found=lambda number: progress.reset(task, total=number),
            fetched=lambda done: progress.advance(task, done),
            left_out=lambda error: console.print(
                f"{'' if isinstance(error, CloudedSceneError) else 'Left out: '}{error}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            ),
        )


@contextmanager
def _tasks_told(reporting: Reporting) -> Iterator[None]:
    """Count what Dask does in this process."""
    from dask.callbacks import Callback

    def start(_: object, state: dict[str, Any]) -> None:
        reporting.found(len(state["ready"]) + len(state["waiting"]))

    with Callback(start_state=start, posttask=lambda *_: reporting.fetched(1)):
        yield


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[None]:
    if scheduler is None:
        yield
        return
    from models.dask_client import connect

    with connect(scheduler, default=True):
        yield


def _write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all: a device may be fetching it."""
    from models.earth.errors import EarthInputError

    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise EarthInputError(f"{path} cannot be written: {error.strerror}; check the path") from error
