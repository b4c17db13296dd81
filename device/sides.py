"""The sides of a tree: what its photos count on each, and how that becomes one number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from device.names import some
from device.reviews import reviewed_photos
from device.store import Store

Rule = Literal["larger", "sum", "one"]
RULES: tuple[Rule, ...] = get_args(Rule)
# The paper photographs one side. Until somebody chooses, the fuller of two stands for the tree: nothing has to be known
# of what both show, and hand counts held against it put right what it leaves out.
LARGER, SUM, ONE = RULES
SUM_OF_TWO = "sum of both sides"


@dataclass(frozen=True)
class CountedPhoto:
    """A photo of a tree with its count.

    Attributes:
        sha256: its name.
        side: side of the tree it shows.
        count: fruit or flowers the model counted.
        reviewed: those left and added by a person, None where nobody has looked.
    """

    sha256: str
    side: str
    count: int
    reviewed: int | None = None


@dataclass(frozen=True)
class JoinedSides:
    """One number of a tree.

    Attributes:
        count: the number.
        rule: how it came about, as its record says.
    """

    count: int
    rule: str


def counted_photos(store: Store, owners: tuple[str, str], label: str) -> list[CountedPhoto]:
    """The photos that a tree has in a visit, each with its last count and what a person made of it.

    Args:
        store: the device's records.
        owners: ids of the visit's and the tree's rows.
        label: what was counted.
    """
    rows = store.db.query(
        "SELECT photo.sha256, photo.side, detections.counts, max(detections.rowid) FROM photo "
        "JOIN detections ON detections.photo = photo.id "
        "WHERE photo.visit = ? AND photo.tree = ? GROUP BY photo.id ORDER BY photo.sha256",
        owners,
    )
    reviewed = reviewed_photos(store, owners, label)
    return [
        CountedPhoto(row["sha256"], row["side"], json.loads(row["counts"]).get(label, 0), reviewed.get(row["sha256"]))
        for row in rows
    ]


def count_by_side(photos: Iterable[CountedPhoto]) -> dict[str, int]:
    """The count of each side, by its name in order; of several photos of one side the fullest stands."""
    counts: dict[str, int] = {}
    for photo in photos:
        counts[photo.side] = max(photo.count, counts.get(photo.side, 0))
    return dict(sorted(counts.items()))


def join_reviewed(rule: Rule, photos: Sequence[CountedPhoto]) -> int | None:
    """The count of a tree as people left its photos; None where nobody has reviewed one that its count is made of.

    A side with reviewed photos stands with these alone, one that nobody has reviewed with the model's count.

    Args:
        rule: how sides are joined.
        photos: the tree's photos, one at least.
    """
    first = min(photo.side for photo in photos)
    taken = [photo for photo in photos if rule != ONE or photo.side == first]
    looked_at = {photo.side for photo in taken if photo.reviewed is not None}
    if not looked_at:
        return None
    standing = [
        replace(photo, count=photo.count if photo.reviewed is None else photo.reviewed)
        for photo in taken
        if photo.reviewed is not None or photo.side not in looked_at
    ]
    return join(rule, count_by_side(standing)).count


def join(rule: Rule, by_side: Mapping[str, int]) -> JoinedSides:
    """Make one number of the sides of a tree.

    Args:
        rule: ``larger`` takes the fuller side and ``one`` the first by name; ``sum`` adds two sides up, and where there
            are more or fewer takes twice their mean, which is what two of them add up to on average.
        by_side: count of each side that was photographed, one at least.
    """
    counts = list(by_side.values())
    if rule == LARGER:
        return JoinedSides(max(counts), "largest")
    if rule == ONE:
        return JoinedSides(by_side[min(by_side)], "one side")
    if len(counts) == 2:
        return JoinedSides(sum(counts), SUM_OF_TWO)
    which = "one side" if len(counts) == 1 else f"mean of {len(counts)} sides"
    return JoinedSides(round(2 * sum(counts) / len(counts)), f"{which}, twice")


def of_other_sides(trees: Sequence[str]) -> str:
    """What to know of trees in a visit that adds two sides up, and that have photos of one side or of several."""
    return (
        f"{len(trees)} tree{'s' * (len(trees) > 1)} ({some(trees)}) without photos of just two sides: twice the mean "
        "of the sides there are stands for both"
    )
