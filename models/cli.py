"""``pomona train``."""

from __future__ import annotations

from pathlib import Path

import click

from models.crop_commands import train_weighted_lstm
from models.crop_transfer_commands import train_lstm_mtl, train_recurrent_unet
from models.labelled_photos import LABELS
from models.pixel_yield_commands import train_mt_cyp_net
from models.yield_commands import train_apyieldnet, yields

__all__ = ["train", "yields"]


class _Networks(click.Group):
    """Knows every network by name, but lists YOLO-A only: its peers and ablations take the same options."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        from models.detection.networks import NETWORKS

        return _network_command(cmd_name) if cmd_name in NETWORKS else None


@click.group(cls=_Networks)
def train() -> None:
    """Train a network.

    \b
    Besides yolo-a, with the same options, its light form, ablations, peers:
      yolo-a-light,
      yolo-a-glicm, yolo-a-fsppf, yolo-a-iafm, yolo-a-glicm-fsppf,
      yolo-a-glicm-iafm, yolo-a-fsppf-iafm,
      yolov5n, yolov6n, yolov8n, yolov9t, yolov10n, yolo11n, yolo12n, rtdetr-l
    """


_Range = tuple[float, float]


def _network_command(name: str) -> click.Command:
    """The command that trains one network."""

    @click.command(
        name,
        help=f"""Train {name} on crops of labelled photos; stop it any time and start it again to go on.

        \b
        Example:
          pomona train {name} --data orchard/train --weights yolo11n.pth --out runs/{name}
        """,
    )
    @click.option(
        "--data", required=True, type=click.Path(path_type=Path), help="Labelled photos (trees/, tiles/, flowers/)."
    )
    @click.option(
        "--out", required=True, type=click.Path(path_type=Path), help="Folder for checkpoints; resumed if begun."
    )
    @click.option(
        "--weights", type=click.Path(path_type=Path), help="COCO weights of YOLO11n, or a checkpoint to go on from."
    )
    @click.option(
        "--teacher", type=click.Path(path_type=Path), help="Checkpoint of a network to learn from beside the labels."
    )
    @click.option("--epochs", default=40, show_default=True, type=click.IntRange(1))
    @click.option("--crops", default=3200, show_default=True, type=click.IntRange(16), help="Random crops an epoch.")
    @click.option("--batch", default=16, show_default=True, type=click.IntRange(2))
    @click.option(
        "--image", "image_px", default=320, show_default=True, type=click.IntRange(64), help="Side of a crop in px."
    )
    @click.option(
        "--scale",
        nargs=2,
        type=click.FloatRange(0.1, 10),
        default=(0.6, 1.6),
        show_default=True,
        metavar="LOW HIGH",
        help="Random zoom of fruit photos; 1 is their own scale.",
    )
    @click.option(
        "--flower-scale",
        nargs=2,
        type=click.FloatRange(0.1, 10),
        default=(0.6, 1.6),
        show_default=True,
        metavar="LOW HIGH",
        help="Random zoom of flowering photos.",
    )
    @click.option("--learning-rate", type=float, help="The highest.  [default: 0.001; rtdetr-l: 0.0001]")
    @click.option("--bfloat16", is_flag=True, help="Convolutions in bfloat16, for processors that have it.")
    @click.option(
        "--hold-out",
        multiple=True,
        metavar="ROW",
        help="Orchard row, or photo where no row is known, that is never trained on; * matches anything.  "
        "[default: the published sets' own]",
    )
    @click.option(
        "--label", "labels", multiple=True, type=click.Choice(LABELS), help="Label to train.  [default: both]"
    )
    @click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
    def command(
        data: Path,
        out: Path,
        weights: Path | None,
        teacher: Path | None,
        epochs: int,
        crops: int,
        batch: int,
        image_px: int,
        scale: _Range,
        flower_scale: _Range,
        learning_rate: float | None,
        bfloat16: bool,
        hold_out: tuple[str, ...],
        labels: tuple[str, ...],
        seed: int,
    ) -> None:
        from models.detection.crops import CropSettings
        from models.detection.settings import learning_rate_of
        from models.detection.train import HELD_OUT, DetectorTraining
        from models.detection.train import train as run

        for low, high in (scale, flower_scale):
            if low > high:
                raise click.UsageError(f"the zoom range {low:g} {high:g} is upside down; give the lower value first")
        settings = DetectorTraining(
            data=data,
            output=out,
            network=name,
            weights=weights,
            teacher=teacher,
            epochs=epochs,
            crops_per_epoch=crops,
            batch=batch,
            image_px=image_px,
            learning_rate=learning_rate_of(name) if learning_rate is None else learning_rate,
            low_precision=bfloat16,
            hold_out=hold_out or HELD_OUT,
            labels=labels or LABELS,
            seed=seed,
            crops=CropSettings(scale=scale, flower_scale=flower_scale),
        )
        try:
            best = run(settings)
        except (FileNotFoundError, ValueError) as error:
            raise click.UsageError(str(error)) from error
        click.echo(f"best checkpoint on what was held out: {best}")
        click.echo(f"results: {out / 'results.html'}")

    return command


train.add_command(_network_command("yolo-a"))
train.add_command(train_apyieldnet)
train.add_command(train_weighted_lstm)
train.add_command(train_lstm_mtl)
train.add_command(train_recurrent_unet)
train.add_command(train_mt_cyp_net)


@train.command("protocol")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Labelled photos to train on.")
@click.option("--weights", type=click.Path(path_type=Path), help="COCO weights of YOLO11n; all take what fits.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the runs; resumed if begun.")
@click.option("--only", multiple=True, metavar="NAME", help="Network, or a run such as yolo-a-seed1.  [default: all]")
@click.option("--rehearse", is_flag=True, help="Train each on a few small crops only, to see that it works.")
def train_protocol(data: Path, weights: Path | None, out: Path, only: tuple[str, ...], rehearse: bool) -> None:
    """Train YOLO-A, its ablations and its peers under one protocol, the most telling first.

    Each run has a folder of its own. Stop it any time and start it again to go on; runs that are done are left alone.

    \b
    Example:
      pomona train protocol --data orchard/train --weights yolo11n.pth --out runs/protocol
    """
    from models.detection.protocol import choose_runs, rehearsal_of, settings_of
    from models.detection.train import DivergedError
    from models.detection.train import train as run

    failed = []
    try:
        for chosen in choose_runs(only):
            settings = settings_of(chosen, data, weights, out)
            try:
                run(rehearsal_of(settings) if rehearse else settings)
            except DivergedError as error:
                failed.append(chosen.name)
                click.echo(f"{chosen.name}: {error}", err=True)
            else:
                click.echo(f"{chosen.name}: {settings.output / 'results.html'}")
    except (FileNotFoundError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    if failed:
        raise click.ClickException(f"{', '.join(failed)} did not train")
