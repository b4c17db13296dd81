"""A card of photos with known fruit, made faster than a device can count them, and what must be recorded of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tests.drawing import draw_discs, encode, in_rows

_MOST_APPLES = 9
# so few that a count changes soon after it was made, and often is on its way
TREES_AT_ONCE = 5
RECORDS_A_TREE = 8  # tree, two photos, their detections and thumbnails, count
OTHER_RECORDS = 3  # orchard, block, visit


@dataclass
class Card:
    """Photos in ``folder/TREE/SIDE.jpg``, put there a few at a time.

    Args:
        folder: where they lie; what has been taken over is removed by whoever took it.
        trees: how many trees are photographed, each from two sides.
        at_once: trees whose sides a come before their sides b.

    Attributes:
        fruit: number of apples by tree and side, of all photos put there so far.
        by_hand: number of apples that a person has counted on trees, as far as that was recorded.
    """

    folder: Path
    trees: int
    at_once: int = TREES_AT_ONCE
    fruit: dict[str, dict[str, int]] = field(default_factory=dict)
    by_hand: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pictures = [encode(draw_discs(in_rows(count), seed=count)) for count in range(_MOST_APPLES)]
        self._coming = self._photos()

    def _photos(self) -> Iterator[tuple[str, str]]:
        for first in range(0, self.trees, self.at_once):
            for side in "ab":
                for number in range(first, min(first + self.at_once, self.trees)):
                    yield f"T{number:05}", side

    def put(self, number: int) -> int:
        """Put so many new photos on the card; returns how many there were left to put."""
        photos = list(islice(self._coming, number))
        for tree, side in photos:
            apples = (sum(map(ord, tree)) * (1 if side == "a" else 5)) % _MOST_APPLES
            path = self.folder / tree / f"{side}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_with_comment(self._pictures[apples], f"{tree} {side}"))
            self.fruit.setdefault(tree, {})[side] = apples
        return len(photos)

    def waiting(self) -> list[Path]:
        """Photos that lie on the card."""
        return sorted(self.folder.rglob("*.jpg"))

    @staticmethod
    def take_away(photos: Iterable[Path]) -> None:
        """Remove photos that were counted, where whoever counted them has not."""
        for path in photos:
            path.unlink(missing_ok=True)

    def machine_counts(self) -> dict[str, int]:
        """What must be counted of each tree: the fuller of its sides."""
        return {tree: max(sides.values()) for tree, sides in self.fruit.items()}


def _with_comment(picture: bytes, text: str) -> bytes:
    """The same JPEG as a file of its own: another comment, the same pixels."""
    comment = text.encode()
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]
