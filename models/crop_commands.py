"""``pomona train weighted-lstm`` and ``pomona map crops``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from models.progress import progress_bar

if TYPE_CHECKING:
    from models.crops.series import PixelSeries
    from models.crops.weighted_run import Report

_PATH = click.Path(path_type=Path)


@click.command("weighted-lstm")
@click.option("--data", required=True, type=_PATH, help="Parquet table of points, or Zarr store of composites.")
@click.option("--out", required=True, type=_PATH, help="Folder of the run; gone on with if begun.")
@click.option("--label", default="crop", show_default=True, help="Column or variable of the crop.")
@click.option("--legend", type=_PATH, help='JSON for a Zarr store: {"1": "wheat", "2": "wheat", "7": "rice"}.')
@click.option("--erode-px", default=1, show_default=True, type=click.IntRange(0), help="Border of a parcel left out.")
@click.option(
    "--most-present", default=20_000.0, show_default=True, type=click.FloatRange(0), help="Pixels at a share of 1."
)
@click.option("--least-present", default=40_000.0, show_default=True, type=click.FloatRange(0), help="Likewise.")
@click.option("--minimum", default=500.0, show_default=True, type=click.FloatRange(0), help="Pixels of every class.")
@click.option("--epochs", default=60, show_default=True, type=click.IntRange(1), help="The most of each loss.")
@click.option("--batch", default=512, show_default=True, type=click.IntRange(2))
@click.option("--learning-rate", default=1e-3, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--optimizer", default="rmsprop", show_default=True, type=click.Choice(["rmsprop", "adamw"]))
@click.option("--dropout", default=0.0, show_default=True, type=click.FloatRange(0, 1, max_open=True))
@click.option("--continued", is_flag=True, help="The final network goes on from the first one's weights.")
@click.option("--judges", default=1, show_default=True, type=click.IntRange(1), help="2 or more where pixels are few.")
@click.option("--quantile", default=0.25, show_default=True, type=click.FloatRange(0, 1), help="Unsure share left out.")
@click.option("--indices", is_flag=True, help="See logarithms and vegetation indices, not the bands themselves.")
@click.option("--kernel", is_flag=True, help="Average the final network with a kernel logistic regression.")
@click.option("--map-shares", is_flag=True, help="Decide by the crops' shares of the data.")
@click.option("--validation", default=0.15, show_default=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--test", default=0.2, show_default=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--bfloat16", is_flag=True, help="Train at lower precision, faster where the processor knows it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def train_weighted_lstm(
    data: Path,
    out: Path,
    label: str,
    legend: Path | None,
    erode_px: int,
    most_present: float,
    least_present: float,
    minimum: float,
    epochs: int,
    batch: int,
    learning_rate: float,
    optimizer: str,
    dropout: float,
    continued: bool,
    judges: int,
    quantile: float,
    indices: bool,
    kernel: bool,
    map_shares: bool,
    validation: float,
    test: float,
    seed: int,
    bfloat16: bool,
    as_json: bool,
) -> None:
    """Train the weighted LSTM on monthly series of pixels; stop it any time and start it again to go on.

    Whole blocks of 20 km, or the hundred patches of a Zarr store, are trained on, validated on, or tested on.

    \b
    Example:
      pomona train weighted-lstm --data points.parquet --out runs/crops
    """
    from models.crops.sampling import Counts
    from models.crops.training import TrainingSettings
    from models.crops.weighted_lstm import WeightedSettings
    from models.crops.weighted_run import MODEL, run

    settings = WeightedSettings(
        counts=Counts(most_present, least_present, minimum),
        training=TrainingSettings(
            epochs=epochs,
            learning_rate=learning_rate,
            optimizer="adamw" if optimizer == "adamw" else "rmsprop",
            precision="bf16-mixed" if bfloat16 else "32-true",
        ),
        batch=batch,
        dropout=dropout,
        continued=continued,
        judges=judges,
        quantile=quantile,
        indices=indices,
        kernel=kernel,
        map_shares=map_shares,
    )
    pixels = _pixels(data, label, legend, erode_px)
    with progress_bar() as told:
        report = run(
            pixels,
            settings,
            out,
            validation=validation,
            test=test,
            seed=seed,
            told=lambda stage: told(f"training: {stage}", 0, 0),
        )
    if as_json:
        click.echo((out / "results.json").read_text(encoding="utf-8").strip())
    else:
        _print_report(report)
        click.echo(f"model: {out / MODEL}")


def _pixels(data: Path, label: str, legend: Path | None, erode_px: int) -> PixelSeries:
    from models.crops.datasets import read_store, read_table

    if data.suffix == ".parquet":
        if legend is not None:
            raise click.UsageError("--legend is for a Zarr store; a table's column names its crops itself")
        return read_table(data, label)
    if legend is None:
        raise click.UsageError("a Zarr store's thematic map holds numbers; give --legend, a JSON file that names them")
    return read_store(data, _read_legend(legend), label, erode_px)


def _read_legend(path: Path) -> Mapping[int, str]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return {int(number): str(name) for number, name in read.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise click.UsageError(f'{path} is no legend: {error}; write {{"1": "wheat", "7": "rice"}}') from error


def _print_report(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("crop", "PA", "UA", "F1", "IoU", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for index, name in enumerate(report.legend):
        values = [report.by_class[key][index] for key in ("producers", "users", "f1", "iou")]
        table.add_row(name, *(f"{100 * value:.1f}" for value in values))
    Console().print(table)
    overall = report.figures["overall"]
    click.echo(f"on {report.tested:,} pixels of unseen blocks: overall accuracy {overall.value:.3f}", nl=False)
    click.echo(f" ({overall.low:.3f} to {overall.high:.3f}), first stage {report.first_overall:.3f},", nl=False)
    click.echo(f" kappa {report.figures['kappa'].value:.3f}, worst F1 {report.figures['worst_f1'].value:.3f}")


@click.command("crops")
@click.option("--model", required=True, type=_PATH, help="The model.onnx that training wrote.")
@click.option("--composites", required=True, type=_PATH, help="Folder of monthly composites, or a Zarr store.")
@click.option("--out", required=True, type=_PATH, help="Folder of the map; an unfinished one is gone on with.")
@click.option("--memory-mb", default=512, show_default=True, type=click.IntRange(16), help="What a tile may take.")
@click.option("--threads", type=click.IntRange(1), help="To classify with here.  [default: all cores]")
@click.option("--scheduler", metavar="ADDRESS", help="Map on a Dask cluster, such as tcp://host:8786.")
@click.option("--int8", is_flag=True, help="Weighted LSTM: in integers first, in full where two classes are close.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def map_crops_command(
    model: Path,
    composites: Path,
    out: Path,
    memory_mb: int,
    threads: int | None,
    scheduler: str | None,
    int8: bool,
    as_json: bool,
) -> None:
    """Map the crops of a tile: GeoTIFF with class and confidence.

    Months after the last one that the model was trained on are not looked at. Stop it any time and run it again to go
    on.

    \b
    Example:
      pomona map crops --model runs/crops/model.onnx --composites composites --out map
    """
    import os

    from models.crops.mapping import MAP, map_crops
    from models.maps.runs import Work

    with progress_bar() as told:
        work = Work(memory_mb, threads or os.cpu_count() or 1, scheduler)
        made = map_crops(model, composites, out, work, told, int8=int8)
    if as_json:
        click.echo(json.dumps({"map": str(out / MAP), "areas_ha": made.areas_ha, "resumed": made.resumed}))
        return
    if made.resumed:
        click.echo(f"went on with {made.resumed} of {made.tiles} tiles that were there")
    for name, area in sorted(made.areas_ha.items(), key=lambda pair: -pair[1]):
        click.echo(f"{name}: {area:,.1f} ha")
    click.echo(f"map: {out / MAP}")
