"""``pomona simulate``."""

from __future__ import annotations

from pathlib import Path

import click

from cloud_sync.messages import STAGES
from device.commands.common import progress_bar


@click.group()
def simulate() -> None:
    """Draw virtual orchards with known fruit."""


@simulate.command("orchard")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--trees", default=30, show_default=True, type=click.IntRange(1, 10_000), help="Trees to draw.")
@click.option("--stage", default="ripening", show_default=True, type=click.Choice(STAGES), help="Growth stage.")
@click.option("--fruit", default=110.0, show_default=True, type=click.FloatRange(0), help="Mean fruit a tree.")
@click.option("--seed", default=1, show_default=True, type=int, help="Another seed draws another orchard.")
@click.option("--labels", is_flag=True, help="Also write YOLO labels of the visible fruit.")
def orchard(folder: Path, trees: int, stage: str, fruit: float, seed: int, labels: bool) -> None:
    """Draw photos of trees whose fruit, size, occlusion and light are known, into FOLDER.

    \b
    Example:
      pomona simulate orchard virtual/ --trees 30
    """
    from device.virtual_orchard import OrchardSettings, draw_orchard

    settings = OrchardSettings(trees=trees, stage=stage, mean_fruit=fruit, seed=seed)
    with progress_bar("Drawing") as progress:
        draw_orchard(settings, folder, labels=labels, progress=progress)
    click.echo(f"{trees} trees in {folder / 'photos'}, what hangs on them in {folder / 'truth.csv'}.")
