"""``pomona export`` and ``pomona evaluate``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from export.evaluate.detection import Row


@click.group("export")
def export() -> None:
    """Make a model bundle of a trained network."""


@export.command("yolo-a")
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path), help="Trained network.")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Labelled photos it was trained on.")
@click.option("--evaluate", "evaluation", required=True, type=click.Path(path_type=Path), help="Photos it never saw.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option("--version", default="0.1.0", show_default=True, help="Version of the bundle.")
@click.option(
    "--image", "image_px", default=608, show_default=True, type=click.IntRange(320, 2048), help="Side of a tile in px."
)
@click.option(
    "--overlap", default=64, show_default=True, type=click.IntRange(0), help="Least px that neighbouring tiles share."
)
@click.option(
    "--longest-side",
    default=1680,
    show_default=True,
    type=click.IntRange(640),
    help="Photos with a longer side are scaled down to it.",
)
@click.option(
    "--flower-side",
    default=2688,
    show_default=True,
    type=click.IntRange(640),
    help="The same where a photo shows more flowers than fruit.",
)
@click.option("--int8", "integers", is_flag=True, help="Count in 8-bit integers by default.")
def export_yolo_a(
    checkpoint: Path,
    data: Path,
    evaluation: Path,
    out: Path,
    version: str,
    image_px: int,
    overlap: int,
    longest_side: int,
    flower_side: int,
    integers: bool,
) -> None:
    """Export YOLO-A or its light form, fix its counting thresholds by orchard row and measure it.

    \b
    Example:
      pomona export yolo-a --checkpoint best.pt --data orchard/train --evaluate orchard/val --out bundle
    """
    if overlap >= image_px:
        raise click.UsageError(f"an overlap of {overlap} px leaves no step between tiles of {image_px} px")
    from export.build.detector import BundleRecipe, build_detector
    from export.runtime.manifest import Suppression, Tiling
    from models.labelled_photos import LABELS

    recipe = BundleRecipe(
        checkpoint=checkpoint,
        training_data=data,
        evaluation_data=evaluation,
        output=out,
        version=version,
        image_px=image_px,
        tiling=Tiling(
            overlap_px=overlap,
            match_threshold=0.5,
            longest_side_px=longest_side,
            closer_px={LABELS[1]: flower_side} if flower_side > longest_side else {},
        ),
        suppression=Suppression(iou_threshold=0.6, most_candidates=1000),
        integers=integers,
    )
    try:
        bundle = build_detector(recipe, lambda message: click.echo(message, err=True))
    except (FileNotFoundError, ValueError) as error:
        if getattr(error, "exit_code", None) is None:
            raise click.UsageError(str(error)) from error
        raise
    click.echo(f"{bundle.identity} in {bundle.folder}")


@export.command("apyieldnet")
@click.option(
    "--run", required=True, type=click.Path(path_type=Path), help="Folder that pomona train apyieldnet wrote."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option("--name", default="apyieldnet", show_default=True, help="Name of the bundle, in lower case.")
@click.option("--version", default="0.1.0", show_default=True, help="Version of the bundle.")
def export_apyieldnet(run: Path, out: Path, name: str, version: str) -> None:
    """Export a model that predicts yields, for whole seasons and those that have only begun.

    \b
    Example:
      pomona export apyieldnet --run yields/gansu --out bundle --name gansu-apples
    """
    from pydantic import ValidationError

    from export.build.yields import YieldRecipe, build_yield_bundle
    from models.yields.fitted import load_fitted

    try:
        bundle = build_yield_bundle(
            load_fitted(run), out, YieldRecipe(name, version), lambda message: click.echo(message, err=True)
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise click.UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        if getattr(error, "exit_code", None) is None:
            raise click.UsageError(str(error)) from error
        raise
    click.echo(f"{bundle.identity} in {bundle.folder}")


@click.group()
def evaluate() -> None:
    """Measure a model bundle on labelled data."""


@evaluate.command("detection")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Labelled photos the model never saw.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle.  [default: the one that comes with Pomona]")
@click.option("--threads", type=click.IntRange(0, 64), default=0, help="Processor threads; 0 takes one a core.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def evaluate_detection(data: Path, bundle: Path | None, threads: int, as_json: bool) -> None:
    """Average precision, precision, recall and count errors, each with its 95 % interval over trees.

    DATA holds trees/images/*.jpg with trees/labels/*.txt (YOLO), likewise tiles/ and flowers/, and counts.csv with the
    growth stages.

    \b
    Example:
      pomona evaluate detection --data orchard/val
    """
    from export.evaluate.detection import evaluate as measure
    from export.runtime.bundle import open_bundle
    from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings

    opened = open_bundle(bundle)
    engine = OnnxRuntimeEngine(opened, OnnxRuntimeSettings(threads))
    try:
        with _progress() as progress:
            rows = measure(opened, engine, data, progress)
    except (FileNotFoundError, ValueError) as error:
        if getattr(error, "exit_code", None) is None:
            raise click.UsageError(str(error)) from error
        raise
    if as_json:
        click.echo(json.dumps([_as_dict(row) for row in rows], ensure_ascii=False, indent=2))
    else:
        _print_table(opened.identity, rows)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing in a pipe; called with photos done and photos in all."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Measuring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _as_dict(row: Row) -> dict[str, object]:
    figures = {name: [figure.value, figure.low, figure.high] for name, figure in row.figures.items()}
    return {"name": row.name, "label": row.label, "photos": row.photos, "labelled": row.labelled, "figures": figures}


def _print_table(bundle: str, rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    percent = {"count MAPE", "count bias"}
    table = Table(title=f"{bundle}: value (95 % interval over trees)", title_justify="left")
    table.add_column("photos")
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    for name in ("n", "labelled", *names):
        table.add_column(name, justify="right")
    for row in rows:
        cells = []
        for name in names:
            figure = row.figures.get(name)
            if figure is None:
                cells.append("")
            elif name in percent:
                cells.append(f"{figure.value:+.1%}\n({figure.low:+.1%}, {figure.high:+.1%})".replace("%", " %"))
            else:
                cells.append(f"{figure.value:.3f}\n({figure.low:.3f}, {figure.high:.3f})")
        table.add_row(row.name, str(row.photos), str(row.labelled), *cells)
    Console(width=None).print(table)
