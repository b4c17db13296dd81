"""``pomona train lstm-mtl`` and ``pomona train recurrent-unet``."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)
_SHARE = click.FloatRange(0, 1, min_open=True)


@click.command("lstm-mtl")
@click.option("--data", required=True, type=_PATH, help="Parquet table of points; see weighted-lstm.")
@click.option("--out", required=True, type=_PATH, help="Folder of the run; gone on with if begun.")
@click.option("--label", default="crop", show_default=True, help="Column of the crop.")
@click.option("--region", default="region", show_default=True, help="Column of the region.")
@click.option(
    "--sensors", default="both", show_default=True, type=click.Choice(["both", "optical", "radar"]), help="Bands used."
)
@click.option("--any-date", is_flag=True, help="Train for maps at any date of the season, and write a model for each.")
@click.option("--until", metavar="STEP", help="Look at the steps up to this one only.  [default: all]")
@click.option(
    "--balance",
    default="none",
    show_default=True,
    type=click.Choice(["none", "oversample", "smote"]),
    help="Make classes of a region alike in number.",
)
@click.option("--weighted", is_flag=True, help="Let rare classes weigh more in the loss.")
@click.option("--width", default=128, show_default=True, type=click.IntRange(1), help="Of the state, each direction.")
@click.option("--dropout", default=0.5, show_default=True, type=click.FloatRange(0, 1, max_open=True))
@click.option("--noise", default=0.0, show_default=True, type=click.FloatRange(0), help="On training series, in SD.")
@click.option("--shift", default=0.0, show_default=True, type=click.FloatRange(0), help="Of whole bands, in SD.")
@click.option("--epochs", default=60, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=64, show_default=True, type=click.IntRange(1), help="Pixels of each region a step.")
@click.option("--learning-rate", default=5e-4, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--validation", default=0.15, show_default=True, type=_SHARE)
@click.option("--test", default=0.2, show_default=True, type=_SHARE)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def train_lstm_mtl(
    data: Path,
    out: Path,
    label: str,
    region: str,
    sensors: str,
    any_date: bool,
    until: str | None,
    balance: str,
    weighted: bool,
    width: int,
    dropout: float,
    noise: float,
    shift: float,
    epochs: int,
    batch: int,
    learning_rate: float,
    validation: float,
    test: float,
    seed: int,
    as_json: bool,
) -> None:
    """Train LSTM-MTL: one network for several regions, with an output layer for each.

    Whole blocks of 20 km are trained on, validated on, or tested on. Every region gets a model of its own for pomona
    map crops, and places outside all regions one too. Stop it any time and start it again to go on.

    \b
    Example:
      pomona train lstm-mtl --data points.parquet --region county --out runs/rice
    """
    from models.crops.datasets import read_table
    from models.crops.region_run import MODELS, RECORD, run
    from models.crops.region_training import RegionSettings
    from models.crops.sensors import of_sensors
    from models.crops.training import TrainingSettings

    pixels = of_sensors(read_table(data, label, region, keep_gaps=True), sensors)
    if until is not None:
        if until not in pixels.steps:
            raise click.UsageError(f"there is no step {until!r}; the table has {', '.join(pixels.steps)}")
        pixels = pixels.first_steps(pixels.steps.index(until) + 1)
    settings = RegionSettings(
        width=width,
        dropout=dropout,
        training=TrainingSettings(epochs, learning_rate, "adamw", 1e-3, "plateau"),
        batch=batch,
        truncated=any_date,
        balance=balance,
        weighted=weighted,
        jitter=noise,
        level=shift,
    )
    reports = run(pixels, settings, out, validation=validation, test=test, seed=seed)
    if as_json:
        click.echo((out / RECORD).read_text(encoding="utf-8").strip())
        return
    for report in reports:
        each = ", ".join(
            f"{name} F1 {f1:.3f} (area {100 * error:+.0f} %)"
            for name, f1, error in zip(pixels.legend, report.figures["f1"], report.area_error, strict=True)
        )
        click.echo(f"{report.region}: {report.tested:,} pixels of unseen blocks, ", nl=False)
        click.echo(f"overall accuracy {report.figures['overall']:.3f}, {each}")
        if report.so_far:
            click.echo("  mean F1 by the steps known: " + " ".join(f"{value:.2f}" for value in report.so_far))
    click.echo(f"models: {out / MODELS}")


@click.command("recurrent-unet")
@click.option("--data", required=True, type=_PATH, help="Zarr store of composites with a thematic map.")
@click.option("--out", required=True, type=_PATH, help="Folder of the run; gone on with if begun.")
@click.option("--crop", required=True, multiple=True, type=int, metavar="NUMBER", help="Of the thematic map; repeat.")
@click.option("--thematic", default="crop", show_default=True, help="Variable of the thematic map.")
@click.option("--unlabelled", type=int, metavar="NUMBER", help="Of the thematic map, where nobody knows.")
@click.option("--band", "bands", multiple=True, default=("VH",), show_default=True, help="Variable; repeat.")
@click.option("--side", default=256, show_default=True, type=click.IntRange(2), help="Of a patch in px.")
@click.option(
    "--mode", default="RI", show_default=True, type=click.Choice(["RI", "FT", "FT_E"]), help="See the explanation."
)
@click.option("--weights", type=_PATH, help="The model.pt of another country, for FT and FT_E.")
@click.option("--other-crop", is_flag=True, help="The crop is another than the weights were trained for.")
@click.option(
    "--width", "widths", multiple=True, type=click.IntRange(1), help="Of a level; repeat.  [default: 32 64 128 256]"
)
@click.option("--cycles", default=40, show_default=True, type=click.IntRange(1), help="Through all dates.")
@click.option("--batch", default=8, show_default=True, type=click.IntRange(1))
@click.option("--learning-rate", default=1e-3, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--validation", default=0.15, show_default=True, type=_SHARE)
@click.option("--test", default=0.25, show_default=True, type=_SHARE)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def train_recurrent_unet(
    data: Path,
    out: Path,
    crop: tuple[int, ...],
    thematic: str,
    unlabelled: int | None,
    bands: tuple[str, ...],
    side: int,
    mode: str,
    weights: Path | None,
    other_crop: bool,
    widths: tuple[int, ...],
    cycles: int,
    batch: int,
    learning_rate: float,
    validation: float,
    test: float,
    seed: int,
    as_json: bool,
) -> None:
    """Train the recurrent U-Net on radar composites, from nothing (RI) or from another country's weights.

    FT trains all of them, FT_E the encoder alone. Stop it any time and start it again to go on.

    \b
    Examples:
      pomona train recurrent-unet --data korea.zarr --crop 7 --out runs/korea
      pomona train recurrent-unet --data spain.zarr --crop 7 --mode FT_E --weights runs/korea/model.pt --out runs/spain
    """
    from models.crops.chronological import CycleSettings
    from models.crops.patches import cut, open_store
    from models.crops.recurrent_unet import WIDTHS
    from models.crops.training import TrainingSettings
    from models.crops.transfer import MODES
    from models.crops.unet_run import MODEL, RECORD, Start, run

    patches = cut(open_store(data), bands, crop, thematic, side, unlabelled)
    report = run(
        patches,
        CycleSettings(TrainingSettings(cycles, learning_rate, "adamw", 1e-4), batch),
        out,
        Start(next(each for each in MODES if each == mode), weights, other_crop, widths or WIDTHS),
        shares=(validation, test),
        seed=seed,
    )
    if as_json:
        click.echo((out / RECORD).read_text(encoding="utf-8").strip())
        return
    click.echo(f"trained on {report.trained} patches, tested on {report.tested} others; IoU by the dates known:")
    click.echo("  " + " ".join(f"{step} {value:.3f}" for step, value in zip(patches.steps, report.iou, strict=True)))
    click.echo(f"weights: {out / MODEL}")
