"""A visit with the counts of its trees, as an estimate needs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from cloud_sync.messages import Stage
from device.errors import InputError
from device.orchards import Block
from device.predictions import Place
from device.recording import LABEL_OF_STAGE
from device.sides import Rule
from device.store import Store


@dataclass(frozen=True)
class SampledTree:
    """A tree of a visit.

    Attributes:
        code: its code.
        machine: count of the model.
        reviewed: count of a person that replaces it, None where nobody has looked.
        model: the model that counted.
        sides_rule: how its sides became one count.
        attribution: how fruit of neighbouring trees was told apart.
        place: latitude and longitude, None where unknown.
    """

    code: str
    machine: int
    reviewed: int | None
    model: str
    sides_rule: str
    attribution: str
    place: Place

    @property
    def fruit(self) -> int:
        """The count that stands."""
        return self.machine if self.reviewed is None else self.reviewed


@dataclass(frozen=True)
class SampledVisit:
    """A visit with the counts of its trees.

    Attributes:
        id: id of its row.
        day: the day.
        stage: the growth stage.
        area_m2: ground area of the sampled trees where somebody measured it.
        area_trees: number of trees it was measured for.
        sides: how the sides of a tree become one count.
        trees: the trees, by code.
    """

    id: str
    day: date
    stage: Stage
    area_m2: float | None
    area_trees: int | None
    sides: Rule
    trees: tuple[SampledTree, ...]

    @property
    def label(self) -> str:
        """What was counted."""
        return LABEL_OF_STAGE[self.stage]

    @property
    def model(self) -> str | None:
        """The model whose counts all stand as it made them; None where several counted or a person has reviewed."""
        models = {tree.model if tree.reviewed is None else None for tree in self.trees}
        return models.pop() if len(models) == 1 else None

    @property
    def places(self) -> dict[str, Place]:
        """Latitude and longitude of each tree by its code."""
        return {tree.code: tree.place for tree in self.trees}


def find_visit(store: Store, block: Block, day: date | None = None, stage: str | None = None) -> SampledVisit:
    """The latest visit of a block, or that of a day and stage.

    Raises:
        InputError: no such visit, or one without counts.
    """
    rows = [
        row
        for row in store.db.query("SELECT * FROM visit WHERE block = ? ORDER BY day DESC, rowid DESC", [block.id])
        if (day is None or row["day"] == day.isoformat()) and (stage is None or row["stage"] == stage)
    ]
    if not rows:
        when = " ".join(str(part) for part in (day, stage) if part)
        raise InputError(
            f"block {block.name} has no visit{f' of {when}' if when else ''}; bring its photos in: pomona visit import "
            f"FOLDER --block {block.name} --stage STAGE"
        )
    visit = rows[0]
    counts = list(
        store.db.query(
            "SELECT code, machine, reviewed, model, sides_rule, attribution, latitude, longitude FROM tree_count "
            "JOIN tree ON tree.id = tree_count.tree WHERE visit = ? AND label = ? ORDER BY code",
            [visit["id"], LABEL_OF_STAGE[visit["stage"]]],
        )
    )
    if not counts:
        raise InputError(f"the visit of block {block.name} on {visit['day']} has no counts; import its photos again")
    return SampledVisit(
        visit["id"],
        date.fromisoformat(visit["day"]),
        visit["stage"],
        visit["area_m2"],
        visit["area_trees"],
        visit["sides"],
        tuple(
            SampledTree(
                row["code"],
                row["machine"],
                row["reviewed"],
                row["model"],
                row["sides_rule"],
                row["attribution"],
                (row["latitude"], row["longitude"]),
            )
            for row in counts
        ),
    )
