"""The pages that show what is known: summary, block, visit, photo."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response

from device.orchards import find_block
from device.page.context import Context, OpenedStore
from device.page.failures import unknown_is_404
from device.queries import PhotoView, TreeSummary, get_photo, get_visit, list_trees, list_visits, summarise
from device.wording import summary_lines

router = APIRouter()


@router.get("/")
def summary(store: OpenedStore, context: Context) -> Response:
    """Every block with its latest visit, and how much waits to be sent."""
    cards = [(item, summary_lines(item)) for item in summarise(store)]
    return context.templates.page("summary", cards=cards, outbox=store.outbox.state(health=False))


@router.get("/blocks/{name:path}")
def block(name: str, store: OpenedStore, context: Context) -> Response:
    """A block and its visits."""
    with unknown_is_404():
        found = find_block(store, name)
    return context.templates.page("block", block=found, visits=list_visits(store, found))


@router.get("/visits/{identifier}")
def visit(identifier: str, store: OpenedStore, context: Context) -> Response:
    """A visit and its trees."""
    with unknown_is_404():
        found = get_visit(store, identifier)
    return context.templates.page("visit", visit=found, trees=list_trees(store, found))


@router.get("/photos/{sha256}/boxes")
def photo(sha256: str, store: OpenedStore, context: Context) -> Response:
    """A photo with what was counted in it."""
    with unknown_is_404():
        found = get_photo(store, sha256)
    visited = get_visit(store, found.visit)
    trees = list_trees(store, visited)
    order = [name for tree in trees for name in tree.photos]
    place = order.index(sha256) if sha256 in order else 0
    return context.templates.page(
        "photo",
        photo=found,
        visit=visited,
        tree=_tree_of(found, trees),
        counts=found.detections.count_by_label(),
        boxes=_boxes(found),
        previous=order[place - 1] if place else None,
        next=order[place + 1] if place + 1 < len(order) else None,
    )


@dataclass(frozen=True)
class Box:
    """A box as SVG draws it.

    Attributes:
        x: left edge in pixels.
        y: upper edge.
        width: pixels across.
        height: pixels down.
        kind: index of its label.
    """

    x: int
    y: int
    width: int
    height: int
    kind: int


def _boxes(photo: PhotoView) -> list[Box]:
    found = photo.detections
    corners = found.boxes.round().astype(int).tolist()
    return [
        Box(x1, y1, x2 - x1, y2 - y1, int(kind)) for (x1, y1, x2, y2), kind in zip(corners, found.classes, strict=True)
    ]


def _tree_of(photo: PhotoView, trees: list[TreeSummary]) -> TreeSummary | None:
    """The tree's count in the visit; None where its newest model has not counted this photo's tree yet."""
    return next((tree for tree in trees if tree.tree == photo.tree), None)
