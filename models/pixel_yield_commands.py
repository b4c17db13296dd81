"""``pomona train mt-cyp-net`` and ``pomona map yield``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from models.progress import progress_bar

_PATH = click.Path(path_type=Path)


@click.command("mt-cyp-net")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with a folder for each scene.")
@click.option("--crop", "crops", required=True, multiple=True, help="Name of a crop in the labels; one for each.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the network; resumed if begun.")
@click.option(
    "--form",
    default="mt-cyp-net",
    show_default=True,
    type=click.Choice(("mt-cyp-net", "mt-cyp-net-hard", "cy-unet", "cc-unet", "fpn")),
    help="Both tasks, both without consistency, one of them, or the paper's peer.",
)
@click.option(
    "--encoder",
    default="small",
    show_default=True,
    type=click.Choice(("small", "resnet50", "densenet161", "resnest50d")),
    help="The small one is for few fields and slow machines.",
)
@click.option("--paper", is_flag=True, help="Epochs, optimiser, loss and scales as in the paper.")
@click.option("--attention", is_flag=True, help="Join dates by attention, which takes any dates, instead of a stack.")
@click.option("--indices", is_flag=True, help="Vegetation indices behind the bands.")
@click.option("--radar", is_flag=True, help="Sentinel-1 too: radar-DATE.tif with VV and VH in each scene.")
@click.option("--straight", is_flag=True, help="Begin at a straight line fitted to the stack; for few labels.")
@click.option("--uncertainty", is_flag=True, help="Learn a variance for each pixel.")
@click.option("--clean", "clean_points", is_flag=True, help="Yields are a combine harvester's points: clean them.")
@click.option("--pretrain", "pretrain_epochs", default=0, type=click.IntRange(0), help="Epochs without labels first.")
@click.option("--members", default=1, show_default=True, type=click.IntRange(1), help="Networks; a map is their mean.")
@click.option("--epochs", type=click.IntRange(1), help="[default: 20; with --paper 300]")
@click.option("--tile", "side", default=64, show_default=True, type=click.IntRange(8), help="Side in px; paper: 256.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def train_mt_cyp_net(
    data: Path,
    crops: tuple[str, ...],
    out: Path,
    form: str,
    encoder: str,
    paper: bool,
    attention: bool,
    indices: bool,
    radar: bool,
    straight: bool,
    uncertainty: bool,
    clean_points: bool,
    pretrain_epochs: int,
    members: int,
    epochs: int | None,
    side: int,
    seed: int,
) -> None:
    """Train MT-CYP-Net: yield and crop of every pixel from few points.

    A scene is a folder with an image for each date (2023-08-20.tif, bands described B02 and so on), yields.gpkg (points
    or sampled blocks) and crops.gpkg. Stop it any time and run it again to go on.

    \b
    Example:
      pomona train mt-cyp-net --data scenes --crop soybean --crop maize \\
        --out runs/yield
    """
    from models.yields.pixels.course import Course, train_course
    from models.yields.pixels.network import NetworkSettings

    chosen = {"form": form, "encoder": encoder, "straight": straight, "uncertainty": uncertainty}
    network = NetworkSettings(
        **chosen,  # type: ignore[arg-type]
        classes=len(crops) + 1,
        over_time="attention" if attention else "stack",
        radar_bands=2 if radar else 0,
    )
    course = Course(network, crops, paper, epochs, members, pretrain_epochs, indices, clean_points, side, seed)
    file, tiles = train_course(data, course, out, lambda said: click.echo(said, err=True))
    click.echo(f"{file}: trained on {tiles} tiles with labels")


@click.command("yield")
@click.option("--images", "folders", required=True, multiple=True, type=_PATH, help="Folder of a scene's dated images.")
@click.option("--network", "checkpoint", required=True, type=_PATH, help="What pomona train mt-cyp-net has made.")
@click.option("--indices", is_flag=True, help="Vegetation indices behind the bands, as in the training.")
@click.option("--window", "side", default=256, show_default=True, type=click.IntRange(8), help="Side in px.")
@click.option("--overlap", default=0.1, show_default=True, type=click.FloatRange(0, 0.9), help="Of windows.")
@click.option("--explain", is_flag=True, help="A further band: where the network looked (Grad-CAM).")
@click.option("--memory-mb", default=512, show_default=True, type=click.IntRange(16), help="What a tile may take.")
@click.option("--threads", type=click.IntRange(1), help="To compute with here.  [default: all cores]")
@click.option("--scheduler", metavar="ADDRESS", help="Map on a Dask cluster, such as tcp://host:8786.")
@click.option("--out", required=True, type=_PATH, help="Folder of the maps; an unfinished one is gone on with.")
def map_yield_command(
    folders: tuple[Path, ...],
    checkpoint: Path,
    indices: bool,
    side: int,
    overlap: float,
    explain: bool,
    memory_mb: int,
    threads: int | None,
    scheduler: str | None,
    out: Path,
) -> None:
    """Map yield, crop and uncertainty of each pixel of a scene: GeoTIFF.

    Stop it any time and run it again to go on. Several scenes each get a folder in the one of the maps.

    \b
    Example:
      pomona map yield --images scenes/farm --network runs/yield/network.pt \\
        --out map
    """
    from models.maps.runs import Work
    from models.yields.pixels.layers import open_scene
    from models.yields.pixels.mapping import MAP, YieldMapSettings, map_yield

    work = Work(memory_mb, threads or os.cpu_count() or 1, scheduler)
    settings = YieldMapSettings(side, overlap, explain)
    for folder in folders:
        into = out / folder.name if len(folders) > 1 else out
        with progress_bar() as told:
            scene = open_scene(folder, indices=indices)
            made = map_yield(scene, checkpoint, settings, work, into, told)
        if made.resumed:
            click.echo(f"went on with {made.resumed} of {made.tiles} tiles that were there")
        for crop, found in made.record["crops"].items():
            click.echo(f"{crop}: {found['ha']:,.1f} ha, mean yield {found['mean_yield']:.2f}")
        click.echo(f"map: {into / MAP}")
