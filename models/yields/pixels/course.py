"""A whole training from folders of scenes to a checkpoint, with its members and what comes before labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from models.maps.errors import MapError
from models.yields.pixels.candidates import SMALL_TRAINING
from models.yields.pixels.checkpoint import save
from models.yields.pixels.cleaning import CleaningSettings
from models.yields.pixels.encoders import stride
from models.yields.pixels.gathering import Gathered, gather
from models.yields.pixels.network import NetworkSettings
from models.yields.pixels.pretraining import pretrain
from models.yields.pixels.scenes import Scene
from models.yields.pixels.shares import SHARE_FOLDS, settle_share, with_share
from models.yields.pixels.training import Trained, TrainingSettings, train

FILE = "network.pt"
_EPOCHS = 20


@dataclass(frozen=True)
class Course:
    """What decides a training.

    Attributes:
        network: its form; bands and dates are taken from the scenes.
        crops: names by index.
        paper: whether the paper's optimiser, epochs, loss and scales are taken.
        epochs: instead of the default.
        members: networks whose mean is the map.
        pretrain_epochs: on all tiles, without labels, before.
        indices: whether vegetation indices are put behind the bands.
        clean_points: whether yields are a combine harvester's and are cleaned.
        side: of a tile in px.
        seed: of the first member; the others follow.
    """

    network: NetworkSettings
    crops: tuple[str, ...]
    paper: bool = False
    epochs: int | None = None
    members: int = 1
    pretrain_epochs: int = 0
    indices: bool = False
    clean_points: bool = False
    side: int = 64
    seed: int = 0

    @property
    def training(self) -> TrainingSettings:
        """Its settings."""
        settings = TrainingSettings() if self.paper else replace(SMALL_TRAINING, epochs=_EPOCHS, per_crop=False)
        return settings if self.epochs is None else replace(settings, epochs=self.epochs)


def train_course(
    data: Path, course: Course, out: Path, told: Callable[[str], None] = lambda _said: None
) -> tuple[Path, int]:
    """Train; members that are done are not trained again.

    Args:
        data: folder of the scenes.
        course: what to do.
        out: folder of checkpoints and of the finished network.
        told: is told what is being done.

    Returns:
        The finished file and how many tiles had labels.

    Raises:
        MapError: scenes or labels that cannot be used.
        DivergedError: a training failed.
    """
    if course.side % stride(course.network.encoder):
        raise MapError(
            f"tiles of {course.side} px do not fit the encoder {course.network.encoder}; take a multiple of "
            f"{stride(course.network.encoder)}"
        )
    gathered = gather(
        data,
        course.crops,
        side=course.side,
        indices=course.indices,
        cleaning=CleaningSettings() if course.clean_points else None,
        unlabelled=course.pretrain_epochs > 0,
    )
    told(f"{len(gathered.labelled)} tiles with labels, {len(gathered.unlabelled)} without")
    if not gathered.labelled:
        raise MapError(f"no label in {data} lies on its scene; look at their reference systems")
    dates = gathered.labelled[0].images.shape[0]
    network = replace(course.network, bands=len(gathered.bands), dates=dates)
    members = _members(course, network, gathered, out, told)
    if network.straight:
        share = _share(course, network, gathered.labelled, out, told)
        told(f"{share:.0%} of what networks add to the straight line is taken")
        members = [with_share(member, share) for member in members]
    stacked = network.over_time == "stack"
    days = gathered.labelled[0].days.astype(int).tolist() if stacked else []
    save(out / FILE, members, gathered.bands, days)
    return out / FILE, len(gathered.labelled)


def _members(
    course: Course, network: NetworkSettings, gathered: Gathered, out: Path, told: Callable[[str], None]
) -> list[Trained]:
    members = []
    for member in range(course.members):
        seed = course.seed + member
        start: dict[str, Tensor] | None = None
        if course.pretrain_epochs:
            told(f"network {member + 1}: learning without labels")
            before = replace(course.training, epochs=course.pretrain_epochs)
            every = [*gathered.labelled, *gathered.unlabelled]
            start = pretrain(every, network, before, seed, folder=out / f"before-{member}")
        told(f"network {member + 1}: learning from labels")
        folder = out / f"member-{member}"
        members.append(
            train(gathered.labelled, course.crops, network, course.training, seed, folder=folder, start=start)
        )
    return members


def _share(
    course: Course, network: NetworkSettings, tiles: Sequence[Scene], out: Path, told: Callable[[str], None]
) -> float:
    def fit(parts: Sequence[Scene], fold: str) -> Trained:
        told(f"what part of it holds on fields left out: {int(fold) + 1} of {SHARE_FOLDS}")
        folder = out / f"left-out-{fold}"
        return train(parts, course.crops, network, course.training, course.seed, folder=folder)

    return settle_share(tiles, fit, SHARE_FOLDS, course.seed)
