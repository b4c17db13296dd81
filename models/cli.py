"""``pomona train``."""

from __future__ import annotations

from pathlib import Path

import click

from models.labelled_photos import LABELS


@click.group()
def train() -> None:
    """Train a network."""


@train.command("yolo-a")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Labelled photos (trees/, tiles/, flowers/)."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for checkpoints; resumed if begun.")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="COCO weights of YOLO11n, or a checkpoint to go on from."
)
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(1))
@click.option("--crops", default=3200, show_default=True, type=click.IntRange(16), help="Random crops an epoch.")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(2))
@click.option(
    "--image", "image_px", default=320, show_default=True, type=click.IntRange(64), help="Side of a crop in px."
)
@click.option("--learning-rate", default=1e-3, show_default=True, type=float)
@click.option("--bfloat16", is_flag=True, help="Convolutions in bfloat16, for processors that have it.")
@click.option(
    "--hold-out",
    multiple=True,
    metavar="ROW",
    help="Orchard row, or photo where no row is known, that is never trained on; * matches anything.  "
    "[default: the published sets' own]",
)
@click.option("--label", "labels", multiple=True, type=click.Choice(LABELS), help="Label to train.  [default: both]")
@click.option("--plain", is_flag=True, help="YOLO11n without the parts of YOLO-A, to compare with.")
@click.option("--seed", default=0, show_default=True, type=int)
def train_yolo_a(
    data: Path,
    out: Path,
    weights: Path | None,
    epochs: int,
    crops: int,
    batch: int,
    image_px: int,
    learning_rate: float,
    bfloat16: bool,
    hold_out: tuple[str, ...],
    labels: tuple[str, ...],
    plain: bool,
    seed: int,
) -> None:
    """Train YOLO-A on native-scale crops; stop it any time and start it again to go on.

    \b
    Example:
      pomona train yolo-a --data orchard/train --weights yolo11n.pth --out runs/yolo-a
    """
    from models.detection.train import HELD_OUT, DetectorTraining
    from models.detection.train import train as run
    from models.detection.yolo_a import PARTS

    settings = DetectorTraining(
        data=data,
        output=out,
        weights=weights,
        epochs=epochs,
        crops_per_epoch=crops,
        batch=batch,
        image_px=image_px,
        learning_rate=learning_rate,
        low_precision=bfloat16,
        hold_out=hold_out or HELD_OUT,
        labels=labels or LABELS,
        parts=() if plain else PARTS,
        seed=seed,
    )
    try:
        best = run(settings)
    except (FileNotFoundError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"best checkpoint on what was held out: {best}")
